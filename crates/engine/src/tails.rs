//! Keeping the tails of blocks zero, for programs that use `_recalloc`.
//!
//! `_recalloc` zeroes what it adds to a block, counted from the size that the program last asked
//! for. mimalloc only knows the size of the block, which may be a little more. In a runtime whose
//! tails are kept clean, the bytes between the two, the *tail*, are zero, so that the difference
//! cannot be seen. Clean tails cost time in every `malloc`. So each runtime begins to keep them
//! with the first module that imports one of the functions from it, or with their first call.

use core::ffi::{CStr, c_void};
use core::ptr::{null, null_mut};
use core::sync::atomic::{AtomicBool, Ordering};

use windows_sys::Win32::Foundation::CloseHandle;
use windows_sys::Win32::System::Threading::{CreateThread, WaitForSingleObject};

use allograft_detour::{System, Windows};
use allograft_heap::RUNTIMES;

use crate::module::Module;
use crate::runtime::Runtime;
use crate::windows::{holds_loader_lock, loaded_modules, with_loader_at_rest};
use crate::{import_tables, imports, slots};

/// Whether import slots still lead to entries that do not keep tails clean.
static IMPORTS_LAG: AtomicBool = AtomicBool::new(false);

/// Whether a thread was started that exchanges them, and has not begun.
static EXCHANGE_STARTED: AtomicBool = AtomicBool::new(false);

/// How long the first call of `_recalloc` waits for that thread, in milliseconds. It must not wait
/// for ever: another thread may have the loader, and wait for what this one holds.
const PATIENCE: u32 = 1000;

/// Begins to keep tails clean in every runtime from which `module` imports a function of the
/// `_recalloc` family. To be called in the loader's notification of a module that is loaded after
/// the takeover, before its import tables are changed.
pub(crate) fn module_loaded(module: &Module) {
    for base in slots::taken_modules().filter(|&base| imports_recalloc(module, base)) {
        if keep_clean(base) {
            exchange_imports();
        }
    }
}

/// Whether one of `modules` imports a function of the family from the runtime at `base`, which has
/// a slot and is not taken over yet.
pub(crate) fn are_wanted(base: usize, mut modules: impl Iterator<Item = Module>) -> bool {
    modules.any(|module| imports_recalloc(&module, base))
}

/// Marks the runtime at `base` as one that keeps tails clean. False if it was already, or needs
/// not, as its blocks keep the size that was asked for.
pub(crate) fn begin(base: usize) -> bool {
    if allograft_heap::keeps_exact_sizes() {
        return false;
    }
    let mut states = slots::runtimes_of(base);
    // The first state decides which of several threads does it.
    if !states.next().is_some_and(Runtime::mark_clean_tails) {
        return false;
    }
    states.for_each(|state| {
        state.mark_clean_tails();
    });
    true
}

/// Begins to keep tails clean in the runtime whose function of the family was called in the slot
/// `number`.
pub(crate) fn recalloc_was_called(number: usize) {
    let base = slots::base_of(number)
        .filter(|_| slots::runtime(number).is_some_and(|runtime| !runtime.has_clean_tails()));
    if base.is_some_and(keep_clean) || IMPORTS_LAG.load(Ordering::Relaxed) {
        // The thread has the loader already in an entry point, where another would wait for it.
        if !(holds_loader_lock() && with_loader_at_rest(exchange_imports)) {
            exchange_imports_on_another_thread();
        }
    }
}

fn imports_recalloc(module: &Module, base: usize) -> bool {
    const NAMES: [&CStr; 3] = [c"_recalloc", c"_aligned_recalloc", c"_aligned_offset_recalloc"];
    let is_meant = |address| slots::is_in_module(address, base);
    let region = |address| Windows.region(address);
    imports::find_any(module, &region, &NAMES, is_meant).is_some()
}

/// Keeps tails clean in what is reached by jumps; false if they are already.
fn keep_clean(base: usize) -> bool {
    if !begin(base) {
        return false;
    }
    for relays in slots::relays_of(base) {
        // If the system refuses, `_recalloc` stays as exact as mimalloc's own.
        let _ = relays.retarget(&Windows, |entry| clean_counterpart(entry).map(|(_, clean)| clean));
    }
    true
}

/// Points the import slots that lead to entries which leave tails as they are at those that keep
/// them clean. The loader is at rest.
fn exchange_imports() {
    // Before the exchange: what is marked from here on is exchanged once more.
    IMPORTS_LAG.store(false, Ordering::Release);
    import_tables::redirect(&mut loaded_modules(), &|address| {
        let (slot, entry) = clean_counterpart(address)?;
        slots::runtime(slot)?.has_clean_tails().then_some(entry)
    });
}

/// The same, from a thread of the program's, which may hold locks: it must not wait for the loader.
/// If the other thread cannot be started, the next call of `_recalloc` tries again.
fn exchange_imports_on_another_thread() {
    IMPORTS_LAG.store(true, Ordering::Release);
    if allograft_heap::process_ends() || EXCHANGE_STARTED.swap(true, Ordering::AcqRel) {
        return;
    }
    // SAFETY: the module that the function is in stays until the process ends.
    let thread =
        unsafe { CreateThread(null(), 0, Some(exchange_when_at_rest), null(), 0, null_mut()) };
    if thread.is_null() {
        EXCHANGE_STARTED.store(false, Ordering::Release);
        return;
    }
    // SAFETY: the handle is this function's own.
    unsafe {
        WaitForSingleObject(thread, PATIENCE);
        CloseHandle(thread);
    }
}

unsafe extern "system" fn exchange_when_at_rest(_: *mut c_void) -> u32 {
    let exchanged = with_loader_at_rest(|| {
        // In this order: a runtime that is marked from here on has a thread of its own.
        EXCHANGE_STARTED.store(false, Ordering::Release);
        exchange_imports();
    });
    if !exchanged {
        EXCHANGE_STARTED.store(false, Ordering::Release);
    }
    0
}

/// The slot and the entry that keeps tails clean, for the address of an entry that does not.
fn clean_counterpart(entry: usize) -> Option<(usize, usize)> {
    (0..RUNTIMES).find_map(|slot| {
        let ordinary = allograft_heap::entries(slot, false).addresses();
        let index = ordinary.iter().position(|&address| address == entry)?;
        let clean = allograft_heap::entries(slot, true).addresses()[index];
        (clean != entry).then_some((slot, clean))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_that_allocates_has_a_counterpart_in_its_own_slot() {
        for slot in 0..RUNTIMES {
            let (ordinary, clean) =
                (allograft_heap::entries(slot, false), allograft_heap::entries(slot, true));
            let counterpart = clean_counterpart(ordinary.malloc as usize);
            assert_eq!(counterpart, Some((slot, clean.malloc as usize)));
            assert_eq!(clean_counterpart(clean.malloc as usize), None, "it is clean already");
        }
        assert_eq!(clean_counterpart(0x1234), None);
    }
}
