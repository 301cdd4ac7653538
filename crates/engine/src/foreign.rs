//! Foreign blocks: those of a runtime's old heap. The functions here are never given a block of
//! mimalloc's: callers ask `allograft_heap::owns` first.

use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::ptr::null_mut;

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::System::Memory::{
    HEAP_REALLOC_IN_PLACE_ONLY, HEAP_ZERO_MEMORY, HeapLock, HeapUnlock, HeapWalk,
    PROCESS_HEAP_ENTRY,
};

use crate::aligned_layout::{AlignedLayout, raw_slot};
use crate::runtime::{EINVAL, Runtime};
use crate::{counters, old_heap, slots};

/// The old heap of the runtime. A runtime that has not started yet has none: until then the process
/// heap serves, which a Universal CRT uses later too.
fn heap_of(runtime: &Runtime) -> HANDLE {
    let heap = runtime.heap();
    if heap.is_null() { old_heap::process_heap() } else { heap }
}

/// The size that the program asked for when it got the block. None if the heap does not know the
/// block.
pub(crate) fn size(runtime: &Runtime, block: *const c_void) -> Option<usize> {
    // SAFETY: the heap checks the block as well as it did when the runtime asked it.
    let size = unsafe { old_heap::size(heap_of(runtime), 0, block) };
    (size != usize::MAX).then_some(size)
}

/// A new block of the old heap, for when it is too late for mimalloc. NULL if there is no memory.
pub(crate) fn allocate(runtime: &Runtime, size: usize, zeroed: bool) -> *mut c_void {
    let flags = if zeroed { HEAP_ZERO_MEMORY } else { 0 };
    // SAFETY: the heap lives as long as the runtime, and takes any size.
    unsafe { old_heap::allocate(heap_of(runtime), flags, size) }
}

/// Frees the block. If the heap refuses it, `errno` is set, as by the runtime's own `free`.
pub(crate) fn free(runtime: &Runtime, block: *mut c_void) {
    let bytes = size(runtime, block).unwrap_or(0);
    // SAFETY: the program gives the block up; the heap checks whether it is one.
    if unsafe { old_heap::free(heap_of(runtime), 0, block) } {
        counters::freed(bytes);
    } else {
        runtime.set_errno(EINVAL);
    }
}

/// Frees a foreign block of a runtime that is unloaded: its heap was the process heap, or was
/// destroyed with it.
pub(crate) fn free_orphan(block: *mut c_void) {
    // SAFETY: the program gives the block up; the heap checks whether it is one.
    unsafe { old_heap::free(old_heap::process_heap(), 0, block) };
}

/// A foreign block as its heap knows it.
pub(crate) struct RawBlock {
    pub(crate) start: *mut c_void,
    pub(crate) size: usize,
}

/// Copies the first `kept` bytes of `block` to `to`, a block of mimalloc's, and frees `raw`, the
/// block of the old heap that `block` lies in.
///
/// # Safety
/// Both blocks are at least `kept` bytes long, and the program gives `block` up.
pub(crate) unsafe fn migrate(
    runtime: &Runtime,
    block: *const c_void,
    raw: RawBlock,
    to: *mut c_void,
    kept: usize,
) {
    // SAFETY: by the contract both have `kept` bytes; blocks of two heaps do not overlap.
    unsafe {
        core::ptr::copy_nonoverlapping(block.cast::<u8>(), to.cast::<u8>(), kept);
        old_heap::free(heap_of(runtime), 0, raw.start);
    }
    counters::migrated(raw.size);
}

/// Shrinks the block in place. False if it would have to grow, or the heap refuses.
pub(crate) fn shrink(runtime: &Runtime, block: *mut c_void, old: usize, new: usize) -> bool {
    /// The largest block of the low-fragmentation heap, which does not shrink blocks in place: such
    /// a block keeps its size, and the call succeeds.
    const LARGEST_LOW_FRAGMENTATION_BLOCK: usize = 0x4000;

    if new > old {
        return false;
    }
    // SAFETY: in place, the block stays where the program has it; the heap checks whether it is
    // one.
    let resized = unsafe {
        old_heap::reallocate(heap_of(runtime), HEAP_REALLOC_IN_PLACE_ONLY, block, new.max(1))
    };
    if resized.is_null() && old > LARGEST_LOW_FRAGMENTATION_BLOCK {
        return false;
    }
    counters::resized();
    true
}

/// The raw block in which an aligned foreign block lies.
///
/// # Safety
/// `block` is from one of the `_aligned_` functions of a runtime, and is not freed.
pub(crate) unsafe fn raw_of_aligned(block: *const c_void) -> *mut c_void {
    // SAFETY: the runtime has written the slot below the block.
    unsafe { *raw_slot(block as usize) }
}

/// An aligned block of the old heap, laid out as the runtime does it, for layouts that mimalloc
/// cannot serve. All functions accept it as one from before the takeover. NULL if there is no
/// memory.
pub(crate) fn allocate_aligned(
    runtime: &Runtime,
    size: usize,
    layout: AlignedLayout,
) -> *mut c_void {
    let Some(raw_size) = size.checked_add(layout.overhead()) else {
        return null_mut();
    };
    let raw = allocate(runtime, raw_size, false);
    if raw.is_null() {
        return raw;
    }
    let block = layout.place_in(raw as usize);
    // SAFETY: the raw block has room for the layout's overhead, of which the slot is a part.
    unsafe { *raw_slot(block) = raw };
    block as *mut c_void
}

/// The contents of an old heap: all its blocks, although the system and other DLLs may share the
/// heap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Census {
    /// Blocks in use.
    pub blocks: u64,
    /// Bytes in them.
    pub bytes: u64,
}

/// Counts the blocks of the old heap of the runtime in `slot`. None if the system does not walk it.
///
/// This waits for the heap's lock, and takes time that grows with the number of blocks: it is never
/// a part of the takeover itself.
pub fn census(slot: usize) -> Option<Census> {
    /// `PROCESS_HEAP_ENTRY_BUSY`: the entry is a block in use.
    const BUSY: u16 = 0x0004;

    let heap = heap_of(slots::runtime(slot)?);
    let mut census = Census { blocks: 0, bytes: 0 };
    let mut entry = MaybeUninit::<PROCESS_HEAP_ENTRY>::zeroed();
    // SAFETY: the walk begins with a zeroed entry, and the heap is locked during it. Nothing here
    // allocates from the heap.
    unsafe {
        if HeapLock(heap) == 0 {
            return None;
        }
        while HeapWalk(heap, entry.as_mut_ptr()) != 0 {
            let entry = entry.assume_init_ref();
            if entry.wFlags & BUSY != 0 {
                census.blocks += 1;
                census.bytes += u64::from(entry.cbData);
            }
        }
        HeapUnlock(heap);
    }
    Some(census)
}
