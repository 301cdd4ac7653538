//! What several replacements have in common: failing as the C runtime does, and clean tails.

use core::ffi::c_void;

use windows_sys::Win32::Foundation::{ERROR_NOT_ENOUGH_MEMORY, GetLastError, SetLastError};

use crate::runtime::{ENOMEM, LARGEST_REQUEST, Runtime};

/// Calls `attempt` until it returns a block, or the program's new handler gives up; then the call
/// fails as the runtime's own does. `request` is the size that the handler gets.
pub(super) fn with_new_handler(
    runtime: &Runtime,
    request: usize,
    attempt: impl Fn() -> *mut c_void,
) -> *mut c_void {
    if request <= LARGEST_REQUEST {
        let before = last_error();
        loop {
            let block = attempt();
            if !block.is_null() {
                set_last_error(before);
                return block;
            }
            if !runtime.call_new_handler(request) {
                break;
            }
        }
        // As a heap of the system does when it has no memory.
        set_last_error(ERROR_NOT_ENOUGH_MEMORY);
    }
    runtime.set_errno(ENOMEM);
    core::ptr::null_mut()
}

/// The calling thread's last error, which a successful call leaves unchanged.
fn last_error() -> u32 {
    // SAFETY: the call only reads the calling thread's TEB.
    unsafe { GetLastError() }
}

fn set_last_error(code: u32) {
    // SAFETY: the call only writes the calling thread's TEB.
    unsafe { SetLastError(code) };
}

/// `count * size`, unless it is more than a runtime requests from its heap: then the call fails.
pub(super) fn product(runtime: &Runtime, count: usize, size: usize) -> Option<usize> {
    let product = count.checked_mul(size).filter(|&product| product <= LARGEST_REQUEST);
    if product.is_none() {
        runtime.set_errno(ENOMEM);
    }
    product
}

/// Zeroes the tail of a block that the program requested `size` bytes of. Returns the block, which
/// may be NULL or foreign.
pub(super) fn clean_tail(runtime: &Runtime, block: *mut c_void, size: usize) -> *mut c_void {
    if runtime.has_clean_tails() && !block.is_null() && allograft_heap::owns(block) {
        // SAFETY: the block is mimalloc's, and the bytes behind `size` are not the program's.
        unsafe { zero(block, size, allograft_heap::usable_size(block)) };
    }
    block
}

/// The same for a block of one of the aligned functions.
pub(super) fn clean_aligned_tail(
    runtime: &Runtime,
    block: *mut c_void,
    size: usize,
) -> *mut c_void {
    if runtime.has_clean_tails() && !block.is_null() && allograft_heap::owns(block) {
        // SAFETY: the block is mimalloc's, and the bytes behind `size` are not the program's.
        unsafe { zero(block, size, allograft_heap::usable_size_of_aligned(block)) };
    }
    block
}

/// Zeroes the bytes of a block from `from` to `to`, if there are any.
///
/// # Safety
/// The block is at least `to` bytes long, and not NULL.
pub(super) unsafe fn zero(block: *mut c_void, from: usize, to: usize) {
    if from < to {
        // SAFETY: by the contract these bytes are in the block.
        unsafe { block.cast::<u8>().add(from).write_bytes(0, to - from) };
    }
}

/// Copies the first `kept` bytes of `from` to `to`.
///
/// # Safety
/// Both are different blocks of at least `kept` bytes.
pub(super) unsafe fn copy(from: *const c_void, to: *mut c_void, kept: usize) {
    // SAFETY: by the contract both have these bytes, and two blocks do not overlap.
    unsafe { core::ptr::copy_nonoverlapping(from.cast::<u8>(), to.cast::<u8>(), kept) };
}
