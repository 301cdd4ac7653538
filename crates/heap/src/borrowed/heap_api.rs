//! The entries that take the place of the system's heap functions: `native/heap_api.c`, by
//! mimalloc's public interface.

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, Ordering};

use windows_sys::Win32::Foundation::INVALID_HANDLE_VALUE;
use windows_sys::Win32::System::Memory::{
    HEAP_GENERATE_EXCEPTIONS, HEAP_NO_SERIALIZE, HEAP_REALLOC_IN_PLACE_ONLY, HEAP_ZERO_MEMORY,
};

use super::dll::{allograft_heap_owns, mi_free};
use super::exact::{
    allograft_heap_exact_allocate, allograft_heap_exact_start, allograft_heap_private_allocate,
    allograft_heap_resize_in_place, allograft_heap_size, reallocate as reallocate_exact,
};
use crate::interface::{HeapApiColdPaths, HeapApiEntries, PrivateHeap};

/// The cold paths, which no entry calls before [`allograft_heap_api_start`] has set them.
struct ColdCell(UnsafeCell<Option<HeapApiColdPaths>>);

// SAFETY: it is written with the loader's lock held, before any slot leads to the entries; after
// that it is only read.
unsafe impl Sync for ColdCell {}

static COLD: ColdCell = ColdCell(UnsafeCell::new(None));

fn cold() -> &'static HeapApiColdPaths {
    // SAFETY: it is set before any entry can be called, and nobody writes it again.
    unsafe { (*COLD.0.get()).as_ref().unwrap_unchecked() }
}

/// The heap handles that are served, and the heap of the second.
static PROCESS_HEAP: AtomicPtr<c_void> = AtomicPtr::new(INVALID_HANDLE_VALUE);
static SECOND_HANDLE: AtomicPtr<c_void> = AtomicPtr::new(INVALID_HANDLE_VALUE);
static SECOND_HEAP: AtomicPtr<PrivateHeap> = AtomicPtr::new(null_mut());

pub unsafe fn allograft_heap_api_start(
    cold_paths: *const HeapApiColdPaths,
    process_heap: *mut c_void,
) -> bool {
    // SAFETY: `cold_paths` is valid; the loader's lock is held, and no entry runs yet.
    unsafe {
        if !allograft_heap_exact_start() {
            return false;
        }
        *COLD.0.get() = Some(*cold_paths);
    }
    PROCESS_HEAP.store(process_heap, Ordering::Release);
    true
}

pub unsafe fn allograft_heap_api_serve_second(handle: *mut c_void, heap: *mut PrivateHeap) {
    SECOND_HANDLE.store(INVALID_HANDLE_VALUE, Ordering::Release);
    if !handle.is_null() {
        SECOND_HEAP.store(heap, Ordering::Release);
        SECOND_HANDLE.store(handle, Ordering::Release);
    }
}

#[allow(non_upper_case_globals, reason = "the C side's name")]
pub static allograft_heap_api_entries: HeapApiEntries = HeapApiEntries {
    allocate,
    free,
    reallocate: reallocate::<true>,
    reallocate_in_other_modules: reallocate::<false>,
    size,
};

const SERVED_FLAGS: u32 = HEAP_NO_SERIALIZE | HEAP_GENERATE_EXCEPTIONS | HEAP_ZERO_MEMORY;

unsafe extern "system" fn allocate(heap: *mut c_void, flags: u32, size: usize) -> *mut c_void {
    // SAFETY: the functions accept any size; the second heap lives while its handle is served.
    unsafe {
        let zero = flags & HEAP_ZERO_MEMORY != 0;
        let block = if flags & !SERVED_FLAGS != 0 {
            null_mut()
        } else if heap == PROCESS_HEAP.load(Ordering::Acquire) {
            allograft_heap_exact_allocate(size, zero)
        } else if heap == SECOND_HANDLE.load(Ordering::Acquire) {
            allograft_heap_private_allocate(SECOND_HEAP.load(Ordering::Acquire), size, zero)
        } else {
            null_mut()
        };
        if block.is_null() { (cold().allocate)(heap, flags, size) } else { block }
    }
}

unsafe extern "system" fn free(heap: *mut c_void, flags: u32, block: *mut c_void) -> i32 {
    // SAFETY: the program passes a block; `allograft_heap_owns` decides whose it is.
    unsafe {
        if !allograft_heap_owns(block) {
            return (cold().free)(heap, flags, block);
        }
        mi_free(block);
        1
    }
}

unsafe extern "system" fn reallocate<const MIGRATES: bool>(
    heap: *mut c_void,
    flags: u32,
    block: *mut c_void,
    size: usize,
) -> *mut c_void {
    // SAFETY: the program passes a block; `allograft_heap_owns` decides whose it is.
    unsafe {
        if allograft_heap_owns(block) {
            let zero = flags & HEAP_ZERO_MEMORY != 0;
            if flags & HEAP_REALLOC_IN_PLACE_ONLY == 0 {
                let moved = reallocate_exact(block, size, zero);
                if !moved.is_null() {
                    return moved;
                }
            } else if allograft_heap_resize_in_place(block, size, zero) {
                return block;
            }
        }
        (cold().reallocate)(heap, flags, block, size, MIGRATES)
    }
}

unsafe extern "system" fn size(heap: *mut c_void, flags: u32, block: *const c_void) -> usize {
    // SAFETY: the program passes a block; `allograft_heap_owns` decides whose it is.
    unsafe {
        if allograft_heap_owns(block) {
            allograft_heap_size(block)
        } else {
            (cold().size)(heap, flags, block)
        }
    }
}
