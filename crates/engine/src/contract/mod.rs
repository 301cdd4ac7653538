//! What each replaced function does, beyond what the hot entries do by themselves: the contract of
//! the C runtime, kept with mimalloc's blocks and with foreign ones.
//!
//! The functions here are cold. They are generic over the number of the runtime that was called,
//! since the jump that leads to them carries no argument that would say it; [`entry`] picks the
//! right instance.

mod aligned;
mod environment;
mod plain;
mod strings;

use core::ffi::c_void;

use allograft_heap::{ColdPaths, RUNTIMES};
use windows_sys::Win32::Foundation::{ERROR_NOT_ENOUGH_MEMORY, GetLastError, SetLastError};

use crate::functions::Function;
use crate::runtime::{ENOMEM, LARGEST_REQUEST, Runtime};

/// What the hot entries leave to us.
pub const COLD_PATHS: ColdPaths = ColdPaths {
    allocate: plain::allocate_for,
    reallocate: plain::reallocate_for,
    release: plain::release_for,
    usable_size: plain::usable_size_for,
    allocate_aligned: aligned::allocate_for,
    release_aligned: aligned::release_for,
};

/// The instances of a cold function for all runtimes, as addresses.
macro_rules! instances {
    ($room:ident::$function:ident) => {{
        let instances: [usize; RUNTIMES] = [
            $room::$function::<0> as *const () as usize,
            $room::$function::<1> as *const () as usize,
            $room::$function::<2> as *const () as usize,
            $room::$function::<3> as *const () as usize,
            $room::$function::<4> as *const () as usize,
            $room::$function::<5> as *const () as usize,
            $room::$function::<6> as *const () as usize,
            $room::$function::<7> as *const () as usize,
        ];
        instances
    }};
}

/// The address that takes the place of `function` in the runtime with the number `slot`; with
/// `clean_tails`, the one that keeps the tails of blocks zero.
pub(crate) fn entry(function: Function, slot: usize, clean_tails: bool) -> usize {
    let hot = allograft_heap::entries(slot, clean_tails);
    match function {
        Function::Malloc => hot.malloc as usize,
        Function::Calloc => hot.calloc as usize,
        Function::Realloc => hot.realloc as usize,
        Function::Free | Function::OperatorDelete => hot.free as usize,
        Function::Msize => hot.msize as usize,
        Function::AlignedMalloc => hot.aligned_malloc as usize,
        Function::AlignedFree => hot.aligned_free as usize,
        Function::Recalloc => instances!(plain::recalloc)[slot],
        Function::Expand => instances!(plain::expand)[slot],
        Function::AlignedRealloc => instances!(aligned::realloc)[slot],
        Function::AlignedRecalloc => instances!(aligned::recalloc)[slot],
        Function::AlignedMsize => instances!(aligned::msize)[slot],
        Function::AlignedOffsetMalloc => instances!(aligned::offset_malloc)[slot],
        Function::AlignedOffsetRealloc => instances!(aligned::offset_realloc)[slot],
        Function::AlignedOffsetRecalloc => instances!(aligned::offset_recalloc)[slot],
        Function::Strdup | Function::Mbsdup => instances!(strings::strdup)[slot],
        Function::Wcsdup => instances!(strings::wcsdup)[slot],
        Function::DupenvS => instances!(environment::dupenv_s)[slot],
        Function::WdupenvS => instances!(environment::wdupenv_s)[slot],
    }
}

/// The same for the body of a function, which the runtime's own code calls beside the exported
/// name.
pub(crate) fn entry_of_body(function: Function, slot: usize, clean_tails: bool) -> usize {
    match function {
        Function::Recalloc => instances!(plain::recalloc_within)[slot],
        other => entry(other, slot, clean_tails),
    }
}

/// Tries `attempt` until it has a block, or the program's new handler gives up; then the call fails
/// as the runtime's own does. `request` is the size that the handler is told.
fn with_new_handler(
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
            if !runtime.new_handler_says_again(request) {
                break;
            }
        }
        // What a heap of the system leaves when it has no memory.
        set_last_error(ERROR_NOT_ENOUGH_MEMORY);
    }
    runtime.set_errno(ENOMEM);
    core::ptr::null_mut()
}

/// The calling thread's last error of the system, which a successful call leaves alone.
fn last_error() -> u32 {
    // SAFETY: has no preconditions.
    unsafe { GetLastError() }
}

fn set_last_error(code: u32) {
    // SAFETY: has no preconditions.
    unsafe { SetLastError(code) };
}

/// `count * size`, unless it is more than a runtime asks its heap for. Then the call fails.
fn product(runtime: &Runtime, count: usize, size: usize) -> Option<usize> {
    let product = count.checked_mul(size).filter(|&product| product <= LARGEST_REQUEST);
    if product.is_none() {
        runtime.set_errno(ENOMEM);
    }
    product
}

/// Zeroes the bytes from `old` to `new` of a block.
///
/// # Safety
/// The block is `new` bytes long at least, and not NULL.
unsafe fn zero_growth(block: *mut c_void, old: usize, new: usize) {
    if old < new {
        // SAFETY: the caller's promise.
        unsafe { block.cast::<u8>().add(old).write_bytes(0, new - old) };
    }
}
