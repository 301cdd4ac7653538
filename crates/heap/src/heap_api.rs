//! The safe face of the entries of the heap API, and of blocks that know the size that was asked
//! for.
//!
//! mimalloc knows the room of a block only, which may be more than was asked for. The heap API of
//! the system promises the very size, so its blocks come from mimalloc heaps of their own, the
//! *exact heaps*, whose blocks keep it.

use core::ffi::c_void;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::interface::{Entries, HeapApiColdPaths, HeapApiEntries, PrivateHeap};
use crate::native;

/// The entries of the heap API. They serve from [`start_heap_api`] on; before it every call goes to
/// nothing, so no slot may lead to them.
pub fn heap_api_entries() -> &'static HeapApiEntries {
    // SAFETY: the table is constant data of the C side, where there is one.
    #[allow(unused_unsafe, reason = "the borrowed heap has its table in Rust")]
    unsafe {
        &native::allograft_heap_api_entries
    }
}

/// Prepares the entries of the heap API, which serve `process_heap` from now on. Call it once,
/// after [`crate::start`], with the loader's lock held; a later call only changes the arguments.
///
/// False if the system has no memory for it, or no TLS slot.
#[allow(clippy::not_unsafe_ptr_arg_deref, reason = "the handle is compared, not dereferenced")]
pub fn start_heap_api(cold: &HeapApiColdPaths, process_heap: *mut c_void) -> bool {
    // SAFETY: the structure is read during the call only; mimalloc has started.
    unsafe { native::allograft_heap_api_start(cold, process_heap) }
}

/// Has the entries of the heap API serve `handle` too, from `heap`: the heap that an old C runtime
/// made for itself. A NULL handle ends it. Only one handle is served so; the blocks of others are
/// allocated by [`private_heap_allocate`].
///
/// # Safety
/// The program uses the handle before no more, and `heap` lives as long as it uses the new one.
pub unsafe fn serve_second_heap(handle: *mut c_void, heap: *mut PrivateHeap) {
    // SAFETY: by the contract.
    unsafe { native::allograft_heap_api_serve_second(handle, heap) }
}

/// Whether C runtimes keep the size that was asked for.
static EXACT_SIZES: AtomicBool = AtomicBool::new(false);

/// Has the blocks of C runtimes keep the size that was asked for: [`exact_entries`] are theirs
/// then. Call it after [`crate::start`], before any runtime is taken over, with the loader's lock
/// held.
///
/// False if the system has no memory for it, or no TLS slot; nothing is changed then.
pub fn keep_exact_sizes() -> bool {
    // SAFETY: mimalloc has started.
    let started = unsafe { native::allograft_heap_exact_start() };
    if started {
        EXACT_SIZES.store(true, Ordering::Relaxed);
    }
    started
}

/// Whether the blocks of C runtimes keep the size that was asked for.
pub fn keeps_exact_sizes() -> bool {
    EXACT_SIZES.load(Ordering::Relaxed)
}

/// The hot entries for the C runtime with the number `runtime` (below [`crate::RUNTIMES`]) that
/// keep the size that was asked for. They work from [`keep_exact_sizes`] on.
pub fn exact_entries(runtime: usize) -> &'static Entries {
    // SAFETY: the tables are constant data of the C side, where there is one.
    #[allow(unused_unsafe, reason = "the borrowed heap has its tables in Rust")]
    unsafe {
        &native::allograft_exact_entries[runtime]
    }
}

/// Allocates `size` bytes, zeroed if `zero`, in a block that keeps its size. NULL if there is no
/// memory, or if it is too late for mimalloc. [`start_heap_api`] or [`keep_exact_sizes`] was
/// called.
pub fn exact_allocate(size: usize, zero: bool) -> *mut c_void {
    // SAFETY: the function accepts any size.
    unsafe { native::allograft_heap_exact_allocate(size, zero) }
}

/// [`crate::allocate_aligned`], in a block that keeps its size. NULL also if it is too late for
/// mimalloc.
pub fn exact_allocate_aligned(size: usize, alignment: usize, offset: usize) -> *mut c_void {
    // SAFETY: the functions accept any size and offset, and return NULL for other alignments.
    unsafe {
        let block = native::allograft_heap_exact_allocate_aligned(size, alignment, offset);
        if block.is_null() && offset != 0 {
            return native::allograft_heap_interior_aligned(size, alignment, offset, true);
        }
        block
    }
}

/// The size that was asked for, of a block that keeps it; of others, the bytes that the program may
/// use.
///
/// # Safety
/// [`crate::owns`] is true for `block`, and it is not freed meanwhile.
pub unsafe fn exact_size(block: *const c_void) -> usize {
    // SAFETY: by the contract the block is mimalloc's, and in use until now.
    unsafe { native::allograft_heap_size(block) }
}

/// [`exact_size`] for a block of one of the aligned functions.
///
/// # Safety
/// As for [`exact_size`].
pub unsafe fn exact_size_of_aligned(block: *const c_void) -> usize {
    // SAFETY: by the contract the block is mimalloc's; the call writes nothing.
    unsafe { native::allograft_heap_size_of_aligned(block.cast_mut()) }
}

/// Gives a block another size where it lies; what that adds is zeroed if `zero`. False, and nothing
/// done, if it has not the room.
///
/// # Safety
/// [`crate::owns`] is true for `block`, and the caller may change its size.
pub unsafe fn exact_resize_in_place(block: *mut c_void, size: usize, zero: bool) -> bool {
    // SAFETY: by the contract the block is mimalloc's, and in use until now.
    unsafe { native::allograft_heap_resize_in_place(block, size, zero) }
}

/// A new heap whose blocks keep their sizes; NULL if there is no memory.
pub fn private_heap_new() -> *mut PrivateHeap {
    // SAFETY: mimalloc has started.
    unsafe { native::allograft_heap_private_new() }
}

/// Allocates `size` bytes, zeroed if `zero`, from `heap`. NULL if there is no memory, or if it is
/// too late for mimalloc.
///
/// # Safety
/// The heap is one of [`private_heap_new`]'s, and is not destroyed meanwhile.
pub unsafe fn private_heap_allocate(
    heap: *mut PrivateHeap,
    size: usize,
    zero: bool,
) -> *mut c_void {
    // SAFETY: by the contract.
    unsafe { native::allograft_heap_private_allocate(heap, size, zero) }
}

/// Frees `heap` and all its blocks.
///
/// # Safety
/// The heap is one of [`private_heap_new`]'s; no thread uses it or one of its blocks afterwards.
pub unsafe fn private_heap_destroy(heap: *mut PrivateHeap) {
    // SAFETY: by the contract.
    unsafe { native::allograft_heap_private_destroy(heap) }
}
