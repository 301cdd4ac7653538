//! The C interface, as `include/allograft.h` declares it. It may be called on any thread at any
//! time: nothing here takes the loader's lock.

use core::ffi::{c_char, c_int, c_void};
use core::sync::atomic::Ordering;

use allograft_inject::State;

use crate::{first_copy, page};

/// `allograft_version`: the module's version.
#[unsafe(no_mangle)]
pub extern "C" fn allograft_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// `allograft_active`: 1 if at least one runtime is taken over, or the process's heap is served.
#[unsafe(no_mangle)]
pub extern "C" fn allograft_active() -> c_int {
    // SAFETY: every copy exports the function with this type.
    match unsafe { first_copy::ACTIVE.get::<extern "C" fn() -> c_int>() } {
        Some(active) => active(),
        None => (page::state() == State::Active).into(),
    }
}

/// `allograft_owns`: 1 if the pointer lies in memory of mimalloc's.
#[unsafe(no_mangle)]
pub extern "C" fn allograft_owns(block: *const c_void) -> c_int {
    // SAFETY: every copy exports the function with this type.
    match unsafe { first_copy::OWNS.get::<extern "C" fn(*const c_void) -> c_int>() } {
        Some(owns) => owns(block),
        None => allograft_heap::owns(block).into(),
    }
}

/// `allograft_error`: why the takeover failed, an empty text if it did not.
#[unsafe(no_mangle)]
pub extern "C" fn allograft_error() -> *const c_char {
    // SAFETY: every copy exports the function with this type.
    match unsafe { first_copy::ERROR.get::<extern "C" fn() -> *const c_char>() } {
        Some(error) => error(),
        None => page::message_for_c().cast(),
    }
}

/// `allograft_counters_t`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct PublicCounters {
    size: usize,
    migrated_blocks: u64,
    migrated_bytes: u64,
    freed_blocks: u64,
    freed_bytes: u64,
    resized_blocks: u64,
    committed_bytes: u64,
    peak_committed_bytes: u64,
    used_bytes: u64,
}

/// `allograft_counters`: fills the structure as far as its size field reaches.
///
/// # Safety
/// `counters` is NULL or points to a structure whose first field is its size in bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allograft_counters(counters: *mut PublicCounters) -> c_int {
    type Ask = unsafe extern "C" fn(*mut PublicCounters) -> c_int;
    // SAFETY: every copy exports the function with this type and this contract.
    unsafe {
        if let Some(ask) = first_copy::COUNTERS.get::<Ask>() {
            return ask(counters);
        }
    }
    let Some(status) = page::status().filter(|_| !counters.is_null()) else {
        return 0;
    };
    page::update_figures();
    let load = |counter: &core::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    // SAFETY: by the contract as many bytes as its size says can be written, and no more are.
    unsafe {
        let size = (*counters).size.min(size_of::<PublicCounters>());
        if size < size_of::<usize>() {
            return 0;
        }
        let filled = PublicCounters {
            size,
            migrated_blocks: load(&status.migrated_blocks),
            migrated_bytes: load(&status.migrated_bytes),
            freed_blocks: load(&status.freed_blocks),
            freed_bytes: load(&status.freed_bytes),
            resized_blocks: load(&status.resized_blocks),
            committed_bytes: load(&status.mimalloc_committed),
            peak_committed_bytes: load(&status.mimalloc_committed_peak),
            used_bytes: load(&status.mimalloc_used),
        };
        core::ptr::copy_nonoverlapping((&raw const filled).cast::<u8>(), counters.cast(), size);
    }
    1
}
