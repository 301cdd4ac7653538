//! The C side, as `native/entry.h` declares it, and the functions of mimalloc's public interface
//! that are called from Rust.

use core::ffi::{c_int, c_void};

use crate::interface::{
    ColdPaths, Entries, HeapApiColdPaths, HeapApiEntries, HeapFigures, PrivateHeap, RUNTIMES,
};

unsafe extern "C" {
    pub static allograft_entries: [Entries; RUNTIMES];
    pub static allograft_clean_entries: [Entries; RUNTIMES];
    pub static allograft_exact_entries: [Entries; RUNTIMES];
    pub static allograft_heap_api_entries: HeapApiEntries;

    pub fn allograft_heap_start(cold: *const ColdPaths) -> bool;
    pub fn allograft_heap_thread_done();
    pub fn allograft_heap_is_too_late() -> bool;
    pub fn allograft_heap_owns(block: *const c_void) -> bool;
    pub fn allograft_heap_free(block: *mut c_void);
    pub fn allograft_heap_interior_aligned(
        size: usize,
        alignment: usize,
        offset: usize,
        exact: bool,
    ) -> *mut c_void;
    pub fn allograft_heap_exchange_unmarked_interior_pointers(possible: bool) -> bool;
    pub fn allograft_heap_usable_size_of_aligned(block: *mut c_void) -> usize;
    pub fn allograft_heap_size_of_aligned(block: *mut c_void) -> usize;
    pub fn allograft_heap_free_aligned(block: *mut c_void);
    pub fn allograft_heap_figures(figures: *mut HeapFigures);
    pub fn allograft_heap_print_statistics();
    #[cfg(feature = "secure")]
    pub fn allograft_heap_keys_are_strong() -> bool;
    #[cfg(feature = "check-frees")]
    pub fn allograft_heap_report_mistakes(
        print: crate::MistakeText,
        mistake: extern "C" fn(c_int, *mut c_void),
    );
    #[cfg(feature = "public-api")]
    pub fn allograft_heap_set_is_redirected(is_redirected: extern "C" fn() -> bool);

    pub fn allograft_heap_exact_start() -> bool;
    pub fn allograft_heap_exact_allocate(size: usize, zero: bool) -> *mut c_void;
    pub fn allograft_heap_exact_allocate_aligned(
        size: usize,
        alignment: usize,
        offset: usize,
    ) -> *mut c_void;
    pub fn allograft_heap_size(block: *const c_void) -> usize;
    pub fn allograft_heap_resize_in_place(block: *mut c_void, size: usize, zero: bool) -> bool;
    pub fn allograft_heap_private_new() -> *mut PrivateHeap;
    pub fn allograft_heap_private_allocate(
        heap: *mut PrivateHeap,
        size: usize,
        zero: bool,
    ) -> *mut c_void;
    pub fn allograft_heap_private_destroy(heap: *mut PrivateHeap);
    pub fn allograft_heap_api_start(
        cold: *const HeapApiColdPaths,
        process_heap: *mut c_void,
    ) -> bool;
    pub fn allograft_heap_api_serve_second(handle: *mut c_void, heap: *mut PrivateHeap);

    pub fn mi_malloc(size: usize) -> *mut c_void;
    pub fn mi_zalloc(size: usize) -> *mut c_void;
    pub fn mi_malloc_aligned_at(size: usize, alignment: usize, offset: usize) -> *mut c_void;
    pub fn mi_usable_size(block: *const c_void) -> usize;
    pub fn mi_version() -> c_int;
}

/// Does nothing: the module's own heap always serves.
pub fn serve(_serving: bool) {}

/// Does nothing: there is no other mimalloc that has to know.
pub fn set_redirected() {}

/// Does nothing: mimalloc is in this module.
///
/// # Safety
/// None is needed here; see the borrowed heap's.
pub unsafe fn use_mimalloc_at(_base: usize) {}

/// 0: mimalloc is no module of its own.
pub fn mimalloc_base() -> usize {
    0
}
