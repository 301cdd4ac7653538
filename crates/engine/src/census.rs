//! Counting what the old heap holds.

use core::mem::MaybeUninit;

use windows_sys::Win32::System::Memory::{HeapLock, HeapUnlock, HeapWalk, PROCESS_HEAP_ENTRY};

use crate::slots::{self, Slot};

/// `PROCESS_HEAP_ENTRY_BUSY`: the entry is a block in use.
const BUSY: u16 = 0x0004;

/// What the old heap holds: all blocks of that heap, which the system and other DLLs may share.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Census {
    /// Blocks in use.
    pub blocks: u64,
    /// Bytes in them.
    pub bytes: u64,
}

/// Counts the blocks of the runtime's old heap. None where the system does not walk it.
///
/// This locks the heap, waits for whoever has locked it, and takes time that grows with the number
/// of blocks: it is done when it is asked for, never as a part of the takeover.
pub fn census(slot: Slot) -> Option<Census> {
    let heap = slots::runtime(slot.number())?.heap();
    let mut census = Census { blocks: 0, bytes: 0 };
    let mut entry = MaybeUninit::<PROCESS_HEAP_ENTRY>::zeroed();
    // SAFETY: the heap is one, and locked; the walk begins with a zeroed entry. Nothing here
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
