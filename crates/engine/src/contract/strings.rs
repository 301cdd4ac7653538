//! `_strdup`, `_wcsdup`, `_mbsdup`.

use core::ffi::c_void;
use core::ptr::null_mut;

use super::blocks::allocate;
use crate::slots;

/// `_strdup`, and `_mbsdup`, which copies bytes as well.
pub(super) unsafe extern "C" fn strdup<const SLOT: usize>(text: *const u8) -> *mut c_void {
    // SAFETY: the program's promise.
    unsafe { duplicate(text, SLOT) }
}

/// `_wcsdup`
pub(super) unsafe extern "C" fn wcsdup<const SLOT: usize>(text: *const u16) -> *mut c_void {
    // SAFETY: the program's promise.
    unsafe { duplicate(text, SLOT) }
}

/// # Safety
/// `text` is NULL or ends with a zero.
unsafe fn duplicate<T: Copy + PartialEq + Default>(text: *const T, slot: usize) -> *mut c_void {
    if text.is_null() {
        return null_mut();
    }
    let Some(runtime) = slots::runtime(slot) else {
        return null_mut();
    };
    // SAFETY: the text is read up to its zero, and the block has room for it with the zero.
    unsafe {
        let mut count = 1;
        while *text.add(count - 1) != T::default() {
            count += 1;
        }
        let block = allocate(runtime, count * size_of::<T>(), false);
        if !block.is_null() {
            core::ptr::copy_nonoverlapping(text, block.cast::<T>(), count);
        }
        block
    }
}
