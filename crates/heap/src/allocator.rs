//! The safe face of the C side, or of the `mimalloc.dll` in its place.

use core::ffi::c_void;

use crate::interface::{ColdPaths, Entries, HeapFigures};
use crate::native;

/// Starts mimalloc. Call it once, from any thread, before any other function of this crate; a later
/// call only changes `cold`.
///
/// False if the system has no memory for mimalloc's page map.
pub fn start(cold: &ColdPaths) -> bool {
    // SAFETY: the structure is read during the call only.
    unsafe { native::allograft_heap_start(cold) }
}

/// The hot entries for the C runtime with the number `runtime` (below [`crate::RUNTIMES`]).
///
/// With `clean_tails`, every block is zero behind the requested size: `_recalloc` needs that to be
/// exact, and every allocation takes longer for it.
pub fn entries(runtime: usize, clean_tails: bool) -> &'static Entries {
    // SAFETY: the tables are constant data of the C side, where there is one.
    #[allow(unused_unsafe, reason = "the borrowed heap has its tables in Rust")]
    unsafe {
        if clean_tails {
            &native::allograft_clean_entries[runtime]
        } else {
            &native::allograft_entries[runtime]
        }
    }
}

/// Gives up what mimalloc keeps for the calling thread. Call it when the thread ends.
pub fn thread_done() {
    // SAFETY: mimalloc has started, and ignores a thread that never allocated.
    unsafe { native::allograft_heap_thread_done() }
}

/// Whether mimalloc may not allocate any more: the calling thread has been through [`thread_done`],
/// or the process ends and its other threads are gone. The old heap serves then.
pub fn is_too_late() -> bool {
    // SAFETY: the call only reads mimalloc's state of the calling thread and the process's.
    unsafe { native::allograft_heap_is_too_late() }
}

/// Whether `block` lies in memory of mimalloc's. Any pointer is allowed.
#[allow(clippy::not_unsafe_ptr_arg_deref, reason = "the address is looked up, not dereferenced")]
pub fn owns(block: *const c_void) -> bool {
    // SAFETY: the address is looked up, not dereferenced.
    unsafe { native::allograft_heap_owns(block) }
}

/// How C runtimes align every block, whatever its size: to two words.
pub const BLOCK_ALIGNMENT: usize = 2 * size_of::<usize>();

/// Allocates `size` bytes, aligned as a C runtime aligns them. NULL if there is no memory.
pub fn allocate(size: usize) -> *mut c_void {
    // SAFETY: the functions accept any size; mimalloc has started.
    unsafe { native::mi_malloc(at_least_aligned(size)) }
}

/// Allocates `size` zeroed bytes, aligned likewise; the tail behind them is zero too. NULL if there
/// is no memory.
pub fn allocate_zeroed(size: usize) -> *mut c_void {
    // SAFETY: the functions accept any size; mimalloc has started.
    unsafe { native::mi_zalloc(at_least_aligned(size)) }
}

/// Allocates `size` bytes such that the address `offset` bytes into them is a multiple of
/// `alignment`, a power of two. NULL if there is no memory, or if mimalloc does not support the
/// combination.
pub fn allocate_aligned(size: usize, alignment: usize, offset: usize) -> *mut c_void {
    let size = at_least_aligned(size);
    // SAFETY: the functions accept any size and offset, and return NULL for other alignments.
    unsafe {
        if offset == 0 && alignment <= BLOCK_ALIGNMENT {
            return native::mi_malloc(size);
        }
        let block = native::mi_malloc_aligned_at(size, alignment, offset);
        if block.is_null() && offset != 0 {
            return native::allograft_heap_interior_aligned(size, alignment, offset, false);
        }
        block
    }
}

/// Frees a block of mimalloc's.
///
/// # Safety
/// [`owns`] is true for `block`, and nobody uses it afterwards.
pub unsafe fn free(block: *mut c_void) {
    // SAFETY: by the contract the block is mimalloc's, and in use until now.
    unsafe { native::allograft_heap_free(block) }
}

