//! Blocks that know the size that was asked for: `native/exact.c`, by mimalloc's public interface.
//!
//! The end of each block tells how many bytes of its room were not asked for: its last byte, or, if
//! that is 255, the word before that byte. It decides the size that is answered and zeroed from,
//! nothing else: a program may overrun its block by a byte.

use core::ffi::c_void;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, Ordering};

use super::dll::{heaps, is_serving, mi_free, mi_usable_size};
use crate::interface::PrivateHeap;

const TELLS_BY_WORD: u8 = 255;

/// The heap of the process's exact blocks; NULL until one is wanted.
static EXACT_HEAP: AtomicPtr<PrivateHeap> = AtomicPtr::new(null_mut());

/// The heaps of other handles. Programs may make heaps of mimalloc's too, whose blocks are not
/// exact, and a heap cannot be marked.
static PRIVATE_HEAPS: [AtomicPtr<PrivateHeap>; 64] = [const { AtomicPtr::new(null_mut()) }; 64];

/// Makes the exact heap, once. False if there is no memory, or if mimalloc's heaps are each for one
/// thread only.
pub unsafe fn allograft_heap_exact_start() -> bool {
    if EXACT_HEAP.load(Ordering::Acquire).is_null()
        && let Some(heaps) = heaps()
    {
        // SAFETY: mimalloc has started; the loader's lock keeps a second call away.
        EXACT_HEAP.store(unsafe { (heaps.new)() }, Ordering::Release);
    }
    !EXACT_HEAP.load(Ordering::Acquire).is_null()
}

/// The heap of an exact block of mimalloc's.
fn exact_heap_of(block: *const c_void) -> Option<*mut PrivateHeap> {
    let exact = EXACT_HEAP.load(Ordering::Acquire);
    if exact.is_null() {
        return None;
    }
    // SAFETY: the address is looked up, not dereferenced.
    let heap = unsafe { (heaps()?.of)(block) };
    let is_private = || PRIVATE_HEAPS.iter().any(|place| place.load(Ordering::Acquire) == heap);
    (!heap.is_null() && (heap == exact || is_private())).then_some(heap)
}

pub(super) fn is_exact(block: *const c_void) -> bool {
    exact_heap_of(block).is_some()
}

/// # Safety
/// `room` bytes from `block` on are the block's, more than `size`.
unsafe fn set_size(block: *mut c_void, room: usize, size: usize) {
    // SAFETY: by the contract; where the rest needs a word, it is longer than one.
    unsafe {
        let last = block.cast::<u8>().add(room - 1);
        match u8::try_from(room - size) {
            Ok(rest) if rest != TELLS_BY_WORD => *last = rest,
            _ => {
                last.sub(size_of::<usize>()).cast::<usize>().write_unaligned(room - size);
                *last = TELLS_BY_WORD;
            }
        }
    }
}

/// The size that was asked for. A number that cannot be right was overwritten: then all of the room
/// counts.
///
/// # Safety
/// `room` bytes from `block` on are an exact block's.
unsafe fn size_in(block: *const c_void, room: usize) -> usize {
    // SAFETY: by the contract.
    unsafe {
        let last = block.cast::<u8>().add(room - 1);
        let rest = match *last {
            TELLS_BY_WORD if room > size_of::<usize>() => {
                let rest = last.sub(size_of::<usize>()).cast::<usize>().read_unaligned();
                if rest < usize::from(TELLS_BY_WORD) { 0 } else { rest }
            }
            rest => usize::from(rest),
        };
        if (1..=room).contains(&rest) { room - rest } else { room }
    }
}

/// Has a new block of `mi_heap_malloc` and its kin keep its size. NULL for NULL.
unsafe fn sized(block: *mut c_void, size: usize) -> *mut c_void {
    if !block.is_null() {
        // SAFETY: the block is mimalloc's, and a byte longer than `size`.
        unsafe { set_size(block, mi_usable_size(block), size) };
    }
    block
}

/// What mimalloc is asked for: one byte more, and no block of a single word. None if that is too
/// much.
fn with_number(size: usize) -> Option<usize> {
    size.checked_add(1).filter(|&sum| sum <= isize::MAX as usize).map(|sum| sum.max(16))
}

pub unsafe fn allograft_heap_private_allocate(
    heap: *mut PrivateHeap,
    size: usize,
    zero: bool,
) -> *mut c_void {
    let (Some(heaps), Some(padded)) = (heaps(), with_number(size)) else {
        return null_mut();
    };
    if !is_serving() || crate::process_ends() {
        return null_mut();
    }
    // SAFETY: the heap lives, by the caller's contract; mimalloc accepts any size.
    unsafe {
        let allocate = if zero { heaps.zalloc } else { heaps.malloc };
        sized(allocate(heap, padded), size)
    }
}

