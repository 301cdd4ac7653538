//! mimalloc for a Rust program and for the C and C++ libraries in its process.
//!
//! [`Mimalloc`] is a global allocator for the Rust code. [`install`] takes over the heaps of the C
//! runtimes of the process, and what the program itself allocates from the process's heap
//! (`HeapAlloc`), so that the same mimalloc serves everything else in it: libraries in C and C++,
//! linked in or loaded as DLLs, now or later, and Rust code on its default allocator. Blocks of the
//! old heap stay valid, and move when they are reallocated.
//!
//! ```no_run
//! #[global_allocator]
//! static HEAP: allograft::Mimalloc = allograft::Mimalloc;
//!
//! fn main() {
//!     match allograft::install() {
//!         Ok(installed) => println!("{installed}"),
//!         Err(error) => eprintln!("the C parts stay on their own heap: {error}"),
//!     }
//! }
//! ```
//!
//! [`install`] works on Windows (x86-64, for Rust's `-gnu` targets). Elsewhere it returns
//! [`Error::NotSupported`], and [`Mimalloc`] works there too. After a failure the process runs on
//! as before.
//!
//! The settings are those of the module: `ALLOGRAFT_LOG`, `ALLOGRAFT_REPORT`, `MIMALLOC_*`, or an
//! `allograft.ini` beside the program.

mod outcome;

#[cfg(all(windows, any(target_arch = "x86", target_arch = "x86_64")))]
#[path = "windows.rs"]
mod system;
#[cfg(not(all(windows, any(target_arch = "x86", target_arch = "x86_64"))))]
#[path = "elsewhere.rs"]
mod system;

pub use outcome::{Error, Installation, TakenRuntime};

/// mimalloc as the allocator of Rust code.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mimalloc;

/// Takes over the heaps of the C runtimes that are loaded now or later, and the program's use of
/// the process's heap. A second call returns the result of the first.
///
/// Other threads are suspended for some milliseconds. Call it early: older blocks move to mimalloc
/// only when they are reallocated.
///
/// # Errors
///
/// Any [`Error`]. The process is as it was before then, and stays so.
pub fn install() -> Result<Installation, Error> {
    system::install()
}

/// Whether `block` lies in memory of mimalloc's. Any pointer is allowed.
pub fn owns<T>(block: *const T) -> bool {
    system::owns(block.cast())
}
