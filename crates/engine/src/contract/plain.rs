//! `malloc` and its kin: what is left of them by the hot entries, `_recalloc` and `_expand`.

use core::ffi::{c_uint, c_void};
use core::ptr::null_mut;

use super::{product, with_new_handler, zero_growth};
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
        tails::tidy(runtime, block, size)
    })
}

/// `realloc` in all its cases.
///
/// # Safety
/// `block` is NULL or a block of either heap, and the program does not use it any more if another
/// one is returned.
unsafe fn reallocate(runtime: &Runtime, block: *mut c_void, size: usize) -> *mut c_void {
    if block.is_null() {
        return allocate(runtime, size, false);
    }
    // SAFETY: the caller's promise, in every arm; what is copied fits both blocks.
    unsafe {
        if size == 0 {
            release(runtime, block);
            return null_mut();
        }
        if allograft_heap::owns(block) {
            let usable = allograft_heap::usable_size(block);
            if size <= usable && size >= usable / 2 {
                return tails::tidy(runtime, block, size);
            }
            if size <= usable {
                // A block never fails to shrink: without memory for a smaller one it stays where it
                // is.
                let smaller = allograft_heap::allocate(size);
                if smaller.is_null() {
                    return tails::tidy(runtime, block, size);
                }
                core::ptr::copy_nonoverlapping(block.cast::<u8>(), smaller.cast::<u8>(), size);
                allograft_heap::free(block);
                return tails::tidy(runtime, smaller, size);
            }
            let moved = allocate(runtime, size, false);
            if !moved.is_null() {
                let kept = usable.min(size);
                core::ptr::copy_nonoverlapping(block.cast::<u8>(), moved.cast::<u8>(), kept);
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
            foreign::migrate(runtime, block, block, old, moved, old.min(size));
        }
        moved
    }
}

/// Frees a block of either heap.
///
/// # Safety
/// `block` is one, and nobody uses it afterwards.
pub(super) unsafe fn release(runtime: &Runtime, block: *mut c_void) {
    if allograft_heap::owns(block) {
        // SAFETY: the caller's promise.
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
    unsafe { recalloc_within::<SLOT>(block, count, size) }
}

/// `_recalloc` as the runtime's own code calls it, for tables of its own: they are made by `calloc`
/// or by this, whose tails are zero anyway, so that this is no reason to keep those of the whole
/// program clean.
///
/// # Safety
/// As for `_recalloc`.
pub(super) unsafe extern "C" fn recalloc_within<const SLOT: usize>(
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
            zero_growth(resized, old, total);
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
        return tails::tidy(runtime, block, size.max(1));
    }
    runtime.set_errno(ENOMEM);
    null_mut()
}
