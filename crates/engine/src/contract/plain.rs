//! `malloc`, `realloc`, `free` and `_msize` where the hot entries leave them, `_recalloc` and
//! `_expand`.

use core::ffi::{c_uint, c_void};
use core::ptr::null_mut;

use super::blocks::{Kind, allocate, product, reallocate, reallocate_zeroed};
use crate::runtime::{ENOMEM, LARGEST_REQUEST};
use crate::{foreign, slots, tails};

/// `malloc` or `calloc`, when mimalloc had no memory.
pub(super) extern "C" fn allocate_for(size: usize, zeroed: bool, slot: c_uint) -> *mut c_void {
    let runtime = slots::runtime(slot as usize);
    runtime.map_or(null_mut(), |runtime| allocate(runtime, size, zeroed))
}

/// `realloc`, for NULL, for no bytes, for foreign blocks, and when mimalloc had no memory.
pub(super) unsafe extern "C" fn reallocate_for(
    block: *mut c_void,
    size: usize,
    slot: c_uint,
) -> *mut c_void {
    let runtime = slots::runtime(slot as usize);
    // SAFETY: the program's promise to `realloc`.
    runtime.map_or(null_mut(), |runtime| unsafe { reallocate(runtime, block, size, Kind::Plain) })
}

/// `free` of NULL and of foreign blocks.
pub(super) unsafe extern "C" fn release_for(block: *mut c_void, slot: c_uint) {
    if block.is_null() {
        return;
    }
    match slots::runtime(slot as usize) {
        Some(runtime) => foreign::free(runtime, block),
        None => foreign::free_orphan(block),
    }
}

/// `_msize` of NULL and of foreign blocks.
pub(super) unsafe extern "C" fn usable_size_for(block: *mut c_void, slot: c_uint) -> usize {
    let Some(runtime) = slots::runtime(slot as usize) else {
        return usize::MAX;
    };
    if block.is_null() {
        runtime.invalid_parameter();
        return usize::MAX;
    }
    foreign::size(runtime, block).unwrap_or(usize::MAX)
}

/// `_recalloc`
pub(super) unsafe extern "C" fn recalloc<const SLOT: usize>(
    block: *mut c_void,
    count: usize,
    size: usize,
) -> *mut c_void {
    tails::recalloc_was_called(SLOT);
    // SAFETY: the program's promise to `_recalloc`.
    unsafe { recalloc_of_runtime::<SLOT>(block, count, size) }
}

/// `_recalloc` as the runtime's own code calls it, for its own tables. These come from `calloc` or
/// from this function, so that their tails are zero in any case: no reason to keep all tails clean.
pub(super) unsafe extern "C" fn recalloc_of_runtime<const SLOT: usize>(
    block: *mut c_void,
    count: usize,
    size: usize,
) -> *mut c_void {
    let Some(runtime) = slots::runtime(SLOT) else {
        return null_mut();
    };
    match product(runtime, count, size) {
        None => null_mut(),
        Some(total) if block.is_null() => allocate(runtime, total, true),
        // SAFETY: the program's promise to `_recalloc`.
        Some(total) => unsafe { reallocate_zeroed(runtime, block, total, Kind::Plain) },
    }
}

/// `_expand`
pub(super) unsafe extern "C" fn expand<const SLOT: usize>(
    block: *mut c_void,
    size: usize,
) -> *mut c_void {
    let Some(runtime) = slots::runtime(SLOT) else {
        return null_mut();
    };
    if block.is_null() {
        runtime.invalid_parameter();
        return null_mut();
    }
    // SAFETY: the program's promise to `_expand`.
    unsafe {
        let fits = size <= LARGEST_REQUEST
            && if allograft_heap::owns(block) {
                allograft_heap::exact_resize_in_place(block, size.max(1), false)
            } else {
                foreign::size(runtime, block)
                    .is_some_and(|old| foreign::shrink(runtime, block, old, size))
            };
        if fits {
            return Kind::Plain.clean_tail(runtime, block, size.max(1));
        }
    }
    runtime.set_errno(ENOMEM);
    null_mut()
}
