//! `malloc`, `realloc`, `free` and `_msize` where the hot entries leave them, `_recalloc` and
//! `_expand`.

use core::ffi::{c_uint, c_void};
use core::ptr::null_mut;

use super::common::{clean_tail, copy, product, with_new_handler, zero};
use crate::foreign::RawBlock;
use crate::runtime::{ENOMEM, LARGEST_REQUEST, Runtime};
use crate::{foreign, slots, tails};

/// `malloc` or `calloc`, when mimalloc had no memory.
pub(super) extern "C" fn allocate_for(size: usize, zeroed: bool, slot: c_uint) -> *mut c_void {
    match slots::runtime(slot as usize) {
        Some(runtime) => allocate(runtime, size, zeroed),
        None => null_mut(),
    }
}

/// `realloc`, for NULL, for no bytes, for foreign blocks, and when mimalloc had no memory.
pub(super) unsafe extern "C" fn reallocate_for(
    block: *mut c_void,
    size: usize,
    slot: c_uint,
) -> *mut c_void {
    match slots::runtime(slot as usize) {
        // SAFETY: the program's promise to `realloc`.
        Some(runtime) => unsafe { reallocate(runtime, block, size) },
        None => null_mut(),
    }
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

/// A block of `size` bytes, or the failure that the program expects.
pub(super) fn allocate(runtime: &Runtime, size: usize, zeroed: bool) -> *mut c_void {
    with_new_handler(runtime, size, || {
        if allograft_heap::is_too_late() {
            return foreign::allocate(runtime, size, zeroed);
        }
        let block = if zeroed {
            allograft_heap::allocate_zeroed(size)
        } else {
            allograft_heap::allocate(size)
        };
        clean_tail(runtime, block, size)
    })
}

/// `realloc` in all its cases.
///
/// # Safety
/// `block` is NULL or a block of either heap, and the program gives it up if another one is
/// returned.
unsafe fn reallocate(runtime: &Runtime, block: *mut c_void, size: usize) -> *mut c_void {
    if block.is_null() {
        return allocate(runtime, size, false);
    }
    // SAFETY: `owns` decides which heap the block is given to; what is copied fits both blocks.
    unsafe {
        if size == 0 {
            release(runtime, block);
            return null_mut();
        }
        if allograft_heap::owns(block) {
            let usable = allograft_heap::usable_size(block);
            if size <= usable && size >= usable / 2 {
                return clean_tail(runtime, block, size);
            }
            if size <= usable {
                // Shrinking never fails: without memory for a smaller block it stays where it is.
                let smaller = allograft_heap::allocate(size);
                if smaller.is_null() {
                    return clean_tail(runtime, block, size);
                }
                copy(block, smaller, size);
                allograft_heap::free(block);
                return clean_tail(runtime, smaller, size);
            }
            let moved = allocate(runtime, size, false);
            if !moved.is_null() {
                let kept = usable.min(size);
                copy(block, moved, kept);
                allograft_heap::free(block);
            }
            return moved;
        }
        let Some(old) = foreign::size(runtime, block) else {
            runtime.set_errno(ENOMEM);
            return null_mut();
        };
        let moved = allocate(runtime, size, false);
        if !moved.is_null() {
            let raw = RawBlock { start: block, size: old };
            foreign::migrate(runtime, block, raw, moved, old.min(size));
        }
        moved
    }
}

/// Frees a block of either heap.
///
/// # Safety
/// `block` is a block of either heap, and nobody uses it afterwards.
pub(super) unsafe fn release(runtime: &Runtime, block: *mut c_void) {
    if allograft_heap::owns(block) {
        // SAFETY: the block is mimalloc's, and by the contract nobody uses it any more.
        unsafe { allograft_heap::free(block) };
    } else {
        foreign::free(runtime, block);
    }
}

/// `_recalloc`
///
/// # Safety
/// As for the function of that name.
pub(super) unsafe extern "C" fn recalloc<const SLOT: usize>(
    block: *mut c_void,
    count: usize,
    size: usize,
) -> *mut c_void {
    tails::recalloc_was_called(SLOT);
    // SAFETY: the same contract.
    unsafe { recalloc_of_runtime::<SLOT>(block, count, size) }
}

/// `_recalloc` as the runtime's own code calls it, for its own tables. These come from `calloc` or
/// from this function, so that their tails are zero in any case: no reason to keep all tails clean.
///
/// # Safety
/// As for `_recalloc`.
pub(super) unsafe extern "C" fn recalloc_of_runtime<const SLOT: usize>(
    block: *mut c_void,
    count: usize,
    size: usize,
) -> *mut c_void {
    let Some(runtime) = slots::runtime(SLOT) else {
        return null_mut();
    };
    let Some(total) = product(runtime, count, size) else {
        return null_mut();
    };
    if block.is_null() {
        return allocate(runtime, total, true);
    }
    // SAFETY: the program's promise to `_recalloc`.
    unsafe {
        let old = if allograft_heap::owns(block) {
            allograft_heap::usable_size(block)
        } else {
            foreign::size(runtime, block).unwrap_or(0)
        };
        let resized = reallocate(runtime, block, total);
        if !resized.is_null() {
            zero(resized, old, total);
        }
        resized
    }
}

/// `_expand`
///
/// # Safety
/// As for the function of that name.
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
    let fits = size <= LARGEST_REQUEST
        && unsafe {
            if allograft_heap::owns(block) {
                size <= allograft_heap::usable_size(block)
            } else {
                foreign::size(runtime, block)
                    .is_some_and(|old| foreign::shrink(runtime, block, old, size))
            }
        };
    if fits {
        return clean_tail(runtime, block, size.max(1));
    }
    runtime.set_errno(ENOMEM);
    null_mut()
}
