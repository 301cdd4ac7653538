//! mimalloc, with the entry points that take the place of a C runtime's heap functions.
//!
//! The hot entries are C (`native/entry.c`), because they continue mimalloc's inlined paths;
//! [`entries`] returns them. What they leave to the engine (foreign blocks, bad arguments, no
//! memory) they call through [`ColdPaths`], which [`start`] takes. The rest of this crate is
//! mimalloc for the code on those cold paths.
//!
//! Nothing works before [`start`] has returned true. The heap itself is for Windows; other hosts
//! only compile and test the parts that make no system calls.

#![cfg_attr(not(test), no_std)]
// On other hosts, not all that is documented is there.
#![cfg_attr(not(windows), allow(rustdoc::broken_intra_doc_links))]

#[cfg(windows)]
mod allocator;
#[cfg(all(windows, feature = "own"))]
mod emulated_tls;
#[cfg(windows)]
mod heap_api;
mod interface;
#[cfg(all(any(test, feature = "freestanding"), any(target_arch = "x86", target_arch = "x86_64")))]
mod memory;
#[cfg(all(windows, feature = "own"))]
mod native;
#[cfg(all(windows, not(feature = "own")))]
#[path = "borrowed/mod.rs"]
mod native;
mod platform;

pub use interface::{
    ColdPaths, Entries, HeapApiColdPaths, HeapApiEntries, HeapFigures, PrivateHeap, RUNTIMES,
};

#[cfg(windows)]
pub use {
    allocator::*,
    heap_api::*,
    native::{mimalloc_base, serve, set_redirected, use_mimalloc_at},
    platform::{OptionLookup, look_up_options_with, process_ends},
};

/// Gives a function a name by which C code, the compiler and the linker find it.
///
/// `#[no_mangle]` would do it too, and would export the name from the DLL: a module that is loaded
/// into any program should export its interface alone.
#[macro_export]
macro_rules! c_symbol {
    ($name:literal, $function:path) => {
        #[cfg(all(windows, not(target_arch = "x86")))]
        core::arch::global_asm!(
            concat!(".globl ", $name),
            concat!($name, ": jmp {function}"),
            function = sym $function
        );
        #[cfg(all(windows, target_arch = "x86"))]
        core::arch::global_asm!(
            concat!(".globl _", $name),
            concat!("_", $name, ": jmp {function}"),
            function = sym $function
        );
        // No C code on other hosts.
        #[cfg(not(windows))]
        const _: *const () = $function as *const ();
    };
}