pub unsafe fn allograft_heap_exact_allocate(size: usize, zero: bool) -> *mut c_void {
    // SAFETY: the exact heap lives as long as the process.
    unsafe { allograft_heap_private_allocate(EXACT_HEAP.load(Ordering::Acquire), size, zero) }
}

pub unsafe fn allograft_heap_exact_allocate_aligned(
    size: usize,
    alignment: usize,
    offset: usize,
) -> *mut c_void {
    let (Some(heaps), Some(padded)) = (heaps(), with_number(size)) else {
        return null_mut();
    };
    if !is_serving() || crate::process_ends() {
        return null_mut();
    }
    let heap = EXACT_HEAP.load(Ordering::Acquire);
    // SAFETY: mimalloc accepts any size and offset, and returns NULL for what it refuses.
    unsafe { sized((heaps.malloc_aligned_at)(heap, padded, alignment, offset), size) }
}

pub unsafe fn allograft_heap_size(block: *const c_void) -> usize {
    // SAFETY: the block is mimalloc's, by the caller's contract.
    unsafe {
        let room = mi_usable_size(block);
        if is_exact(block) { size_in(block, room) } else { room }
    }
}

pub unsafe fn allograft_heap_size_of_aligned(block: *mut c_void) -> usize {
    // SAFETY: mimalloc's functions accept its aligned blocks like any other.
    unsafe { allograft_heap_size(block) }
}

pub unsafe fn allograft_heap_resize_in_place(block: *mut c_void, size: usize, zero: bool) -> bool {
    // SAFETY: the block is mimalloc's, by the caller's contract; what is zeroed is in its room.
    unsafe {
        let room = mi_usable_size(block);
        if !is_exact(block) {
            return size <= room;
        }
        if size >= room {
            return false;
        }
        let before = size_in(block, room);
        if zero && before < size {
            block.cast::<u8>().add(before).write_bytes(0, size - before);
        }
        set_size(block, room, size);
        true
    }
}

/// An exact block with another size: where it lies if it wastes no more than half there, else moved
/// within its heap. Blocks that are not exact move to the exact heap. NULL if there is no memory.
///
/// # Safety
/// `block` is mimalloc's, and the program gives it up if another one is returned.
pub(super) unsafe fn reallocate(block: *mut c_void, size: usize, zero: bool) -> *mut c_void {
    // SAFETY: by the contract; what is copied fits both blocks, what is zeroed is in the new one.
    unsafe {
        let heap = exact_heap_of(block);
        let room = mi_usable_size(block);
        if heap.is_some() && size >= room / 2 && allograft_heap_resize_in_place(block, size, zero) {
            return block;
        }
        let before = allograft_heap_size(block);
        let heap = heap.unwrap_or(EXACT_HEAP.load(Ordering::Acquire));
        let moved = allograft_heap_private_allocate(heap, size, false);
        if moved.is_null() {
            // What fits stays: making a block smaller needs no memory.
            let fits = allograft_heap_resize_in_place(block, size, zero);
            return if fits { block } else { null_mut() };
        }
        moved.cast::<u8>().copy_from_nonoverlapping(block.cast(), room.min(size));
        if zero && before < size {
            moved.cast::<u8>().add(before).write_bytes(0, size - before);
        }
        mi_free(block);
        moved
    }
}

/// NULL also if there are more heaps than can be told from the program's own.
pub unsafe fn allograft_heap_private_new() -> *mut PrivateHeap {
    let Some(heaps) = heaps() else {
        return null_mut();
    };
    // SAFETY: mimalloc has started.
    let heap = unsafe { (heaps.new)() };
    let order = Ordering::AcqRel;
    let take = |place: &AtomicPtr<PrivateHeap>| {
        place.compare_exchange(null_mut(), heap, order, Ordering::Relaxed).is_ok()
    };
    if !heap.is_null() && !PRIVATE_HEAPS.iter().any(take) {
        // SAFETY: nobody knows the heap.
        unsafe { (heaps.destroy)(heap) };
        return null_mut();
    }
    heap
}

pub unsafe fn allograft_heap_private_destroy(heap: *mut PrivateHeap) {
    let place = PRIVATE_HEAPS.iter().find(|place| place.load(Ordering::Acquire) == heap);
    if let (Some(place), Some(heaps)) = (place, heaps()) {
        // SAFETY: nobody uses the heap any more, by the caller's contract. Its place is given up
        // last, so that the number of heaps stays right.
        unsafe { (heaps.destroy)(heap) };
        place.store(null_mut(), Ordering::Release);
    }
}
