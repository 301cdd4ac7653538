//! The entries of the heap API, called as a program calls `HeapAlloc` and its kin, with a stand-in
//! for the engine behind them.
#![cfg(windows)]
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "the functions under test are HeapAlloc and its kin, called as they are documented"
)]

use std::ffi::{c_uint, c_void};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Once, mpsc};
use std::thread;

use allograft_heap::{
    ColdPaths, HeapApiColdPaths, HeapApiEntries, entries, exact_resize_in_place, exact_size,
    heap_api_entries, owns, private_heap_allocate, private_heap_destroy, private_heap_new,
    serve_second_heap, start_heap_api, usable_size,
};
use windows_sys::Win32::Foundation::{GetLastError, SetLastError};
use windows_sys::Win32::System::Memory::{
    HEAP_GENERATE_EXCEPTIONS, HEAP_NO_SERIALIZE, HEAP_REALLOC_IN_PLACE_ONLY, HEAP_ZERO_MEMORY,
};

/// Handles that no heap has.
const PROCESS_HEAP: *mut c_void = 0x1230 as *mut c_void;
const OTHER_HEAP: *mut c_void = 0x4560 as *mut c_void;

/// A flag that only the system's heap knows: `HEAP_CREATE_ENABLE_EXECUTE`.
const EXECUTABLE: u32 = 0x0004_0000;

/// What the stand-in answers, so that a test recognises it.
const COLD_FREED: i32 = 77;
const COLD_SIZE: usize = 123_456_789;
static COLD_ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
static COLD_REALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

/// What the last cold reallocation was asked by the module of: 1 to migrate, 2 not to.
static MIGRATES: AtomicUsize = AtomicUsize::new(0);

unsafe extern "system" fn cold_allocate(_: *mut c_void, _: u32, _: usize) -> *mut c_void {
    COLD_ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    null_mut()
}
unsafe extern "system" fn cold_free(_: *mut c_void, _: u32, block: *mut c_void) -> i32 {
    assert!(!owns(block));
    COLD_FREED
}
unsafe extern "system" fn cold_reallocate(
    _: *mut c_void,
    _: u32,
    _: *mut c_void,
    _: usize,
    migrates: bool,
) -> *mut c_void {
    COLD_REALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    MIGRATES.store(2 - usize::from(migrates), Ordering::Relaxed);
    null_mut()
}
unsafe extern "system" fn cold_size(_: *mut c_void, _: u32, block: *const c_void) -> usize {
    assert!(!owns(block));
    COLD_SIZE
}

extern "C" fn no_allocation(_: usize, _: bool, _: c_uint) -> *mut c_void {
    null_mut()
}
unsafe extern "C" fn no_reallocation(_: *mut c_void, _: usize, _: c_uint) -> *mut c_void {
    null_mut()
}
unsafe extern "C" fn no_release(_: *mut c_void, _: c_uint) {}
unsafe extern "C" fn no_size(_: *mut c_void, _: c_uint) -> usize {
    0
}
extern "C" fn no_aligned(_: usize, _: usize, _: c_uint) -> *mut c_void {
    null_mut()
}

