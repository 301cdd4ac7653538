//! The hot entries, called as a program calls them, with a stand-in for the engine behind them.
#![cfg(windows)]
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "the functions under test are malloc and its kin, called as the C standard allows"
)]

use std::ffi::{c_uint, c_void};
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

use allograft_heap::{ColdPaths, Entries, entries, owns};
use windows_sys::Win32::System::Memory::{
    MEM_COMMIT, MEM_RELEASE, MEM_RESERVE, PAGE_READWRITE, VirtualAlloc, VirtualFree,
};

/// How often each cold path was taken: a stand-in for the engine that answers what a test can
/// recognise.
static RELEASED: AtomicUsize = AtomicUsize::new(0);
static FAILED: AtomicUsize = AtomicUsize::new(0);

extern "C" fn allocate(_size: usize, _zero: bool, runtime: c_uint) -> *mut c_void {
    FAILED.fetch_add(1 + runtime as usize, Ordering::Relaxed);
    std::ptr::null_mut()
}
unsafe extern "C" fn reallocate(block: *mut c_void, _size: usize, _runtime: c_uint) -> *mut c_void {
    block
}
unsafe extern "C" fn release(block: *mut c_void, _runtime: c_uint) {
    assert!(!owns(block));
    RELEASED.fetch_add(1, Ordering::Relaxed);
}
unsafe extern "C" fn usable_size(_block: *mut c_void, runtime: c_uint) -> usize {
    12345 + runtime as usize
}
extern "C" fn allocate_aligned(_size: usize, _alignment: usize, _runtime: c_uint) -> *mut c_void {
    std::ptr::null_mut()
}

/// The entries of runtime 3, with mimalloc started.
fn started(clean_tails: bool) -> &'static Entries {
    static START: Once = Once::new();
    START.call_once(|| {
        let cold = ColdPaths {
            allocate,
            reallocate,
            release,
            usable_size,
            allocate_aligned,
            release_aligned: release,
        };
        assert!(allograft_heap::start(&cold));
    });
    entries(3, clean_tails)
}

/// Sizes around every border that matters: words, size classes, mimalloc's kinds of page.
fn sizes() -> impl Iterator<Item = usize> {
    let borders = [0, 8, 16, 64, 128, 1024, 4096, 8192, 65536, 1 << 19, 1 << 22];
    borders.into_iter().flat_map(|size: usize| size.saturating_sub(2)..size + 3)
}

#[test]
fn blocks_of_every_size_are_aligned_to_two_words_and_ours() {
    let heap = started(false);
    for size in sizes() {
        let blocks: Vec<_> = (0..20).map(|_| unsafe { (heap.malloc)(size) }).collect();
        for &block in &blocks {
            assert!(!block.is_null());
            assert_eq!(block as usize % (2 * size_of::<usize>()), 0, "{size} bytes");
            assert!(owns(block));
            assert!(unsafe { (heap.msize)(block) } >= size);
            unsafe { block.cast::<u8>().write_bytes(0xA5, size) };
        }
        blocks.into_iter().for_each(|block| unsafe { (heap.free)(block) });
    }
}

#[test]
fn calloc_zeroes_what_a_freed_block_left_behind() {
    let heap = started(false);
    for size in sizes().filter(|&size| size < 100_000) {
        for _ in 0..50 {
            let dirty = unsafe { (heap.malloc)(size) };
            unsafe { dirty.cast::<u8>().write_bytes(0xEE, size) };
            unsafe { (heap.free)(dirty) };
            let clean = unsafe { (heap.calloc)(1, size) };
            let bytes = unsafe { std::slice::from_raw_parts(clean.cast::<u8>(), size) };
            assert!(bytes.iter().all(|&byte| byte == 0), "{size} bytes");
            unsafe { (heap.free)(clean) };
        }
    }
}

#[test]
fn realloc_keeps_the_contents_up_and_down() {
    let heap = started(false);
    let mut block = unsafe { (heap.malloc)(1) };
    unsafe { *block.cast::<u8>() = 0 };
    let mut size = 1;
    for next in sizes().chain(sizes().collect::<Vec<_>>().into_iter().rev()).filter(|&n| n > 0) {
        block = unsafe { (heap.realloc)(block, next) };
        let bytes = unsafe { std::slice::from_raw_parts_mut(block.cast::<u8>(), next) };
        for (index, byte) in bytes[..size.min(next)].iter().enumerate() {
            assert_eq!(*byte, index as u8, "byte {index} from {size} to {next}");
        }
        bytes.iter_mut().enumerate().for_each(|(index, byte)| *byte = index as u8);
        size = next;
    }
    unsafe { (heap.free)(block) };
}

