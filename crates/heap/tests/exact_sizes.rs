//! The entries of C runtimes that keep the size that was asked for.
#![cfg(windows)]
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "the functions under test are malloc and its kin, called as the C standard allows"
)]

use std::ffi::{c_uint, c_void};
use std::ptr::null_mut;
use std::sync::Once;

use allograft_heap::{
    ColdPaths, Entries, RUNTIMES, entries, exact_allocate_aligned, exact_entries,
    exact_resize_in_place, exact_size_of_aligned, keep_exact_sizes, keeps_exact_sizes, owns,
};

extern "C" fn allocate(_: usize, _: bool, _: c_uint) -> *mut c_void {
    null_mut()
}
unsafe extern "C" fn reallocate(_: *mut c_void, _: usize, runtime: c_uint) -> *mut c_void {
    (0x100 + runtime as usize) as *mut c_void
}
unsafe extern "C" fn release(_: *mut c_void, _: c_uint) {}
unsafe extern "C" fn usable_size(_: *mut c_void, runtime: c_uint) -> usize {
    12345 + runtime as usize
}
extern "C" fn allocate_aligned(_: usize, _: usize, _: c_uint) -> *mut c_void {
    null_mut()
}

fn started(runtime: usize) -> &'static Entries {
    static START: Once = Once::new();
    START.call_once(|| {
        assert!(allograft_heap::start(&ColdPaths {
            allocate,
            reallocate,
            release,
            usable_size,
            allocate_aligned,
            release_aligned: release,
        }));
        assert!(!keeps_exact_sizes());
        assert!(keep_exact_sizes() && keeps_exact_sizes());
    });
    exact_entries(runtime)
}

fn bytes<'b>(block: *mut c_void, size: usize) -> &'b mut [u8] {
    unsafe { std::slice::from_raw_parts_mut(block.cast(), size) }
}

/// Sizes around every border that matters: words, size classes, mimalloc's kinds of page.
fn sizes() -> impl Iterator<Item = usize> {
    (1..1300).chain((10..25).flat_map(|shift| (1usize << shift) - 2..(1 << shift) + 3))
}

#[test]
fn msize_answers_what_was_asked_for() {
    for runtime in 0..RUNTIMES {
        let heap = started(runtime);
        for size in sizes().step_by(runtime + 1) {
            let block = unsafe { (heap.malloc)(size) };
            assert!(owns(block));
            assert_eq!(block as usize % (2 * size_of::<usize>()), 0, "{size} bytes");
            bytes(block, size).fill(0xFF);
            assert_eq!(unsafe { (heap.msize)(block) }, size);
            unsafe { (heap.free)(block) };
            let block = unsafe { (heap.calloc)(1, size) };
            assert!(bytes(block, size).iter().all(|&byte| byte == 0), "{size} bytes");
            assert_eq!(unsafe { (heap.msize)(block) }, size);
            let block = unsafe { (heap.realloc)(block, size + size / 3) };
            assert_eq!(unsafe { (heap.msize)(block) }, size + size / 3);
            assert!(bytes(block, size).iter().all(|&byte| byte == 0), "{size} bytes");
            let block = unsafe { (heap.realloc)(block, size.div_ceil(3)) };
            assert_eq!(unsafe { (heap.msize)(block) }, size.div_ceil(3));
            unsafe { (heap.free)(block) };
        }
    }
}

/// C runtimes ask their heaps for a byte then, and say so.
#[test]
fn a_block_of_no_bytes_has_one() {
    let heap = started(1);
    for block in [unsafe { (heap.malloc)(0) }, unsafe { (heap.calloc)(0, 8) }] {
        assert_eq!(unsafe { (heap.msize)(block) }, 1);
        unsafe { (heap.free)(block) };
    }
}