/// The bytes that the program may use of a block of mimalloc's: never less than were asked for.
///
/// # Safety
/// [`owns`] is true for `block`, and it is not freed meanwhile.
pub unsafe fn usable_size(block: *const c_void) -> usize {
    // SAFETY: by the contract the block is mimalloc's, and in use until now.
    unsafe { native::mi_usable_size(block) }
}

/// Sets whether there may be interior pointers, from an aligned function, in pages that mimalloc
/// has not marked for them: a thread that was inside a runtime's own aligned function when its
/// `malloc` was taken over makes such a pointer. Freeing aligned blocks takes longer then. Returns
/// the former value, at first false.
pub fn exchange_unmarked_interior_pointers(possible: bool) -> bool {
    // SAFETY: the call exchanges a flag; callers hold the loader's lock.
    unsafe { native::allograft_heap_exchange_unmarked_interior_pointers(possible) }
}

/// The bytes that the program may use from `block` on, for a block of one of the aligned functions.
///
/// # Safety
/// [`owns`] is true for `block`, and it is not freed meanwhile.
pub unsafe fn usable_size_of_aligned(block: *const c_void) -> usize {
    // SAFETY: by the contract the block is mimalloc's; the call writes nothing.
    unsafe { native::allograft_heap_usable_size_of_aligned(block.cast_mut()) }
}

/// Frees a block of mimalloc's that came from one of the aligned functions.
///
/// # Safety
/// [`owns`] is true for `block`, and nobody uses it afterwards.
pub unsafe fn free_aligned(block: *mut c_void) {
    // SAFETY: by the contract the block is mimalloc's, and in use until now.
    unsafe { native::allograft_heap_free_aligned(block) }
}

/// mimalloc's version as from `mi_version()`: 30302 is 3.3.2.
pub fn version() -> u32 {
    // SAFETY: the function returns a constant.
    unsafe { native::mi_version() as u32 }
}

/// The memory that mimalloc holds now, and has held at most.
pub fn figures() -> HeapFigures {
    let mut figures = HeapFigures::default();
    // SAFETY: the structure is written during the call only.
    unsafe { native::allograft_heap_figures(&mut figures) };
    figures
}

/// Prints mimalloc's statistics to standard error if its options (`MIMALLOC_SHOW_STATS`,
/// `MIMALLOC_VERBOSE`) ask for them.
pub fn print_statistics() {
    // SAFETY: mimalloc has started, and prints with calls of the system's only.
    unsafe { native::allograft_heap_print_statistics() }
}

/// Whether the keys with which the calling thread's blocks are protected cannot be guessed. False
/// before its first block.
#[cfg(all(feature = "secure", feature = "own"))]
pub fn keys_are_strong() -> bool {
    // SAFETY: the call only reads mimalloc's state of the calling thread.
    unsafe { native::allograft_heap_keys_are_strong() }
}

/// Gets the text of a message of mimalloc's, NUL-terminated, in pieces: what precedes it, and the
/// message, which ends with a line feed. The second argument is NULL.
#[cfg(feature = "check-frees")]
pub type MistakeText = extern "C" fn(*const core::ffi::c_char, *mut c_void);

/// Has mimalloc pass the text of what it finds to `print`, and then call `mistake` with an error
/// number: `EAGAIN` for a double free, `EFAULT` for an overwritten block, `EINVAL` for a pointer
/// that is none. It does not end the process then.
#[cfg(all(feature = "check-frees", feature = "own"))]
pub fn report_mistakes(print: MistakeText, mistake: extern "C" fn(core::ffi::c_int, *mut c_void)) {
    // SAFETY: function pointers stay valid: the module is never unloaded.
    unsafe { native::allograft_heap_report_mistakes(print, mistake) }
}

/// Has `is_redirected` answer for mimalloc's `mi_is_redirected()`; until then the answer is no.
#[cfg(feature = "public-api")]
pub fn set_is_redirected(is_redirected: extern "C" fn() -> bool) {
    // SAFETY: a function pointer stays valid: the module is never unloaded.
    unsafe { native::allograft_heap_set_is_redirected(is_redirected) }
}

/// mimalloc aligns a block of `size_of::<usize>()` bytes to no more than that.
fn at_least_aligned(size: usize) -> usize {
    size.max(BLOCK_ALIGNMENT)
}
