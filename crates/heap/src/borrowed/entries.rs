//! The entries that take the place of the C runtimes' functions.

use core::ffi::{c_uint, c_void};
use core::ptr::null_mut;

use super::dll::{
    allograft_heap_owns, is_serving, mi_free, mi_malloc, mi_malloc_aligned_at, mi_usable_size,
    mi_zalloc, mimalloc,
};
use super::exact;
use crate::interface::{Entries, RUNTIMES};

/// The numbers from here on are those of the entries that keep tails zero.
const CLEAN: usize = RUNTIMES;

/// The numbers from here on are those of the entries that keep the size that was asked for.
const EXACT: usize = 2 * RUNTIMES;

const fn entries<const NUMBER: usize>() -> Entries {
    Entries {
        malloc: malloc::<NUMBER>,
        calloc: calloc::<NUMBER>,
        realloc: realloc::<NUMBER>,
        free: free::<NUMBER>,
        msize: msize::<NUMBER>,
        aligned_malloc: aligned_malloc::<NUMBER>,
        aligned_free: aligned_free::<NUMBER>,
    }
}

macro_rules! tables {
    ($($slot:literal)*) => {
        #[allow(non_upper_case_globals, reason = "the C side's name")]
        pub static allograft_entries: [Entries; RUNTIMES] = [$(entries::<$slot>()),*];

        #[allow(non_upper_case_globals, reason = "the C side's name")]
        pub static allograft_clean_entries: [Entries; RUNTIMES] =
            [$(entries::<{ CLEAN + $slot }>()),*];

        #[allow(non_upper_case_globals, reason = "the C side's name")]
        pub static allograft_exact_entries: [Entries; RUNTIMES] =
            [$(entries::<{ EXACT + $slot }>()),*];
    };
}

tables!(0 1 2 3 4 5 6 7);

/// The slot of the runtime, as the cold paths take it.
const fn slot<const NUMBER: usize>() -> c_uint {
    (NUMBER % RUNTIMES) as c_uint
}

/// Zeroes the tail of the block, for entries that keep tails zero.
unsafe fn clean_tail<const NUMBER: usize>(block: *mut c_void, size: usize) {
    if NUMBER >= CLEAN && NUMBER < EXACT {
        // SAFETY: the block is mimalloc's, and the bytes behind `size` are not the program's.
        unsafe {
            let usable = mi_usable_size(block);
            block.cast::<u8>().add(size).write_bytes(0, usable - size);
        }
    }
}

unsafe fn allocate<const NUMBER: usize>(size: usize, zeroed: bool) -> *mut c_void {
    // SAFETY: mimalloc and the cold path accept any size.
    unsafe {
        if !is_serving() {
            return (mimalloc().cold.allocate)(size, zeroed, slot::<NUMBER>());
        }
        // C runtimes align blocks to 16 bytes whatever their size; mimalloc would align one of 8
        // bytes to 8.
        let padded = size.max(16);
        let block = if NUMBER >= EXACT {
            exact::allograft_heap_exact_allocate(size, zeroed)
        } else if zeroed {
            mi_zalloc(padded)
        } else {
            mi_malloc(padded)
        };
        if block.is_null() {
            return (mimalloc().cold.allocate)(size, zeroed, slot::<NUMBER>());
        }
        if !zeroed {
            clean_tail::<NUMBER>(block, size);
        }
        block
    }
}

unsafe extern "C" fn malloc<const NUMBER: usize>(size: usize) -> *mut c_void {
    // SAFETY: `allocate` accepts any size.
    unsafe { allocate::<NUMBER>(size, false) }
}

unsafe extern "C" fn calloc<const NUMBER: usize>(count: usize, size: usize) -> *mut c_void {
    // SAFETY: mimalloc and the cold path accept any size; for `usize::MAX` there is never memory.
    unsafe {
        match count.checked_mul(size) {
            Some(total) => allocate::<NUMBER>(total, true),
            None => (mimalloc().cold.allocate)(usize::MAX, true, slot::<NUMBER>()),
        }
    }
}

unsafe extern "C" fn realloc<const NUMBER: usize>(block: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: `allograft_heap_owns` decides whose block it is; what is copied fits both blocks.
    unsafe {
        if block.is_null() {
            return allocate::<NUMBER>(size, false);
        }
        let cold = mimalloc().cold.reallocate;
        if size == 0 || !allograft_heap_owns(block) {
            return cold(block, size, slot::<NUMBER>());
        }
        if NUMBER >= EXACT || exact::is_exact(block) {
            let moved = exact::reallocate(block, size, false);
            return if moved.is_null() { cold(block, size, slot::<NUMBER>()) } else { moved };
        }
        let usable = mi_usable_size(block);
        // As mimalloc does: a block that fits and wastes no more than half stays where it is.
        if size <= usable && size >= usable / 2 {
            clean_tail::<NUMBER>(block, size);
            return block;
        }
        let moved = if is_serving() { mi_malloc(size.max(16)) } else { null_mut() };
        if moved.is_null() {
            return cold(block, size, slot::<NUMBER>());
        }
        moved.cast::<u8>().copy_from_nonoverlapping(block.cast(), usable.min(size));
        mi_free(block);
        clean_tail::<NUMBER>(moved, size);
        moved
    }
}

unsafe extern "C" fn free<const NUMBER: usize>(block: *mut c_void) {
    // SAFETY: the program passes a block; `allograft_heap_owns` decides whose it is.
    unsafe {
        if allograft_heap_owns(block) {
            mi_free(block);
        } else {
            (mimalloc().cold.release)(block, slot::<NUMBER>());
        }
    }
}

unsafe extern "C" fn msize<const NUMBER: usize>(block: *mut c_void) -> usize {
    // SAFETY: the program passes a block; `allograft_heap_owns` decides whose it is.
    unsafe {
        if allograft_heap_owns(block) {
            exact::allograft_heap_size(block)
        } else {
            (mimalloc().cold.usable_size)(block, slot::<NUMBER>())
        }
    }
}

unsafe extern "C" fn aligned_malloc<const NUMBER: usize>(
    size: usize,
    alignment: usize,
) -> *mut c_void {
    // SAFETY: mimalloc gets a power of two only; the cold path accepts anything.
    unsafe {
        if is_serving() && alignment.is_power_of_two() && size <= isize::MAX as usize / 2 {
            let block = if NUMBER >= EXACT {
                exact::allograft_heap_exact_allocate_aligned(size, alignment.max(16), 0)
            } else {
                mi_malloc_aligned_at(size.max(16), alignment.max(16), 0)
            };
            if !block.is_null() {
                clean_tail::<NUMBER>(block, size);
                return block;
            }
        }
        (mimalloc().cold.allocate_aligned)(size, alignment, slot::<NUMBER>())
    }
}

unsafe extern "C" fn aligned_free<const NUMBER: usize>(block: *mut c_void) {
    // SAFETY: the program passes a block; `allograft_heap_owns` decides whose it is.
    unsafe {
        if allograft_heap_owns(block) {
            mi_free(block);
        } else {
            (mimalloc().cold.release_aligned)(block, slot::<NUMBER>());
        }
    }
}