#[test]
fn clean_tails_stay_zero_through_malloc_and_realloc() {
    let (ordinary, clean) = (started(false), started(true));
    for size in (1..1200).chain([5000, 70_000]) {
        let dirty = unsafe { (ordinary.malloc)(size + 40) };
        unsafe { dirty.cast::<u8>().write_bytes(0xEE, size + 40) };
        unsafe { (ordinary.free)(dirty) };
        let mut block = unsafe { (clean.malloc)(size) };
        for asked in [size, size + 7, size - size / 4] {
            block = unsafe { (clean.realloc)(block, asked) };
            let usable = unsafe { (clean.msize)(block) };
            unsafe { block.cast::<u8>().write_bytes(0xEE, asked) };
            let tail = unsafe {
                std::slice::from_raw_parts(block.cast::<u8>().add(asked), usable - asked)
            };
            // What the program wrote up to `asked` is its own; what it wrote before behind that is
            // gone.
            assert!(tail.iter().all(|&byte| byte == 0), "{asked} bytes, tail of {}", tail.len());
        }
        unsafe { (clean.free)(block) };
    }
}

#[test]
fn aligned_blocks_are_aligned_and_freed_by_either_free() {
    let heap = started(false);
    for shift in 0..20 {
        for size in [1, 16, 100, 5000, 100_000] {
            let alignment = 1 << shift;
            let block = unsafe { (heap.aligned_malloc)(size, alignment) };
            assert!(!block.is_null(), "{size} bytes aligned to {alignment}");
            assert_eq!(block as usize % alignment, 0);
            unsafe { block.cast::<u8>().write_bytes(0x5A, size) };
            unsafe { (heap.aligned_free)(block) };
        }
    }
    assert!(unsafe { (heap.aligned_malloc)(8, 3) }.is_null());
    assert!(unsafe { (heap.aligned_malloc)(8, 0) }.is_null());
}

#[test]
fn offsets_hold_even_for_alignments_that_mimalloc_refuses_to_shift() {
    started(false);
    for (size, alignment, offset) in
        [(100, 64, 8), (5000, 4096, 100), (3000, 1 << 17, 24), (9, 32, 7)]
    {
        let block = allograft_heap::allocate_aligned(size, alignment, offset);
        assert!(!block.is_null(), "{size} {alignment} {offset}");
        assert_eq!((block as usize + offset) % alignment, 0);
        let usable = unsafe { allograft_heap::usable_size_of_aligned(block) };
        assert!(usable >= size, "{usable} of {size} {alignment} {offset}");
        unsafe { block.cast::<u8>().write_bytes(1, size) };
        unsafe { allograft_heap::free_aligned(block) };
    }
}

/// A thread that was inside a runtime's own `_aligned_malloc` when its `malloc` was taken over lays
/// out a block like this.
#[test]
fn an_aligned_address_inside_a_plain_block_of_ours_is_freed_as_that_block() {
    let heap = started(false);
    allograft_heap::exchange_unmarked_interior_pointers(true);
    for size in [24, 200, 3000, 50_000] {
        for _ in 0..100 {
            let raw = unsafe { (heap.malloc)(size) };
            let aligned = raw.wrapping_byte_add(16);
            let usable = unsafe { allograft_heap::usable_size_of_aligned(aligned) };
            assert_eq!(usable, unsafe { (heap.msize)(raw) } - 16);
            unsafe { (heap.aligned_free)(aligned) };
            let again = unsafe { (heap.malloc)(size) };
            unsafe { (heap.free)(again) };
        }
    }
}

#[test]
fn what_is_not_ours_goes_to_the_owner_of_the_cold_paths_with_the_runtimes_number() {
    let heap = started(false);
    let before = (RELEASED.load(Ordering::Relaxed), FAILED.load(Ordering::Relaxed));
    let mut local = 0u64;
    unsafe { (heap.free)((&raw mut local).cast()) };
    unsafe { (heap.free)(std::ptr::null_mut()) };
    assert_eq!(unsafe { (heap.msize)((&raw mut local).cast()) }, 12345 + 3);
    assert!(unsafe { (heap.malloc)(usize::MAX) }.is_null());
    assert!(unsafe { (heap.calloc)(usize::MAX, 2) }.is_null());
    assert!(RELEASED.load(Ordering::Relaxed) >= before.0 + 2);
    assert!(FAILED.load(Ordering::Relaxed) >= before.1 + 8);
}

