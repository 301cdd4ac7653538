//! Blocks of the old heap, by the heap functions of the operating system.

use core::ffi::c_void;

use windows_sys::Win32::System::Memory::{
    GetProcessHeap, HEAP_REALLOC_IN_PLACE_ONLY, HEAP_ZERO_MEMORY, HeapAlloc, HeapFree, HeapReAlloc,
    HeapSize,
};

use crate::counters;
use crate::runtime::{EINVAL, Runtime};

/// The largest block of the low-fragmentation heap, which does not shrink a block where it lies.
const LARGEST_LOW_FRAGMENTATION_BLOCK: usize = 0x4000;

/// The size that the program asked for when it got the block. None if the heap does not know the
/// block.
pub(crate) fn size(runtime: &Runtime, block: *const c_void) -> Option<usize> {
    // SAFETY: the heap is the runtime's; it validates the block as well as it did for the runtime
    // itself.
    let size = unsafe { HeapSize(runtime.heap(), 0, block) };
    (size != usize::MAX).then_some(size)
}

/// A block of the old heap, for when it is too late for mimalloc. NULL if there is no memory.
pub(crate) fn allocate(runtime: &Runtime, size: usize, zeroed: bool) -> *mut c_void {
    let flags = if zeroed { HEAP_ZERO_MEMORY } else { 0 };
    // SAFETY: the heap is the runtime's.
    unsafe { HeapAlloc(runtime.heap(), flags, size) }
}

/// Frees the block. What the heap refuses becomes `errno`, as with the runtime's own `free`.
pub(crate) fn free(runtime: &Runtime, block: *mut c_void) {
    let bytes = size(runtime, block).unwrap_or(0);
    // SAFETY: as above.
    if unsafe { HeapFree(runtime.heap(), 0, block) } != 0 {
        counters::freed(bytes);
    } else {
        runtime.set_errno(EINVAL);
    }
}

/// Copies what the program keeps of the block to `to`, a block of mimalloc's with room for `kept`
/// bytes, and frees it.
///
/// # Safety
/// Both blocks are `kept` bytes long at least; `raw` is the block as the old heap knows it, of
/// `old` bytes.
pub(crate) unsafe fn migrate(
    runtime: &Runtime,
    block: *const c_void,
    raw: *mut c_void,
    old: usize,
    to: *mut c_void,
    kept: usize,
) {
    // SAFETY: the caller's promise; the heap owns the old block.
    unsafe {
        core::ptr::copy_nonoverlapping(block.cast::<u8>(), to.cast::<u8>(), kept);
        HeapFree(runtime.heap(), 0, raw);
    }
    counters::migrated(old);
}

/// Shrinks the block where it lies. False if it would have to grow, or the heap will not.
pub(crate) fn shrink(runtime: &Runtime, block: *mut c_void, old: usize, new: usize) -> bool {
    if new > old {
        return false;
    }
    // SAFETY: as above; in place, so the block stays the program's.
    let resized =
        unsafe { HeapReAlloc(runtime.heap(), HEAP_REALLOC_IN_PLACE_ONLY, block, new.max(1)) };
    if resized.is_null() && old > LARGEST_LOW_FRAGMENTATION_BLOCK {
        return false;
    }
    counters::resized();
    true
}

/// The address of the raw block in which an aligned block lies: it is kept in the slot below the
/// aligned address.
///
/// # Safety
/// `block` came from one of the `_aligned_` functions of a runtime, and is not freed.
pub(crate) unsafe fn raw_of_aligned(block: *const c_void) -> *mut c_void {
    let word = size_of::<usize>();
    let slot = (block as usize & !(word - 1)) - word;
    // SAFETY: the runtime put the slot there.
    unsafe { *(slot as *const *mut c_void) }
}

/// The bytes of an aligned block beside the program's own: the slot, and the room to align in.
pub(crate) fn overhead_of_aligned(alignment: usize, offset: usize) -> usize {
    let word = size_of::<usize>();
    let gap = offset.wrapping_neg() & (word - 1);
    gap.wrapping_add(word).wrapping_add(alignment.max(word).wrapping_sub(1))
}

/// An aligned block of the old heap, laid out as the runtime lays it out. For the combinations of
/// alignment and offset that mimalloc cannot serve; every function takes such a block as it takes
/// those from before the takeover. NULL if there is no memory.
pub(crate) fn allocate_aligned(
    runtime: &Runtime,
    size: usize,
    alignment: usize,
    offset: usize,
) -> *mut c_void {
    let word = size_of::<usize>();
    let alignment = alignment.max(word);
    let overhead = overhead_of_aligned(alignment, offset);
    let Some(raw_size) = size.checked_add(overhead) else {
        return core::ptr::null_mut();
    };
    // SAFETY: the raw block has room for the slot, the gap, the alignment and the program's bytes.
    unsafe {
        let raw = HeapAlloc(runtime.heap(), 0, raw_size);
        if raw.is_null() {
            return raw;
        }
        let gap = offset.wrapping_neg() & (word - 1);
        let start = raw as usize + word + gap + alignment - 1;
        let block = ((start + offset) & !(alignment - 1)) - offset;
        *(((block & !(word - 1)) - word) as *mut *mut c_void) = raw;
        block as *mut c_void
    }
}

/// Frees a foreign block for a runtime that is gone: its heap was the process's, or went with it.
pub(crate) fn free_orphan(block: *mut c_void) {
    // SAFETY: the heap validates the block.
    unsafe { HeapFree(GetProcessHeap(), 0, block) };
}
