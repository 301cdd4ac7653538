//! The takeover: which functions of which C runtime are replaced, what the replacements do, and how
//! blocks of the old heap move to mimalloc.
//!
//! A *foreign block* is one that mimalloc does not own: the old heap's. A *runtime* is a C runtime
//! DLL that is loaded; each that is taken over has a number, its *slot*, which selects the entries
//! that its functions are sent to, and so the `errno`, the handlers and the old heap that those
//! entries use.
//!
//! In order: [`start`] once, then [`take_over`] for each of [`loaded_runtimes`] and for those that
//! are loaded later.

#![cfg_attr(not(test), no_std)]
#![cfg(windows)]

mod census;
mod contract;
mod counters;
mod entry_code;
mod error;
mod foreign;
mod functions;
mod import_tables;
mod imports;
mod loaded;
mod loader_lock;
mod once;
mod runtime;
mod slots;
mod tails;
mod takeover;
mod version;

pub use census::{Census, census};
pub use counters::Counters;
pub use error::Failure;
pub use functions::{FUNCTIONS, Function, Replacement};
pub use import_tables::{leave_import_tables_alone, redirect_import};
pub use loaded::{Module, loaded_modules};
pub use loader_lock::LoaderLock;
pub use slots::Slot;
pub use takeover::{SkipReason, Skipped, Takeover, module_loaded, take_over, unloaded};
pub use version::FileVersion;

/// Starts mimalloc and remembers where to count. Call it once, before anything else here.
///
/// # Errors
/// [`Failure::NoHeap`] if the system has no memory for mimalloc.
pub fn start(counters: Counters) -> Result<(), Failure> {
    counters::set(counters);
    start_heap()
}

/// Starts mimalloc, for those who call it by name. [`start`] may come later.
///
/// # Errors
/// [`Failure::NoHeap`] if the system has no memory for mimalloc.
pub fn start_heap() -> Result<(), Failure> {
    if allograft_heap::start(&contract::COLD_PATHS) { Ok(()) } else { Err(Failure::NoHeap) }
}

/// Whether `module` is a C runtime that [`take_over`] knows.
pub fn is_runtime(module: &Module) -> bool {
    runtime::RUNTIMES.iter().any(|name| module.name_is(name))
}

/// Whether `module` is a runtime that is taken over already.
pub fn is_taken_over(module: &Module) -> bool {
    slots::is_taken(module.base())
}

/// Whether any runtime is taken over at the moment.
pub fn is_any_taken_over() -> bool {
    slots::taken_modules().next().is_some()
}

/// Whether `module` is a debug C runtime, which is left alone.
pub fn is_debug_runtime(module: &Module) -> bool {
    runtime::DEBUG_RUNTIMES.iter().any(|name| module.name_is(name))
}

/// The C runtimes that are loaded now and can be taken over, the Universal CRT first. The caller
/// holds the loader's lock.
pub fn loaded_runtimes() -> impl Iterator<Item = Module> {
    let named = |name: &'static &str| loaded_modules().filter(|module| module.name_is(name));
    runtime::RUNTIMES.iter().flat_map(named)
}
