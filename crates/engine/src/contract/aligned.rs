//! The aligned functions. Their new blocks are mimalloc's, aligned by mimalloc; foreign ones have
//! the runtime's layout (see [`crate::aligned_layout`]).

use core::ffi::{c_uint, c_void};
use core::ptr::null_mut;

use super::common::{clean_aligned_tail, copy, product, with_new_handler, zero};
use crate::aligned_layout::AlignedLayout;
use crate::foreign::RawBlock;
use crate::runtime::{ENOMEM, LARGEST_REQUEST, Runtime};
use crate::{foreign, slots, tails};

/// The size that the runtime would request from its heap, after it has checked its arguments. None
/// if the call fails; it has set `errno` then.
fn request(runtime: &Runtime, size: usize, layout: AlignedLayout) -> Option<usize> {
    if !layout.is_valid_for(size) {
        runtime.invalid_parameter();
        return None;
    }
    let request = size.checked_add(layout.overhead()).filter(|&sum| sum <= LARGEST_REQUEST);
    if request.is_none() {
        runtime.set_errno(ENOMEM);
    }
    request
}

/// `_aligned_malloc`, for bad alignments and when mimalloc had no memory.
pub(super) extern "C" fn allocate_for(size: usize, alignment: usize, slot: c_uint) -> *mut c_void {
    match slots::runtime(slot as usize) {
        Some(runtime) => allocate(runtime, size, AlignedLayout { alignment, offset: 0 }),
        None => null_mut(),
    }
}

/// `_aligned_free` of NULL and of foreign blocks.
pub(super) unsafe extern "C" fn release_for(block: *mut c_void, slot: c_uint) {
    if block.is_null() {
        return;
    }
    // SAFETY: the program's promise to `_aligned_free`.
    let raw = unsafe { foreign::raw_of_aligned(block) };
    match slots::runtime(slot as usize) {
        Some(runtime) => foreign::free(runtime, raw),
        None => foreign::free_orphan(raw),
    }
}

fn allocate(runtime: &Runtime, size: usize, layout: AlignedLayout) -> *mut c_void {
    let Some(request) = request(runtime, size, layout) else {
        return null_mut();
    };
    with_new_handler(runtime, request, || {
        let AlignedLayout { alignment, offset } = layout;
        let too_late = allograft_heap::is_too_late();
        let block = if too_late {
            null_mut()
        } else {
            allograft_heap::allocate_aligned(size, alignment, offset)
        };
        if block.is_null() && (too_late || offset != 0) {
            return foreign::allocate_aligned(runtime, size, layout);
        }
        clean_aligned_tail(runtime, block, size)
    })
}

/// # Safety
/// `block` is an aligned block of either heap, and nobody uses it afterwards.
unsafe fn release(runtime: &Runtime, block: *mut c_void) {
    // SAFETY: the caller's promise.
    unsafe {
        if allograft_heap::owns(block) {
            allograft_heap::free_aligned(block);
        } else {
            foreign::free(runtime, foreign::raw_of_aligned(block));
        }
    }
}

/// The size of an aligned block, as `_aligned_msize` returns it.
///
/// # Safety
/// `block` is an aligned block of either heap.
unsafe fn size_of_block(runtime: &Runtime, block: *mut c_void, layout: AlignedLayout) -> usize {
    // SAFETY: the caller's promise.
    unsafe {
        if allograft_heap::owns(block) {
            return allograft_heap::usable_size_of_aligned(block);
        }
        let raw = foreign::raw_of_aligned(block);
        let size = foreign::size(runtime, raw);
        size.map_or(usize::MAX, |size| size.wrapping_sub(layout.overhead()))
    }
}

