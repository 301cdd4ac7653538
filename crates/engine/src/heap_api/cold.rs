//! What the entries of the heap API leave to the engine: calls that the system's own heaps answer,
//! and foreign blocks.
//!
//! These run on any thread of the program, with any lock held. Each has the contract of the
//! function whose entry it belongs to.

use core::ffi::c_void;
use core::ptr::null_mut;

use allograft_heap::HeapApiColdPaths;
use windows_sys::Win32::Foundation::{
    ERROR_NOT_ENOUGH_MEMORY, GetLastError, HANDLE, STATUS_NO_MEMORY, SetLastError,
};
use windows_sys::Win32::System::Diagnostics::Debug::RaiseException;
use windows_sys::Win32::System::Memory::{
    HEAP_GENERATE_EXCEPTIONS, HEAP_NO_SERIALIZE, HEAP_REALLOC_IN_PLACE_ONLY, HEAP_ZERO_MEMORY,
};

use super::private_heap;
use crate::{counters, old_heap};

/// What the entries leave to the engine.
pub(super) const COLD_PATHS: HeapApiColdPaths =
    HeapApiColdPaths { allocate, free, reallocate, size };

/// Not served, or mimalloc has no memory: the system's heap answers, and fails as it does.
unsafe extern "system" fn allocate(heap: HANDLE, flags: u32, size: usize) -> *mut c_void {
    // SAFETY: the heap is the caller's, who does not destroy it meanwhile.
    unsafe {
        if flags & !SERVED_FLAGS == 0 && private_heap::begins_with(heap) {
            let block = private_heap::allocate(flags, size);
            if !block.is_null() {
                return block;
            }
        }
        old_heap::allocate(heap, flags, size)
    }
}

/// `block` is NULL or foreign.
unsafe extern "system" fn free(heap: HANDLE, flags: u32, block: *mut c_void) -> i32 {
    // SAFETY: the block is none of mimalloc's, and the caller gives it up.
    let freed = unsafe { old_heap::free(heap, flags, block) };
    if freed && !block.is_null() {
        counters::heap_freed();
    }
    freed.into()
}

/// `block` is NULL or foreign; or it is mimalloc's, and cannot be resized there.
unsafe extern "system" fn reallocate(
    heap: HANDLE,
    flags: u32,
    block: *mut c_void,
    size: usize,
    migrates: bool,
) -> *mut c_void {
    // SAFETY: `owns` decides which heap the block is given to.
    unsafe {
        if allograft_heap::owns(block) {
            if flags & HEAP_REALLOC_IN_PLACE_ONLY != 0 {
                return fail(flags, size);
            }
            return move_to_system(flags, block, size);
        }
        if migrates && !block.is_null() && is_served(heap, flags) {
            let moved = migrate(heap, flags, block, size);
            if !moved.is_null() {
                return moved;
            }
        }
        old_heap::reallocate(heap, flags, block, size)
    }
}

/// `block` is NULL or foreign.
unsafe extern "system" fn size(heap: HANDLE, flags: u32, block: *const c_void) -> usize {
    // SAFETY: the block is none of mimalloc's.
    unsafe { old_heap::size(heap, flags, block) }
}

/// The flags of calls that mimalloc can answer. In place, a block cannot move.
const SERVED_FLAGS: u32 = HEAP_NO_SERIALIZE | HEAP_GENERATE_EXCEPTIONS | HEAP_ZERO_MEMORY;

/// Whether a foreign block of `heap` moves when it is reallocated with `flags`.
fn is_served(heap: HANDLE, flags: u32) -> bool {
    let is_ours = || heap == old_heap::process_heap() || private_heap::serves(heap);
    flags & !SERVED_FLAGS == 0 && is_ours()
}

/// Moves a foreign block to mimalloc. NULL, and nothing done, if its heap does not know it, or if
/// there is no memory.
///
/// # Safety
/// The caller gives `block`, which is none of mimalloc's, up for the one that is returned.
unsafe fn migrate(heap: HANDLE, flags: u32, block: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: both blocks are as long as what is copied, and blocks of two heaps do not overlap.
    unsafe {
        let last_error = GetLastError();
        let old = old_heap::size(heap, flags & HEAP_NO_SERIALIZE, block);
        if old == usize::MAX {
            return null_mut();
        }
        let moved = if private_heap::serves(heap) {
            private_heap::allocate(flags, size)
        } else {
            allograft_heap::exact_allocate(size, flags & HEAP_ZERO_MEMORY != 0)
        };
        if !moved.is_null() {
            copy(block, moved, old.min(size));
            old_heap::free(heap, flags & HEAP_NO_SERIALIZE, block);
            counters::heap_migrated(old);
            SetLastError(last_error);
        }
        moved
    }
}

/// Moves a block of mimalloc's, which has no memory for a larger one, or is too late for it, to the
/// process's heap. If that has none either, it fails as it does.
///
/// # Safety
/// `block` is mimalloc's. The caller gives it up for the one that is returned.
unsafe fn move_to_system(flags: u32, block: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: both blocks are as long as what is copied, and blocks of two heaps do not overlap.
    unsafe {
        let flags = flags & (HEAP_GENERATE_EXCEPTIONS | HEAP_ZERO_MEMORY);
        // An overrun by a byte may have made the size too small. It serves zeroing only.
        let kept = match flags & HEAP_ZERO_MEMORY {
            0 => allograft_heap::usable_size(block),
            _ => allograft_heap::exact_size(block),
        };
        let moved = old_heap::allocate(old_heap::process_heap(), flags, size);
        if !moved.is_null() {
            copy(block, moved, kept.min(size));
            allograft_heap::free(block);
        }
        moved
    }
}

/// Fails as the system's heap does when it has no memory.
fn fail(flags: u32, size: usize) -> *mut c_void {
    // SAFETY: the calls access the thread's TEB, and raise the exception that the caller asked for.
    unsafe {
        SetLastError(ERROR_NOT_ENOUGH_MEMORY);
        if flags & HEAP_GENERATE_EXCEPTIONS != 0 {
            RaiseException(STATUS_NO_MEMORY as u32, 0, 1, &size);
        }
    }
    null_mut()
}

/// Copies the first `size` bytes of `from` to `to`.
///
/// # Safety
/// Both are different blocks of at least `size` bytes.
unsafe fn copy(from: *const c_void, to: *mut c_void, size: usize) {
    // SAFETY: by the contract both have these bytes, and two blocks do not overlap.
    unsafe { core::ptr::copy_nonoverlapping(from.cast::<u8>(), to.cast::<u8>(), size) };
}
