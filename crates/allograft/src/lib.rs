//! mimalloc for a Rust program and for the C and C++ libraries in its process.
//!
//! [`Mimalloc`] is a global allocator for the Rust code. [`install`] takes over the heaps of the C
//! runtimes of the process, so that everything else in it (libraries in C and C++, linked in or
//! loaded as DLLs, now or later) is served by the same mimalloc; blocks that the old heap has
//! handed out stay valid, and move as they are reallocated.
//!
//! ```no_run
//! #[global_allocator]
//! static HEAP: allograft::Mimalloc = allograft::Mimalloc;
//!
//! fn main() {
//!     match allograft::install() {
//!         Ok(report) => println!("{report}"),
//!         Err(error) => eprintln!("the C parts stay on their own heap: {error}"),
//!     }
//! }
//! ```
//!
//! [`install`] works on Windows (x86-64, for Rust's `-gnu` targets). Elsewhere it returns
//! [`Error::NotSupported`], and [`Mimalloc`] works all the same. A failure harms nothing: the
//! process runs on as before.
//!
//! The settings are those of the module: `ALLOGRAFT_LOG`, `ALLOGRAFT_REPORT`, `MIMALLOC_*`, or an
//! `allograft.ini` beside the program.

mod outcome;

#[cfg(all(windows, target_env = "gnu"))]
#[path = "windows.rs"]
mod system;
#[cfg(not(all(windows, target_env = "gnu")))]
#[path = "elsewhere.rs"]
mod system;

pub use outcome::{Error, Report, Runtime};
pub use system::Mimalloc;

/// Takes over the heaps of the C runtimes that are loaded, and of those that will be. A second call
/// returns what the first one did.
///
/// Other threads are stopped for some milliseconds. Call it early: what is allocated before moves
/// only when it is reallocated.
///
/// # Errors
///
/// Any of [`Error`]'s; the process is then as it was before, and stays so.
pub fn install() -> Result<Report, Error> {
    system::install()
}

/// Whether `block` lies in memory of mimalloc's: whether the heap that it came from is the one of
/// [`Mimalloc`].
pub fn owns<T>(block: *const T) -> bool {
    system::owns(block.cast())
}
