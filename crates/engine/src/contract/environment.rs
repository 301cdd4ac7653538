//! `_dupenv_s` and `_wdupenv_s`: the runtime's own environment, in a block of mimalloc's.

use core::ffi::{c_int, c_void};
use core::ptr::null_mut;

use super::blocks::{Kind, allocate, release};
use crate::runtime::{EINVAL, ENOMEM, Runtime};
use crate::slots;

/// `_dupenv_s`
pub(super) unsafe extern "C" fn dupenv_s<const SLOT: usize>(
    buffer: *mut *mut c_void,
    count: *mut usize,
    name: *const c_void,
) -> c_int {
    // SAFETY: the program's promise.
    unsafe { duplicate(buffer, count, name, SLOT, false) }
}

/// `_wdupenv_s`
pub(super) unsafe extern "C" fn wdupenv_s<const SLOT: usize>(
    buffer: *mut *mut c_void,
    count: *mut usize,
    name: *const c_void,
) -> c_int {
    // SAFETY: the program's promise.
    unsafe { duplicate(buffer, count, name, SLOT, true) }
}

/// # Safety
/// `buffer` and `count` are NULL or can be written, `name` is NULL or a string, wide or not.
unsafe fn duplicate(
    buffer: *mut *mut c_void,
    count: *mut usize,
    name: *const c_void,
    slot: usize,
    wide: bool,
) -> c_int {
    let Some(runtime) = slots::runtime(slot) else {
        return ENOMEM;
    };
    if buffer.is_null() {
        runtime.invalid_parameter();
        return EINVAL;
    }
    // SAFETY: the caller's promise.
    unsafe {
        *buffer = null_mut();
        if !count.is_null() {
            *count = 0;
        }
        if name.is_null() {
            runtime.invalid_parameter();
            return EINVAL;
        }
        match copy_of_variable(runtime, name, wide) {
            Ok(None) => 0,
            Ok(Some((block, units))) => {
                *buffer = block;
                if !count.is_null() {
                    *count = units;
                }
                0
            }
            Err(code) => code,
        }
    }
}

/// The variable's value in a block, and its length with the zero, in characters; none if it is not
/// set.
///
/// # Safety
/// `name` is a string, wide or not.
unsafe fn copy_of_variable(
    runtime: &Runtime,
    name: *const c_void,
    wide: bool,
) -> Result<Option<(*mut c_void, usize)>, c_int> {
    let Some(getenv_s) = runtime.getenv_s(wide) else {
        return Ok(None);
    };
    let unit = if wide { 2 } else { 1 };
    let errno = runtime.errno();
    let mut needed = 0;
    // SAFETY: without a buffer the runtime only returns the length.
    unsafe { getenv_s(&mut needed, null_mut(), 0, name) };
    runtime.set_errno(errno);
    // Another thread may make the value longer between two calls; then it is asked for again.
    while needed != 0 {
        let room = needed;
        let block = allocate(runtime, room * unit, false);
        if block.is_null() {
            return Err(ENOMEM);
        }
        // SAFETY: the block has room for as many characters.
        let code = unsafe { getenv_s(&mut needed, block, room, name) };
        if code == 0 && needed != 0 {
            return Ok(Some((block, needed)));
        }
        // SAFETY: the block is fresh, and nobody else knows it.
        unsafe { release(runtime, block, Kind::Plain) };
        runtime.set_errno(errno);
    }
    Ok(None)
}
