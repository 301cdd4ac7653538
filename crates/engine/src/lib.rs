//! The takeover: which functions of which C runtime are replaced, what the replacements do, and how
//! blocks of the old heap move to mimalloc.
//!
//! A *foreign block* is one that mimalloc does not own: a block of the old heap. A *runtime* is a
//! loaded C runtime DLL. Each one that is taken over has a number, its *slot*, which selects the
//! entries that its functions are sent to, and with them the `errno`, the handlers and the old heap
//! that those entries use.
//!
//! In order: [`start`] once, then [`heap_api::take_over`], then [`take_over`] for each of
//! [`loaded_runtimes`] and for those that are loaded later. Nothing here reads files, the
//! environment or a command line, and nothing is allocated from a heap that is being replaced.
//!
//! What is decided without a call of the system compiles and is tested on any host.

#![cfg_attr(not(test), no_std)]
// On other hosts only tests call what Windows code calls, and what is documented is not all there.
#![cfg_attr(not(windows), allow(dead_code, rustdoc::broken_intra_doc_links))]

mod aligned_layout;
#[cfg(windows)]
mod contract;
mod counters;
mod entry_code;
mod error;
mod exports;
#[cfg(windows)]
mod foreign;
pub mod heap_api;
#[cfg(windows)]
mod import_tables;
mod imports;
mod loaded_image;
mod module;
#[cfg(windows)]
mod old_heap;
mod once;
mod plan;
mod proof;
mod runtime;
mod slots;
#[cfg(windows)]
mod tails;
#[cfg(windows)]
mod takeover;
#[cfg(windows)]
mod windows;

use allograft_references::functions;
pub use counters::Counters;

pub use allograft_references::functions::{FUNCTIONS, Function, TakenFunction};
pub use error::TakeoverError;
pub use module::Module;
pub use plan::SKIP_REASON;
pub use proof::{Gap, Proof};

#[cfg(windows)]
pub use {
    foreign::{Census, census},
    import_tables::{leave_import_tables_alone, redirect_import},
    takeover::{Takeover, module_loaded, module_unloaded, take_over, take_over_unproved},
    windows::{LoaderLock, loaded_modules},
};

/// Starts mimalloc, and counts in `counters` from now on. Call it once, before anything else here,
/// with the loader's lock held.
///
/// # Errors
/// [`TakeoverError::NoHeap`] if the system has no memory for mimalloc, [`TakeoverError::Missing`]
/// if ntdll lacks a function of its heap.
#[cfg(windows)]
pub fn start(counters: Counters) -> Result<(), TakeoverError> {
    old_heap::look_up().map_err(TakeoverError::Missing)?;
    counters::set(counters);
    start_heap()
}

/// Starts mimalloc, for callers of its own functions. [`start`] may come later.
///
/// # Errors
/// [`TakeoverError::NoHeap`] if the system has no memory for mimalloc.
#[cfg(windows)]
pub fn start_heap() -> Result<(), TakeoverError> {
    if allograft_heap::start(&contract::COLD_PATHS) { Ok(()) } else { Err(TakeoverError::NoHeap) }
}

/// Whether `module` is a C runtime that can be taken over, by its name.
pub fn is_runtime(module: &Module) -> bool {
    runtime::RUNTIMES.iter().any(|name| module.name_is(name))
}

/// Whether `module` is a debug C runtime, which is left alone.
pub fn is_debug_runtime(module: &Module) -> bool {
    runtime::DEBUG_RUNTIMES.iter().any(|name| module.name_is(name))
}

/// Whether `module` is a runtime that is taken over already.
pub fn is_taken_over(module: &Module) -> bool {
    slots::is_taken(module.base())
}

/// Whether any runtime is taken over at the moment.
pub fn is_any_taken_over() -> bool {
    slots::taken_modules().next().is_some()
}

/// The C runtimes that are loaded now and can be taken over, the Universal CRT first. The caller
/// holds the loader's lock.
#[cfg(windows)]
pub fn loaded_runtimes() -> impl Iterator<Item = Module> {
    let named = |name: &'static &str| loaded_modules().filter(|module| module.name_is(name));
    runtime::RUNTIMES.iter().flat_map(named)
}