/// How many bits the addresses of user code have.
const ADDRESS_BITS: u32 = if cfg!(target_pointer_width = "64") { 47 } else { 32 };

/// The page map covers all that user code can address: no lookup faults, from the first 64 KiB to
/// the last.
#[test]
fn no_address_of_the_address_space_faults_or_is_taken_for_ours() {
    let heap = started(false);
    let (mut asked, mut mapped) = (0, 0);
    for shift in 16..ADDRESS_BITS {
        for nudge in [0, 1 << 16, 3 << 20] {
            let address = (1usize << shift) + nudge;
            let memory = unsafe {
                VirtualAlloc(
                    address as *const c_void,
                    4096,
                    MEM_RESERVE | MEM_COMMIT,
                    PAGE_READWRITE,
                )
            };
            asked += 1;
            // The page map is asked about the address whether somebody has it or not.
            if memory.is_null() {
                continue;
            }
            mapped += 1;
            assert!(!owns(memory));
            assert_eq!(unsafe { (heap.msize)(memory) }, 12345 + 3);
            unsafe { (heap.free)(memory) };
            unsafe { VirtualFree(memory, 0, MEM_RELEASE) };
        }
    }
    let last = (((1u64 << ADDRESS_BITS) - 0x2_0000) as usize) as *mut c_void;
    assert_eq!(unsafe { (heap.msize)(last) }, 12345 + 3);
    // Of the few addresses of x86, a program has many already.
    let enough = if cfg!(target_arch = "x86") { 16 } else { 2 };
    assert!(mapped * enough > asked, "only {mapped} of {asked} addresses could be had");
}

/// Values that are no addresses of user code: patterns of debug heaps, kernel addresses. What the
/// old heap thinks of them is its affair; they must not be looked up behind the page map.
#[test]
#[cfg(target_pointer_width = "64")]
fn garbage_is_the_old_heaps_affair() {
    let heap = started(false);
    let garbage = [
        0xDDDD_DDDD_DDDD_DDDD,
        0xFEEE_FEEE_FEEE_FEEE,
        0xCDCD_CDCD_CDCD_CDC0,
        1 << 47,
        (1 << 47) + (1 << 29),
        0xFFFF_8000_0000_0000,
        usize::MAX & !15,
    ];
    for address in garbage {
        let block = address as *mut c_void;
        let before = RELEASED.load(Ordering::Relaxed);
        assert!(!owns(block));
        assert_eq!(unsafe { (heap.msize)(block) }, 12345 + 3, "{address:#x}");
        assert_eq!(unsafe { (heap.realloc)(block, 10) }, block, "{address:#x}");
        unsafe { (heap.free)(block) };
        unsafe { (heap.aligned_free)(block) };
        assert!(RELEASED.load(Ordering::Relaxed) >= before + 2);
    }
}

/// Every thread's blocks are protected by keys of its own.
#[test]
#[cfg(feature = "secure")]
fn no_thread_has_keys_that_can_be_guessed() {
    let heap = started(false);
    let is_strong = move || {
        unsafe { (heap.free)((heap.malloc)(10)) };
        allograft_heap::keys_are_strong()
    };
    assert!(is_strong());
    assert!(std::thread::spawn(is_strong).join().unwrap());
}

#[test]
fn threads_hand_blocks_to_one_another_and_end() {
    let heap = started(false);
    for round in 0..20u8 {
        let (sender, receiver) = std::sync::mpsc::channel::<usize>();
        let maker = std::thread::spawn(move || {
            for size in 1..500usize {
                let block = unsafe { (heap.malloc)(size) };
                unsafe { block.cast::<u8>().write_bytes(round, size) };
                sender.send(block as usize).unwrap();
            }
            allograft_heap::thread_done();
        });
        for (index, block) in receiver.into_iter().enumerate() {
            let bytes = unsafe { std::slice::from_raw_parts(block as *const u8, index + 1) };
            assert!(bytes.iter().all(|&byte| byte == round));
            unsafe { (heap.free)(block as *mut c_void) };
        }
        maker.join().unwrap();
    }
}
