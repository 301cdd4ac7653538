//! The heap of the process: the system's `HeapAlloc` and its kin, for programs whose C runtime is
//! linked in, for Rust programs, and for blocks of the C runtimes that reach them.
//!
//! No code is changed. The import address tables of modules are pointed at replacements, and
//! ntdll's export table at relays that lead to these. There are two sides:
//!
//! - The **free side** takes blocks: `HeapFree`, `HeapReAlloc`, `HeapSize` and the other functions
//!   that are given one. Every module's calls are redirected. Whose block it is, mimalloc's page
//!   map tells, whatever heap the caller names.
//! - The **allocation side** hands blocks out: `HeapAlloc` on the process's heap, in the modules of
//!   the scope only ([`HeapScope`]). A module that it misses is harmless: its blocks are foreign.
//!
//! The free side is complete before the first block is handed out. Nothing here needs threads to
//! be suspended: a slot is one word, and both its contents are right at any time.
//!
//! A *foreign block* is one of a heap of the system's. It moves to mimalloc when a module of the
//! scope reallocates it.

mod addresses;
#[cfg(windows)]
mod cold;
#[cfg(all(windows, feature = "escapes"))]
mod escapes;
mod export_table;
mod obstacle;
#[cfg(windows)]
mod private_heap;
#[cfg(any(test, feature = "escapes"))]
mod prologue;
#[cfg(windows)]
mod replacements;
mod scope;
mod table;
#[cfg(windows)]
mod takeover;

pub use obstacle::HeapObstacle;
pub use scope::{HeapScope, ServedModules};
pub use table::{HEAP_FUNCTIONS, HeapApiFunction, HeapFunction};

#[cfg(all(windows, feature = "escapes"))]
pub use escapes::{EscapesObstacle, count_escapes};
#[cfg(windows)]
pub(crate) use takeover::catches;
#[cfg(windows)]
pub use takeover::{HeapSlots, HeapTakeover, is_serving, module_loaded, take_over};
