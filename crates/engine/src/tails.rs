//! Keeping the tails of blocks zero, for programs that use `_recalloc`.
//!
//! `_recalloc` zeroes what it adds to a block, counted from the size that the program last asked
//! for. mimalloc knows the size of the block only, which may be a little more. The bytes between
//! the two, the *tail*, are zero in a runtime whose tails are kept clean, so that the difference
//! cannot be seen. Keeping them so costs time in every `malloc`; so it begins, for each runtime by
//! itself, with the first module that imports one of the functions from it, or with their first
//! call.

use core::ffi::{CStr, c_void};
use core::sync::atomic::{AtomicBool, Ordering};

use allograft_detour::Windows;
use allograft_heap::RUNTIMES;

use crate::loaded::{Module, loaded_modules};
use crate::loader_lock::LoaderLock;
use crate::runtime::Runtime;
use crate::{import_tables, imports, slots};

/// Whether words of import tables still lead to entries that do not keep tails clean, since the
/// loader was busy when they were to be exchanged.
static IMPORTS_LAG: AtomicBool = AtomicBool::new(false);

/// Begins to keep tails clean in every runtime that `module` imports a function of the `_recalloc`
/// family from. To be called for modules that are loaded after the takeover, with the loader's lock
/// held, and before their import tables are changed.
pub(crate) fn module_loaded(module: &Module) {
    for base in slots::taken_modules().filter(|&base| uses_recalloc(module, base)) {
        keep_clean(base);
    }
}

/// Whether one of `modules` imports a function of the family from the runtime at `base`, which has
/// a slot and is not taken over yet.
pub(crate) fn are_wanted(base: usize, mut modules: impl Iterator<Item = Module>) -> bool {
    modules.any(|module| uses_recalloc(&module, base))
}

/// Remembers that the runtime at `base` keeps tails clean; false if it does already.
pub(crate) fn begin(base: usize) -> bool {
    let mut states = slots::runtimes_of(base);
    // The first state decides which of several threads does it.
    if !states.next().is_some_and(Runtime::begin_to_keep_tails_clean) {
        return false;
    }
    states.for_each(|state| {
        state.begin_to_keep_tails_clean();
    });
    true
}

/// Begins to keep tails clean in the runtime whose function of the family was called in the slot
/// `number`.
pub(crate) fn recalloc_was_called(number: usize) {
    if let Some(base) = slots::base_of(number)
        && slots::runtime(number).is_some_and(|runtime| !runtime.tails_are_clean())
    {
        keep_clean(base);
    } else if IMPORTS_LAG.load(Ordering::Relaxed) {
        exchange_imports();
    }
}

/// Whether `module` imports a function of the family from the runtime that begins at `base`.
fn uses_recalloc(module: &Module, base: usize) -> bool {
    const NAMES: [&CStr; 3] = [c"_recalloc", c"_aligned_recalloc", c"_aligned_offset_recalloc"];
    imports::imports_any(module, &NAMES, |address| slots::is_in_module(address, base))
}

fn keep_clean(base: usize) {
    if !begin(base) {
        return;
    }
    for relays in slots::relays_of(base) {
        // Where the system refuses, `_recalloc` is as exact as it was before: mimalloc's own.
        let _ = relays.retarget(&Windows, |entry| clean_counterpart(entry).map(|(_, clean)| clean));
    }
    exchange_imports();
}

/// Points the words of import tables that lead to entries which leave tails as they are at those
/// that keep them clean. The thread may hold locks of the program's, so that it must not wait for
/// the loader's: if that is taken, the next call of `_recalloc` tries again.
fn exchange_imports() {
    let lock = LoaderLock::try_take();
    IMPORTS_LAG.store(lock.is_none(), Ordering::Relaxed);
    if lock.is_some() {
        import_tables::redirect(&mut loaded_modules(), &|address| {
            let (slot, entry) = clean_counterpart(address)?;
            slots::runtime(slot)?.tails_are_clean().then_some(entry)
        });
    }
}

/// The entry that keeps tails clean and its slot, for the address of one that does not.
fn clean_counterpart(entry: usize) -> Option<(usize, usize)> {
    (0..RUNTIMES).find_map(|slot| {
        let as_they_are = allograft_heap::entries(slot, false).addresses();
        let index = as_they_are.iter().position(|&address| address == entry)?;
        let clean = allograft_heap::entries(slot, true).addresses()[index];
        (clean != entry).then_some((slot, clean))
    })
}

/// Zeroes the tail of a block that the program asked `size` bytes of. Returns the block, which may
/// be NULL or foreign.
pub(crate) fn tidy(runtime: &Runtime, block: *mut c_void, size: usize) -> *mut c_void {
    if runtime.tails_are_clean() && !block.is_null() && allograft_heap::owns(block) {
        // SAFETY: the block is mimalloc's, and the program does not have these bytes.
        unsafe { zero(block, size, allograft_heap::usable_size(block)) };
    }
    block
}

/// The same for a block of one of the aligned functions.
pub(crate) fn tidy_aligned(runtime: &Runtime, block: *mut c_void, size: usize) -> *mut c_void {
    if runtime.tails_are_clean() && !block.is_null() && allograft_heap::owns(block) {
        // SAFETY: as above.
        unsafe { zero(block, size, allograft_heap::usable_size_of_aligned(block)) };
    }
    block
}

unsafe fn zero(block: *mut c_void, from: usize, to: usize) {
    if from < to {
        // SAFETY: the caller says that the block is as long.
        unsafe { block.cast::<u8>().add(from).write_bytes(0, to - from) };
    }
}
