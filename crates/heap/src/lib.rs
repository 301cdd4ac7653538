//! mimalloc, with the entry points that take the place of a C runtime's heap functions.
//!
//! The hot entries are C (`native/entry.c`), because they continue mimalloc's inlined paths;
//! [`entries`] hands them out. What they leave to somebody else (foreign blocks, bad arguments, no
//! memory) they call through [`ColdPaths`], which [`start`] takes. The rest of this crate is
//! mimalloc for the code on those cold paths.
//!
//! Nothing works before [`start`] has returned true.

#![cfg_attr(not(test), no_std)]
#![cfg(windows)]

#[cfg(feature = "own")]
mod emulated_tls;
mod ending;
mod interface;
#[cfg(any(test, feature = "freestanding"))]
mod memory;
#[cfg(feature = "own")]
mod native;
#[cfg(not(feature = "own"))]
#[path = "borrowed.rs"]
mod native;
pub mod options;
mod privileges;
mod symbol;
mod text;

use core::ffi::c_void;

pub use ending::process_ends;
pub use interface::{ColdPaths, Entries, Figures, RUNTIMES};
pub use native::{serve, tell_redirected};

/// Starts mimalloc. Call it once, from any thread, before any other function of this crate; a later
/// call changes nothing but `cold`.
///
/// False if the system gives not even the memory for mimalloc's page map.
pub fn start(cold: &ColdPaths) -> bool {
    // SAFETY: the structure is read during the call only.
    unsafe { native::allograft_heap_start(cold) }
}

/// The hot entries for the C runtime with the number `runtime` (below [`RUNTIMES`]).
///
/// With `clean_tails`, every block is zero behind the size that was asked for, which `_recalloc`
/// needs to be right and `malloc` pays for.
pub fn entries(runtime: usize, clean_tails: bool) -> &'static Entries {
    // SAFETY: the tables are constant data of the C side, where there is one.
    #[allow(unused_unsafe, reason = "borrowed.rs has its tables in Rust")]
    unsafe {
        if clean_tails {
            &native::allograft_clean_entries[runtime]
        } else {
            &native::allograft_entries[runtime]
        }
    }
}

/// Gives back what mimalloc keeps for the calling thread. Call it when the thread ends.
pub fn thread_done() {
    // SAFETY: has no preconditions after `start`, and does nothing for a thread that never
    // allocated.
    unsafe { native::allograft_heap_thread_done() }
}

/// Whether the calling thread, or the process, is past the point up to which mimalloc may allocate:
/// the thread has been through [`thread_done`], or the process ends and its other threads were
/// killed. What is allocated then is somebody else's to give.
pub fn is_too_late() -> bool {
    // SAFETY: has no preconditions.
    unsafe { native::allograft_heap_is_too_late() }
}

/// Whether `block` lies in memory of mimalloc's. Right for every pointer, never a fault.
#[allow(clippy::not_unsafe_ptr_arg_deref, reason = "the address is looked up, not dereferenced")]
pub fn owns(block: *const c_void) -> bool {
    // SAFETY: the address is looked up, not dereferenced.
    unsafe { native::allograft_heap_owns(block) }
}

/// How C runtimes align every block, whatever its size: to two words.
pub const BLOCK_ALIGNMENT: usize = 2 * size_of::<usize>();

/// Allocates `size` bytes, aligned as a C runtime aligns them. NULL if there is no memory.
pub fn allocate(size: usize) -> *mut c_void {
    // SAFETY: any size is a valid argument.
    unsafe { native::mi_malloc(at_least_aligned(size)) }
}

/// Allocates `size` zeroed bytes, aligned likewise; what lies behind them in the block is zero too.
/// NULL if there is no memory.
pub fn allocate_zeroed(size: usize) -> *mut c_void {
    // SAFETY: any size is a valid argument.
    unsafe { native::mi_zalloc(at_least_aligned(size)) }
}

/// Allocates `size` bytes such that the address `offset` bytes into them is a multiple of
/// `alignment`, a power of two. NULL if there is no memory, or where mimalloc cannot serve such a
/// combination.
pub fn allocate_aligned(size: usize, alignment: usize, offset: usize) -> *mut c_void {
    let size = at_least_aligned(size);
    // SAFETY: sizes, alignments and offsets of any value are valid arguments of all three.
    unsafe {
        if offset == 0 && alignment <= BLOCK_ALIGNMENT {
            return native::mi_malloc(size);
        }
        let block = native::mi_malloc_aligned_at(size, alignment, offset);
        if block.is_null() && offset != 0 {
            return native::allograft_heap_interior_aligned(size, alignment, offset);
        }
        block
    }
}

/// Frees a block of mimalloc's.
///
/// # Safety
/// [`owns`] is true of `block`, and nobody uses it afterwards.
pub unsafe fn free(block: *mut c_void) {
    // SAFETY: the caller's promise.
    unsafe { native::mi_free(block) }
}

/// The bytes that the program may use of a block of mimalloc's: never less than were asked for.
///
/// # Safety
/// [`owns`] is true of `block`, and it is not freed meanwhile.
pub unsafe fn usable_size(block: *const c_void) -> usize {
    // SAFETY: the caller's promise.
    unsafe { native::mi_usable_size(block) }
}

/// Says whether a thread may have aligned an address in a block of ours by itself: one that was
/// inside a runtime's own aligned function when its `malloc` was taken over. Freeing aligned blocks
/// takes longer then. Returns what was said before; false at the start.
pub fn others_may_have_aligned(they_may: bool) -> bool {
    // SAFETY: sets a flag.
    unsafe { native::allograft_heap_others_may_have_aligned(they_may) }
}

/// The bytes that the program may use from `block` on, for a block of one of the aligned functions.
///
/// # Safety
/// [`owns`] is true of `block`, and it is not freed meanwhile.
pub unsafe fn usable_size_of_aligned(block: *const c_void) -> usize {
    // SAFETY: the caller's promise; nothing is written.
    unsafe { native::allograft_heap_usable_size_of_aligned(block.cast_mut()) }
}

/// Frees a block of mimalloc's that came from one of the aligned functions.
///
/// # Safety
/// [`owns`] is true of `block`, and nobody uses it afterwards.
pub unsafe fn free_aligned(block: *mut c_void) {
    // SAFETY: the caller's promise.
    unsafe { native::allograft_heap_free_aligned(block) }
}

/// mimalloc's version as its `mi_version()` tells it: 30302 is 3.3.2.
pub fn version() -> u32 {
    // SAFETY: returns a constant.
    unsafe { native::mi_version() as u32 }
}

/// What mimalloc holds at the moment.
pub fn figures() -> Figures {
    let mut figures = Figures::default();
    // SAFETY: the structure is written during the call only.
    unsafe { native::allograft_heap_figures(&mut figures) };
    figures
}

/// Prints mimalloc's statistics to standard error if its options (`MIMALLOC_SHOW_STATS`,
/// `MIMALLOC_VERBOSE`) ask for them.
pub fn print_statistics() {
    // SAFETY: has no preconditions after `start`.
    unsafe { native::allograft_heap_print_statistics() }
}

/// Has `says` answer for mimalloc's `mi_is_redirected()`; until then the answer is no.
#[cfg(feature = "public-api")]
pub fn redirected_by(says: extern "C" fn() -> bool) {
    // SAFETY: the function lives as long as the module.
    unsafe { native::allograft_heap_redirected_by(says) }
}

/// mimalloc aligns a block of a single word to a word only.
fn at_least_aligned(size: usize) -> usize {
    size.max(BLOCK_ALIGNMENT)
}