/// # Safety
/// As for `_aligned_offset_realloc`.
unsafe fn reallocate(
    runtime: &Runtime,
    block: *mut c_void,
    size: usize,
    layout: AlignedLayout,
) -> *mut c_void {
    if block.is_null() {
        return allocate(runtime, size, layout);
    }
    // SAFETY: `owns` decides which heap the block is given to; what is copied fits both blocks.
    unsafe {
        if size == 0 {
            release(runtime, block);
            return null_mut();
        }
        if request(runtime, size, layout).is_none() {
            return null_mut();
        }
        if allograft_heap::owns(block) {
            let usable = allograft_heap::usable_size_of_aligned(block);
            if layout.holds_for(block) && size <= usable && size >= usable / 2 {
                return clean_aligned_tail(runtime, block, size);
            }
            if layout.holds_for(block) && size <= usable {
                // Shrinking never fails: without memory for a smaller block it stays where it is.
                let AlignedLayout { alignment, offset } = layout;
                let smaller = allograft_heap::allocate_aligned(size, alignment, offset);
                if smaller.is_null() {
                    return clean_aligned_tail(runtime, block, size);
                }
                copy(block, smaller, size);
                allograft_heap::free_aligned(block);
                return clean_aligned_tail(runtime, smaller, size);
            }
            let moved = allocate(runtime, size, layout);
            if !moved.is_null() {
                let kept = usable.min(size);
                copy(block, moved, kept);
                allograft_heap::free_aligned(block);
            }
            return moved;
        }
        let raw = foreign::raw_of_aligned(block);
        let Some(raw_size) = foreign::size(runtime, raw) else {
            runtime.set_errno(ENOMEM);
            return null_mut();
        };
        let moved = allocate(runtime, size, layout);
        if !moved.is_null() {
            let old = raw_size.saturating_sub(block as usize - raw as usize);
            let raw = RawBlock { start: raw, size: raw_size };
            foreign::migrate(runtime, block, raw, moved, old.min(size));
        }
        moved
    }
}

/// # Safety
/// As for `_aligned_offset_recalloc`.
unsafe fn reallocate_zeroed(
    runtime: &Runtime,
    block: *mut c_void,
    count: usize,
    size: usize,
    layout: AlignedLayout,
) -> *mut c_void {
    let Some(total) = product(runtime, count, size) else {
        return null_mut();
    };
    // SAFETY: the caller's promise.
    unsafe {
        let old = if block.is_null() { 0 } else { size_of_block(runtime, block, layout) };
        let resized = reallocate(runtime, block, total, layout);
        if !resized.is_null() {
            zero(resized, old, total);
        }
        resized
    }
}

/// `_aligned_realloc`
///
/// # Safety
/// As for the function of that name.
pub(super) unsafe extern "C" fn realloc<const SLOT: usize>(
    block: *mut c_void,
    size: usize,
    alignment: usize,
) -> *mut c_void {
    // SAFETY: the same contract.
    unsafe { offset_realloc::<SLOT>(block, size, alignment, 0) }
}

/// `_aligned_recalloc`
///
/// # Safety
/// As for the function of that name.
pub(super) unsafe extern "C" fn recalloc<const SLOT: usize>(
    block: *mut c_void,
    count: usize,
    size: usize,
    alignment: usize,
) -> *mut c_void {
    // SAFETY: the same contract.
    unsafe { offset_recalloc::<SLOT>(block, count, size, alignment, 0) }
}

/// `_aligned_msize`
///
/// # Safety
/// As for the function of that name.
pub(super) unsafe extern "C" fn msize<const SLOT: usize>(
    block: *mut c_void,
    alignment: usize,
    offset: usize,
) -> usize {
    let Some(runtime) = slots::runtime(SLOT) else {
        return usize::MAX;
    };
    if block.is_null() {
        runtime.invalid_parameter();
        return usize::MAX;
    }
    // SAFETY: the program's promise to `_aligned_msize`.
    unsafe { size_of_block(runtime, block, AlignedLayout { alignment, offset }) }
}

/// `_aligned_offset_malloc`
pub(super) extern "C" fn offset_malloc<const SLOT: usize>(
    size: usize,
    alignment: usize,
    offset: usize,
) -> *mut c_void {
    match slots::runtime(SLOT) {
        Some(runtime) => allocate(runtime, size, AlignedLayout { alignment, offset }),
        None => null_mut(),
    }
}

/// `_aligned_offset_realloc`
///
/// # Safety
/// As for the function of that name.
pub(super) unsafe extern "C" fn offset_realloc<const SLOT: usize>(
    block: *mut c_void,
    size: usize,
    alignment: usize,
    offset: usize,
) -> *mut c_void {
    match slots::runtime(SLOT) {
        // SAFETY: the same contract.
        Some(runtime) => unsafe {
            reallocate(runtime, block, size, AlignedLayout { alignment, offset })
        },
        None => null_mut(),
    }
}

/// `_aligned_offset_recalloc`
///
/// # Safety
/// As for the function of that name.
pub(super) unsafe extern "C" fn offset_recalloc<const SLOT: usize>(
    block: *mut c_void,
    count: usize,
    size: usize,
    alignment: usize,
    offset: usize,
) -> *mut c_void {
    tails::recalloc_was_called(SLOT);
    let layout = AlignedLayout { alignment, offset };
    match slots::runtime(SLOT) {
        // SAFETY: the same contract.
        Some(runtime) => unsafe { reallocate_zeroed(runtime, block, count, size, layout) },
        None => null_mut(),
    }
}
