#![doc = include_str!("../README.md")]

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
