//! Pointing the import tables of modules straight at the replacements.
//!
//! The jump over a function's entry catches every call, however the caller came by the address. A
//! call through an import table need not take it: the table is made to hold the replacement's
//! address, as if the program had been linked with it. Words that cannot be changed stay as they
//! are, and the jump serves them.

use core::sync::atomic::{AtomicBool, Ordering};

use allograft_detour::{SlotWriter, Windows};

use crate::imports;
use crate::loaded::Module;

static LEFT_ALONE: AtomicBool = AtomicBool::new(false);

/// Leaves import tables as they are from now on.
pub fn leave_import_tables_alone() {
    LEFT_ALONE.store(true, Ordering::Relaxed);
}

/// Sends the calls through the import slot (see [`Module::import_slot`]) to `address`. False if the
/// system does not let it be written.
///
/// # Safety
/// The slot is that of a module which stays loaded, and a function of the import's signature is at
/// `address` for as long.
pub unsafe fn redirect_import(slot: usize, address: usize) -> bool {
    // SAFETY: the caller's promise.
    unsafe { SlotWriter::new(&Windows).write(slot, address) }.is_ok()
}

/// Exchanges the words of the import tables of `modules` for which `exchange` has another address.
/// Returns how many were exchanged. The caller holds the loader's lock. Nothing is allocated, and
/// no lock is waited for.
pub(crate) fn redirect(
    modules: &mut dyn Iterator<Item = Module>,
    exchange: &dyn Fn(usize) -> Option<usize>,
) -> usize {
    if LEFT_ALONE.load(Ordering::Relaxed) {
        return 0;
    }
    let mut slots = SlotWriter::new(&Windows);
    let mut count = 0;
    for module in modules {
        imports::visit(&module, &mut |slot, address| {
            if let Some(other) = exchange(address)
                && slot.is_multiple_of(align_of::<usize>())
                // SAFETY: the word holds an address in the module's import table, and the module
                // stays while the loader's lock is held.
                && unsafe { slots.write(slot, other) }.is_ok()
            {
                count += 1;
            }
        });
    }
    count
}
