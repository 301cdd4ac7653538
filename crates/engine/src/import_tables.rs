//! Pointing the import address tables of modules at the replacements.
//!
//! The jump over a function's entry catches every call, however the caller came by the address. A
//! call through an import address table need not take it: its slot is made to hold the
//! replacement's address, as if the program had been linked with it. A slot that cannot be written
//! keeps its value, and the jump serves it.

use core::ffi::CStr;
use core::sync::atomic::{AtomicBool, Ordering};

use allograft_detour::{SlotWriter, System, Windows};

use crate::imports;
use crate::module::Module;

static LEFT_ALONE: AtomicBool = AtomicBool::new(false);

/// Leaves import tables unchanged from now on.
pub fn leave_import_tables_alone() {
    LEFT_ALONE.store(true, Ordering::Relaxed);
}

/// Whether import tables are left unchanged.
pub(crate) fn are_left_alone() -> bool {
    LEFT_ALONE.load(Ordering::Relaxed)
}

impl Module {
    /// The address of the slot through which it calls the function that it imports as `name`.
    pub fn import_slot(&self, name: &CStr) -> Option<usize> {
        imports::slot(self, &|address| Windows.region(address), name)
    }
}

/// Sends the calls through the import slot (see [`Module::import_slot`]) to `address`. False if the
/// slot cannot be written.
///
/// # Safety
/// The slot is that of a module which stays loaded, and a function of the import's signature is at
/// `address` for as long.
pub unsafe fn redirect_import(slot: usize, address: usize) -> bool {
    // SAFETY: by the contract the slot stays, and its module calls a function of the right type.
    unsafe { SlotWriter::new(&Windows).write(slot, address) }.is_ok()
}

/// Replaces the contents of the import slots of `modules` for which `exchange` has another address.
/// Returns how many were replaced. The loader is at rest ([`crate::loaded_modules`]). Nothing is
/// allocated, and no lock is waited for.
pub(crate) fn redirect(
    modules: &mut dyn Iterator<Item = Module>,
    exchange: &dyn Fn(usize) -> Option<usize>,
) -> usize {
    if are_left_alone() {
        return 0;
    }
    let region = |address| Windows.region(address);
    let mut slots = SlotWriter::new(&Windows);
    let mut count = 0;
    for module in modules {
        if imports::may_check_itself(&module, &region) {
            continue;
        }
        imports::visit(&module, &region, &mut |slot, address| {
            if let Some(other) = exchange(address)
                && slot.is_multiple_of(align_of::<usize>())
                // SAFETY: the slot is in the module, which stays while the loader is at rest,
                // and `exchange` returns replacements of the same signature.
                && unsafe { slots.write(slot, other) }.is_ok()
            {
                count += 1;
            }
        });
    }
    count
}
