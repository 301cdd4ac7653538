//! Where C runtimes are not taken over: mimalloc as it is.

use std::alloc::{GlobalAlloc, Layout};
use std::ffi::c_void;

use libmimalloc_sys::{mi_free, mi_malloc_aligned, mi_realloc_aligned, mi_zalloc_aligned};

use crate::{Error, Installation, Mimalloc};

unsafe extern "C" {
    fn mi_is_in_heap_region(block: *const c_void) -> bool;
}

// SAFETY: mimalloc's functions keep the trait's contract: any size and power of two, NULL where
// there is no memory, no unwinding.
unsafe impl GlobalAlloc for Mimalloc {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: a layout's alignment is a power of two.
        unsafe { mi_malloc_aligned(layout.size(), layout.align()).cast() }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: a layout's alignment is a power of two.
        unsafe { mi_zalloc_aligned(layout.size(), layout.align()).cast() }
    }

    unsafe fn dealloc(&self, block: *mut u8, _layout: Layout) {
        // SAFETY: the block is mimalloc's, by the trait's contract.
        unsafe { mi_free(block.cast()) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the block is mimalloc's, by the trait's contract, and the alignment a power of
        // two.
        unsafe { mi_realloc_aligned(block.cast(), size, layout.align()).cast() }
    }
}

pub(crate) fn install() -> Result<Installation, Error> {
    Err(Error::NotSupported)
}

pub(crate) fn owns(block: *const c_void) -> bool {
    // SAFETY: the address is looked up, not dereferenced.
    unsafe { mi_is_in_heap_region(block) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[global_allocator]
    static HEAP: Mimalloc = Mimalloc;

    #[test]
    fn installing_is_not_supported_and_the_allocator_works() {
        assert_eq!(crate::install(), Err(Error::NotSupported));
        let mut numbers: Vec<u32> = (0..100_000).collect();
        numbers.shrink_to(10);
        assert!(crate::owns(numbers.as_ptr()));
        assert!(numbers.iter().copied().eq(0..100_000));
    }
}
