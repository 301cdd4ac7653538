//! Keeping the tails of blocks zero, for programs that use `_recalloc`.
//!
//! `_recalloc` zeroes what it adds to a block, counted from the size that the program last asked for. mimalloc knows the size
//! of the block only, which may be a little more. The bytes between the two, the *tail*, are zero while [`are_clean`] holds,
//! so that the difference cannot be seen. Keeping them so costs time in every `malloc`; so it begins with the first
//! module that imports one of the functions (see [`uses_recalloc`]), or with their first call.

use core::ffi::{CStr, c_void};
use core::sync::atomic::{AtomicBool, Ordering};

use allograft_heap::RUNTIMES;
use allograft_patch::Windows;

use crate::functions::FUNCTIONS;
use crate::loaded::Module;
use crate::slots;
use crate::{contract, imports};

static CLEAN: AtomicBool = AtomicBool::new(false);

/// Whether tails are kept clean.
pub(crate) fn are_clean() -> bool {
    CLEAN.load(Ordering::Relaxed)
}

/// Keeps the tails of all blocks clean that are allocated or resized from now on.
pub fn keep_tails_clean() {
    if are_clean() || CLEAN.swap(true, Ordering::AcqRel) {
        return;
    }
    for relays in slots::all_relays() {
        // Where the system refuses, `_recalloc` is as exact as it was before: mimalloc's own.
        let _ = relays.retarget(&Windows, clean_entry_for);
    }
}

/// The entry that keeps tails clean, for the address of one that does not.
fn clean_entry_for(entry: usize) -> Option<usize> {
    let rows = || FUNCTIONS.iter().map(|row| row.function);
    (0..RUNTIMES)
        .flat_map(|slot| rows().map(move |function| (function, slot)))
        .find(|&(function, slot)| contract::entry(function, slot, false) == entry)
        .map(|(function, slot)| contract::entry(function, slot, true))
}

/// Zeroes the tail of a block that the program asked `size` bytes of. Returns the block, which may be NULL or foreign.
pub(crate) fn tidy(block: *mut c_void, size: usize) -> *mut c_void {
    if are_clean() && !block.is_null() && allograft_heap::owns(block) {
        // SAFETY: the block is mimalloc's, and the program does not have these bytes.
        unsafe { zero(block, size, allograft_heap::usable_size(block)) };
    }
    block
}

/// The same for a block of one of the aligned functions.
pub(crate) fn tidy_aligned(block: *mut c_void, size: usize) -> *mut c_void {
    if are_clean() && !block.is_null() && allograft_heap::owns(block) {
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

/// Whether `module` imports a function of the `_recalloc` family from whatever module.
pub fn uses_recalloc(module: &Module) -> bool {
    const NAMES: [&CStr; 3] = [
        c"_recalloc",
        c"_aligned_recalloc",
        c"_aligned_offset_recalloc",
    ];
    imports::imports_any(module, &NAMES)
}