/// The process's heap, as a program sees it.
#[derive(Clone, Copy)]
struct Heap(&'static HeapApiEntries, usize);

fn started() -> Heap {
    static START: Once = Once::new();
    START.call_once(|| {
        assert!(allograft_heap::start(&ColdPaths {
            allocate: no_allocation,
            reallocate: no_reallocation,
            release: no_release,
            usable_size: no_size,
            allocate_aligned: no_aligned,
            release_aligned: no_release,
        }));
        let cold = HeapApiColdPaths {
            allocate: cold_allocate,
            free: cold_free,
            reallocate: cold_reallocate,
            size: cold_size,
        };
        assert!(start_heap_api(&cold, PROCESS_HEAP));
    });
    Heap(heap_api_entries(), PROCESS_HEAP as usize)
}

impl Heap {
    fn handle(self) -> *mut c_void {
        self.1 as *mut c_void
    }

    fn allocate(self, flags: u32, size: usize) -> *mut c_void {
        unsafe { (self.0.allocate)(self.handle(), flags, size) }
    }

    fn free(self, block: *mut c_void) -> i32 {
        unsafe { (self.0.free)(self.handle(), 0, block) }
    }

    fn reallocate(self, flags: u32, block: *mut c_void, size: usize) -> *mut c_void {
        unsafe { (self.0.reallocate)(self.handle(), flags, block, size) }
    }

    fn size(self, block: *mut c_void) -> usize {
        unsafe { (self.0.size)(self.handle(), 0, block) }
    }
}

fn bytes<'b>(block: *mut c_void, size: usize) -> &'b mut [u8] {
    unsafe { std::slice::from_raw_parts_mut(block.cast(), size) }
}

/// Every size up to 5,000, and around the powers of two up to 64 MiB.
fn sizes() -> impl Iterator<Item = usize> {
    let powers = (13..27).flat_map(|shift| (1usize << shift) - 3..(1 << shift) + 4);
    (0..5001).chain(powers)
}

#[test]
fn every_size_is_answered_as_it_was_asked_for() {
    let heap = started();
    for size in sizes() {
        let block = heap.allocate(0, size);
        assert!(owns(block), "{size} bytes");
        assert_eq!(block as usize % (2 * size_of::<usize>()), 0, "{size} bytes");
        assert_eq!(heap.size(block), size);
        bytes(block, size).fill(0xFF);
        assert_eq!(heap.size(block), size, "after all of it was written");
        assert_eq!(heap.free(block), 1);
    }
}

#[test]
fn zeroed_blocks_are_zero_where_dirty_ones_lay() {
    let heap = started();
    for size in sizes().filter(|size| size % 7 < 2 && *size < 70_000) {
        for flags in [HEAP_ZERO_MEMORY, HEAP_ZERO_MEMORY | HEAP_NO_SERIALIZE] {
            let dirty = heap.allocate(0, size);
            bytes(dirty, size).fill(0xEE);
            heap.free(dirty);
            let block = heap.allocate(flags, size);
            assert!(bytes(block, size).iter().all(|&byte| byte == 0), "{size} bytes");
            assert_eq!(heap.size(block), size);
            heap.free(block);
        }
    }
}

/// Sizes to grow and shrink through, some of which share a block of mimalloc's.
const STEPS: [usize; 22] = [
    0, 1, 7, 8, 15, 16, 17, 100, 111, 112, 260, 600, 3000, 3001, 3500, 40_000, 41_000, 70_000,
    300_000, 600_000, 3_000_000, 9_000_000,
];

#[test]
fn growth_is_zeroed_from_the_size_that_was_asked_for() {
    let heap = started();
    for &from in &STEPS {
        for &to in STEPS.iter().filter(|&&to| to > from) {
            let block = heap.allocate(0, from);
            // Behind the size too, but for the number: what the allocator left there is not zero.
            let room = unsafe { usable_size(block) };
            bytes(block, from).fill(0xEE);
            let rest = room - from - 1 - size_of::<usize>().min(room - from - 1);
            bytes(block, from + rest)[from..].fill(0xCC);
            let grown = heap.reallocate(HEAP_ZERO_MEMORY, block, to);
            assert_eq!(heap.size(grown), to, "from {from}");
            let kept = bytes(grown, to);
            assert!(kept[..from].iter().all(|&byte| byte == 0xEE), "{from} to {to}");
            assert!(kept[from..].iter().all(|&byte| byte == 0), "{from} to {to}");
            heap.free(grown);
        }
    }
}

#[test]
fn contents_and_sizes_hold_through_all_reallocations() {
    let heap = started();
    for &from in &STEPS {
        for &to in &STEPS {
            let block = heap.allocate(0, from);
            bytes(block, from).iter_mut().enumerate().for_each(|(at, byte)| *byte = at as u8);
            let moved = heap.reallocate(HEAP_NO_SERIALIZE, block, to);
            assert_eq!(heap.size(moved), to, "from {from}");
            let kept = bytes(moved, from.min(to));
            assert!(kept.iter().enumerate().all(|(at, &byte)| byte == at as u8), "{from} to {to}");
            heap.free(moved);
        }
    }
}

#[test]
fn in_place_means_the_same_address_or_failure() {
    let heap = started();
    for &from in &STEPS {
        for &to in &STEPS {
            let block = heap.allocate(0, from);
            bytes(block, from).fill(0xEE);
            let room = unsafe { usable_size(block) };
            let flags = HEAP_REALLOC_IN_PLACE_ONLY | HEAP_ZERO_MEMORY;
            let before = COLD_REALLOCATIONS.load(Ordering::Relaxed);
            let same = heap.reallocate(flags, block, to);
            if to < room {
                assert_eq!(same, block, "{from} to {to} with room for {room}");
                assert_eq!(heap.size(block), to);
                let kept = bytes(block, to);
                assert!(kept[..from.min(to)].iter().all(|&byte| byte == 0xEE));
                assert!(kept[from.min(to)..].iter().all(|&byte| byte == 0), "{from} to {to}");
            } else {
                assert!(same.is_null());
                assert!(COLD_REALLOCATIONS.load(Ordering::Relaxed) > before);
                assert_eq!(heap.size(block), from);
            }
            heap.free(block);
        }
    }
}

/// On Windows such a byte lies behind the block, and nobody misses it.
#[test]
fn a_byte_behind_the_block_does_no_harm_to_contents() {
    let heap = started();
    for size in (0..3000).chain([65_535, 1_000_000]) {
        for overrun in [0, 1, b'x', 254, 255] {
            let block = heap.allocate(0, size);
            bytes(block, size + 1).fill(0xEE);
            bytes(block, size + 1)[size] = overrun;
            assert!(heap.size(block) <= unsafe { usable_size(block) });
            let moved = heap.reallocate(0, block, 2 * size + 100);
            assert!(bytes(moved, size).iter().all(|&byte| byte == 0xEE), "{size} bytes");
            let smaller = heap.reallocate(0, moved, size);
            assert_eq!(heap.size(smaller), size);
            assert!(bytes(smaller, size).iter().all(|&byte| byte == 0xEE), "{size} bytes");
            assert_eq!(heap.free(smaller), 1);
        }
    }
}

/// The terminating zero behind a string that fills its block is the overrun that programs have.
#[test]
fn a_zero_behind_the_block_keeps_the_contents_when_growth_is_zeroed() {
    let heap = started();
    for size in 0..3000 {
        let block = heap.allocate(0, size);
        bytes(block, size + 1).fill(0xEE);
        bytes(block, size + 1)[size] = 0;
        let grown = heap.reallocate(HEAP_ZERO_MEMORY, block, size + 200);
        assert!(bytes(grown, size).iter().all(|&byte| byte == 0xEE), "{size} bytes");
        let behind = &bytes(grown, size + 200)[size..];
        assert!(behind.iter().all(|&byte| byte == 0), "{size} bytes");
        heap.free(grown);
    }
}

#[test]
fn what_is_not_served_goes_to_the_engine() {
    let heap = started();
    let elsewhere = Heap(heap.0, OTHER_HEAP as usize);
    let before = COLD_ALLOCATIONS.load(Ordering::Relaxed);
    assert!(elsewhere.allocate(0, 10).is_null());
    assert!(Heap(heap.0, 0).allocate(0, 10).is_null());
    assert!(Heap(heap.0, usize::MAX - 1).allocate(0, 10).is_null());
    assert!(heap.allocate(EXECUTABLE, 10).is_null());
    assert!(heap.allocate(0, usize::MAX).is_null());
    assert!(heap.allocate(HEAP_GENERATE_EXCEPTIONS, usize::MAX / 2).is_null());
    assert!(heap.allocate(HEAP_ZERO_MEMORY, usize::MAX - 1).is_null());
    assert!(COLD_ALLOCATIONS.load(Ordering::Relaxed) >= before + 7);
    let mut local = 0u64;
    let foreign = (&raw mut local).cast();
    assert_eq!((heap.free(foreign), heap.size(foreign)), (COLD_FREED, COLD_SIZE));
    assert_eq!((heap.free(null_mut()), heap.size(null_mut())), (COLD_FREED, COLD_SIZE));
    assert!(heap.reallocate(0, null_mut(), 10).is_null());
}

#[test]
fn a_block_is_accepted_whatever_heap_the_caller_names() {
    let heap = started();
    let elsewhere = Heap(heap.0, OTHER_HEAP as usize);
    let block = heap.allocate(HEAP_GENERATE_EXCEPTIONS, 100);
    assert_eq!(elsewhere.size(block), 100);
    let moved = elsewhere.reallocate(0, block, 5000);
    assert_eq!(elsewhere.size(moved), 5000);
    assert_eq!(elsewhere.free(moved), 1);
}

#[test]
fn without_memory_the_engine_gets_the_call_and_the_block_stays() {
    let heap = started();
    let block = heap.allocate(0, 50);
    bytes(block, 50).fill(0xEE);
    for flags in [0, HEAP_ZERO_MEMORY] {
        assert!(heap.reallocate(flags, block, usize::MAX / 2).is_null());
        let other = unsafe {
            (heap.0.reallocate_in_other_modules)(heap.handle(), flags, block, usize::MAX)
        };
        assert!(other.is_null());
    }
    assert_eq!(heap.size(block), 50);
    assert!(bytes(block, 50).iter().all(|&byte| byte == 0xEE));
    heap.free(block);
}

#[test]
fn success_leaves_the_last_error_alone() {
    let heap = started();
    for size in [10, 2000, 100_000, 5_000_000, 70_000_000] {
        unsafe { SetLastError(4242) };
        let block = heap.allocate(0, size);
        let block = heap.reallocate(0, block, 2 * size);
        assert_eq!(heap.size(block), 2 * size);
        heap.free(block);
        assert_eq!(unsafe { GetLastError() }, 4242, "{size} bytes");
    }
}

/// `malloc` of a C runtime that is taken over, then HeapSize, HeapReAlloc, HeapFree; and the other
/// way round.
#[test]
fn blocks_pass_between_the_heap_api_and_a_c_runtime() {
    let heap = started();
    for clean in [false, true] {
        let crt = entries(2, clean);
        for size in [1, 40, 64, 1000, 5000, 100_000] {
            let block = unsafe { (crt.malloc)(size) };
            bytes(block, size).fill(0xEE);
            assert!(heap.size(block) >= size);
            let moved = heap.reallocate(HEAP_ZERO_MEMORY, block, 3 * size);
            assert_eq!(heap.size(moved), 3 * size);
            assert!(bytes(moved, size).iter().all(|&byte| byte == 0xEE));
            assert_eq!(unsafe { (crt.msize)(moved) }, 3 * size, "it is exact for _msize too");
            for next in [3 * size + 1, 3 * size, 6 * size, size, 2 * size] {
                let before = heap.size(moved);
                let moved = unsafe { (crt.realloc)(heap.allocate(0, before), next) };
                assert!(heap.size(moved) >= next);
                bytes(moved, next).fill(0xFF);
                // Sizes that a full block would misreport would have zeroes in the wrong place.
                let grown = heap.reallocate(HEAP_ZERO_MEMORY, moved, 2 * next + 64);
                assert!(bytes(grown, next).iter().all(|&byte| byte == 0xFF));
                unsafe { (crt.free)(grown) };
            }
            unsafe { (crt.free)(moved) };
        }
    }
}

#[test]
fn a_thread_frees_what_another_allocated_and_its_end_leaves_the_blocks() {
    let heap = started();
    for round in 0..20u8 {
        let (sender, receiver) = mpsc::channel::<usize>();
        let maker = thread::spawn(move || {
            for size in 1..1500usize {
                let block = heap.allocate(0, size);
                bytes(block, size).fill(round);
                sender.send(block as usize).unwrap();
            }
            allograft_heap::thread_done();
            // Too late for mimalloc: the old heap serves.
            assert!(heap.allocate(0, 10).is_null());
        });
        for (index, address) in receiver.into_iter().enumerate() {
            let (block, size) = (address as *mut c_void, index + 1);
            assert_eq!(heap.size(block), size);
            assert!(bytes(block, size).iter().all(|&byte| byte == round));
            assert_eq!(heap.free(block), 1);
        }
        maker.join().unwrap();
    }
}

/// What a thread does after [`allograft_heap::thread_done`] with blocks that live on.
#[test]
fn an_ended_thread_may_still_shrink_and_free() {
    let heap = started();
    let block = heap.allocate(0, 1000) as usize;
    thread::spawn(move || {
        let own = heap.allocate(0, 5000);
        allograft_heap::thread_done();
        assert_eq!(heap.size(own), 5000);
        let smaller = heap.reallocate(0, own, 100);
        assert_eq!((smaller, heap.size(smaller)), (own, 100), "what fits stays");
        assert!(heap.reallocate(0, own, 50_000).is_null());
        assert_eq!(heap.free(own), 1);
        assert_eq!(heap.free(block as *mut c_void), 1);
    })
    .join()
    .unwrap();
}

#[test]
fn a_private_heap_is_destroyed_with_the_live_blocks_of_all_threads() {
    let heap = started();
    for round in 0..10 {
        let private = private_heap_new();
        assert!(!private.is_null());
        let address = private as usize;
        let makers: Vec<_> = (0..4)
            .map(|thread| {
                thread::spawn(move || {
                    let blocks: Vec<usize> = (0..2000)
                        .map(|n| {
                            let size = if n % 100 == 0 { 3_000_000 / (thread + 1) } else { n };
                            let block = unsafe {
                                private_heap_allocate(address as *mut _, size, n % 2 == 0)
                            };
                            assert_eq!(unsafe { exact_size(block) }, size);
                            block as usize
                        })
                        .collect();
                    // Half of the threads end before the heap does.
                    if thread % 2 == 0 {
                        allograft_heap::thread_done();
                    }
                    blocks
                })
            })
            .collect();
        let blocks: Vec<usize> =
            makers.into_iter().flat_map(|maker| maker.join().unwrap()).collect();
        let some = blocks[1234] as *mut c_void;
        // A block stays within its heap when it moves.
        let moved = heap.reallocate(0, some, 40_000);
        assert!(owns(moved) && heap.size(moved) == 40_000, "round {round}");
        let own = unsafe { private_heap_allocate(private, 64, true) };
        assert!(owns(own));
        unsafe { private_heap_destroy(private) };
        assert!(!owns(moved) && !owns(own));
        assert!(blocks.iter().all(|&block| !owns(block as *const c_void)));
    }
}

#[test]
fn threads_that_used_a_private_heap_outlive_it() {
    started();
    let (to_thread, in_thread) = mpsc::channel::<usize>();
    let (to_us, from_thread) = mpsc::channel::<usize>();
    let user = thread::spawn(move || {
        for private in in_thread {
            for size in 0..600 {
                let block = unsafe { private_heap_allocate(private as *mut _, size, false) };
                assert_eq!(unsafe { exact_size(block) }, size);
            }
            to_us.send(private).unwrap();
        }
        allograft_heap::thread_done();
    });
    for _ in 0..200 {
        to_thread.send(private_heap_new() as usize).unwrap();
        unsafe { private_heap_destroy(from_thread.recv().unwrap() as *mut _) };
    }
    drop(to_thread);
    user.join().unwrap();
}

#[test]
fn the_second_heap_is_served_by_its_handle() {
    let heap = started();
    let private = private_heap_new();
    let handle = 0x7890 as *mut c_void;
    let second = Heap(heap.0, handle as usize);
    unsafe { serve_second_heap(handle, private) };
    let blocks: Vec<_> = (0..3000).map(|size| second.allocate(HEAP_ZERO_MEMORY, size)).collect();
    for (size, &block) in blocks.iter().enumerate() {
        assert!(owns(block) && second.size(block) == size, "{size} bytes");
    }
    let of_process = heap.allocate(0, 33);
    unsafe { serve_second_heap(null_mut(), null_mut()) };
    assert!(second.allocate(0, 5).is_null(), "the handle is not served any more");
    unsafe { private_heap_destroy(private) };
    assert!(blocks.iter().all(|&block| !owns(block)));
    assert_eq!(heap.size(of_process), 33);
    heap.free(of_process);
}

#[test]
fn reallocation_says_whether_its_module_lets_foreign_blocks_migrate() {
    let heap = started();
    let mut local = 0u64;
    let foreign: *mut c_void = (&raw mut local).cast();
    let (ours, others) = (heap.0.reallocate, heap.0.reallocate_in_other_modules);
    assert!(unsafe { ours(heap.handle(), 0, foreign, 10) }.is_null());
    assert!(unsafe { others(heap.handle(), 0, foreign, 10) }.is_null());
    assert_ne!(MIGRATES.load(Ordering::Relaxed), 0);
}

#[test]
fn resizing_in_place_says_whether_there_is_room() {
    let heap = started();
    let block = heap.allocate(0, 100);
    let room = unsafe { usable_size(block) };
    assert!(unsafe { exact_resize_in_place(block, room - 1, true) });
    assert_eq!(heap.size(block), room - 1);
    assert!(!unsafe { exact_resize_in_place(block, room, true) });
    assert_eq!(heap.size(block), room - 1);
    heap.free(block);
}