#[test]
fn aligned_blocks_are_exact_from_their_address_on() {
    let heap = started(2);
    for shift in 0..18 {
        let alignment = 1usize << shift;
        for size in [0, 1, 15, 16, 17, 100, 500, 1023, 5000, 100_000] {
            let blocks: Vec<_> =
                (0..10).map(|_| unsafe { (heap.aligned_malloc)(size, alignment) }).collect();
            for block in blocks {
                assert!(!block.is_null(), "{size} bytes aligned to {alignment}");
                assert_eq!(block as usize % alignment, 0);
                bytes(block, size).fill(0xFF);
                let answer = unsafe { exact_size_of_aligned(block) };
                assert_eq!(answer, size, "aligned to {alignment}");
                assert_eq!(unsafe { (heap.msize)(block) }, size, "aligned to {alignment}");
                if size > 0 {
                    assert!(unsafe { exact_resize_in_place(block, size / 2, false) });
                    assert_eq!(unsafe { exact_size_of_aligned(block) }, size / 2);
                }
                unsafe { (heap.aligned_free)(block) };
            }
        }
    }
    assert!(unsafe { (heap.aligned_malloc)(8, 3) }.is_null());
    assert!(unsafe { (heap.aligned_malloc)(8, 0) }.is_null());
}

#[test]
fn offsets_hold_even_for_alignments_that_mimalloc_refuses_to_shift() {
    started(0);
    for (size, alignment, offset) in
        [(100, 64, 8), (5000, 4096, 100), (3000, 1 << 17, 24), (9, 32, 7), (0, 64, 3)]
    {
        let block = exact_allocate_aligned(size, alignment, offset);
        assert!(!block.is_null(), "{size} {alignment} {offset}");
        assert_eq!((block as usize + offset) % alignment, 0);
        assert_eq!(unsafe { exact_size_of_aligned(block) }, size, "{alignment} {offset}");
        bytes(block, size).fill(1);
        unsafe { allograft_heap::free_aligned(block) };
    }
}

/// A thread that was inside a runtime's own `_aligned_malloc` when its `malloc` was taken over lays
/// out a block like this.
#[test]
fn an_aligned_address_inside_an_exact_block_has_the_rest_of_its_size() {
    let heap = started(3);
    let before = allograft_heap::exchange_unmarked_interior_pointers(true);
    for size in [24, 200, 3000, 50_000] {
        for _ in 0..100 {
            let aligned = unsafe { (heap.malloc)(size) }.wrapping_byte_add(16);
            assert_eq!(unsafe { exact_size_of_aligned(aligned) }, size - 16);
            assert!(unsafe { exact_resize_in_place(aligned, size - 20, false) });
            assert_eq!(unsafe { exact_size_of_aligned(aligned) }, size - 20);
            unsafe { (heap.aligned_free)(aligned) };
        }
    }
    allograft_heap::exchange_unmarked_interior_pointers(before);
}

#[test]
fn other_blocks_of_mimallocs_become_exact_when_they_are_reallocated() {
    let (exact, plain) = (started(4), entries(4, false));
    for size in [1, 100, 5000, 100_000] {
        let block = unsafe { (plain.malloc)(size) };
        bytes(block, size).fill(0xEE);
        assert!(unsafe { (exact.msize)(block) } >= size);
        let block = unsafe { (exact.realloc)(block, size) };
        assert_eq!(unsafe { (exact.msize)(block) }, size);
        assert!(bytes(block, size).iter().all(|&byte| byte == 0xEE));
        unsafe { (plain.free)(block) };
    }
}

#[test]
fn what_is_not_ours_goes_to_the_owner_of_the_cold_paths() {
    let heap = started(5);
    let mut local = 0u64;
    let foreign = (&raw mut local).cast();
    assert_eq!(unsafe { (heap.msize)(foreign) }, 12345 + 5);
    assert_eq!(unsafe { (heap.realloc)(foreign, 10) }, 0x105 as *mut c_void);
    let block = unsafe { (heap.malloc)(10) };
    assert_eq!(unsafe { (heap.realloc)(block, 0) }, 0x105 as *mut c_void, "it frees");
    assert_eq!(unsafe { (heap.realloc)(block, usize::MAX) }, 0x105 as *mut c_void, "no memory");
    unsafe { (heap.free)(block) };
    assert!(unsafe { (heap.malloc)(usize::MAX) }.is_null());
    assert!(unsafe { (heap.calloc)(usize::MAX, 2) }.is_null());
}
