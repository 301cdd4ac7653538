//! The aligned functions.

use core::ffi::{c_uint, c_void};
use core::ptr::null_mut;

use super::blocks::{
    Kind, allocate_aligned, product, reallocate, reallocate_zeroed, size_of_block,
};
use crate::aligned_layout::AlignedLayout;
use crate::{foreign, slots, tails};

/// `_aligned_malloc`, for bad alignments and when mimalloc had no memory.
pub(super) extern "C" fn allocate_for(size: usize, alignment: usize, slot: c_uint) -> *mut c_void {
    let layout = AlignedLayout { alignment, offset: 0 };
    let runtime = slots::runtime(slot as usize);
    runtime.map_or(null_mut(), |runtime| allocate_aligned(runtime, size, layout))
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

/// `_aligned_realloc`
pub(super) unsafe extern "C" fn realloc<const SLOT: usize>(
    block: *mut c_void,
    size: usize,
    alignment: usize,
) -> *mut c_void {
    // SAFETY: the program's promise to `_aligned_realloc`.
    unsafe { offset_realloc::<SLOT>(block, size, alignment, 0) }
}

/// `_aligned_recalloc`
pub(super) unsafe extern "C" fn recalloc<const SLOT: usize>(
    block: *mut c_void,
    count: usize,
    size: usize,
    alignment: usize,
) -> *mut c_void {
    // SAFETY: the program's promise to `_aligned_recalloc`.
    unsafe { offset_recalloc::<SLOT>(block, count, size, alignment, 0) }
}

/// `_aligned_msize`
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
    let kind = Kind::Aligned(AlignedLayout { alignment, offset });
    // SAFETY: the program's promise to `_aligned_msize`.
    unsafe { size_of_block(runtime, block, kind) }
}

/// `_aligned_offset_malloc`
pub(super) extern "C" fn offset_malloc<const SLOT: usize>(
    size: usize,
    alignment: usize,
    offset: usize,
) -> *mut c_void {
    let layout = AlignedLayout { alignment, offset };
    slots::runtime(SLOT).map_or(null_mut(), |runtime| allocate_aligned(runtime, size, layout))
}

/// `_aligned_offset_realloc`
pub(super) unsafe extern "C" fn offset_realloc<const SLOT: usize>(
    block: *mut c_void,
    size: usize,
    alignment: usize,
    offset: usize,
) -> *mut c_void {
    let kind = Kind::Aligned(AlignedLayout { alignment, offset });
    slots::runtime(SLOT)
        // SAFETY: the program's promise to `_aligned_offset_realloc`.
        .map_or(null_mut(), |runtime| unsafe { reallocate(runtime, block, size, kind) })
}

/// `_aligned_offset_recalloc`
pub(super) unsafe extern "C" fn offset_recalloc<const SLOT: usize>(
    block: *mut c_void,
    count: usize,
    size: usize,
    alignment: usize,
    offset: usize,
) -> *mut c_void {
    tails::recalloc_was_called(SLOT);
    let kind = Kind::Aligned(AlignedLayout { alignment, offset });
    let Some(runtime) = slots::runtime(SLOT) else {
        return null_mut();
    };
    product(runtime, count, size).map_or(null_mut(), |total| {
        // SAFETY: the program's promise to `_aligned_offset_recalloc`.
        unsafe { reallocate_zeroed(runtime, block, total, kind) }
    })
}
