//! What `allograft.dll` and `mimalloc.dll` are made of. Loaded into a process at any moment, they
//! take over the heaps of the process's C runtimes.
//!
//! This crate is the module's face to the outside: its entry point, its configuration, what it
//! writes (log, report, status page), and its C interface. The work is the engine's. There is no C
//! runtime in here, and nothing is allocated but through the system's page functions, so that
//! everything works at any moment of a process's life.

#![no_std]
#![cfg(windows)]

mod attach;
mod capi;
mod children;
mod config;
mod entry;
mod file;
mod first_copy;
mod ini;
mod log;
mod page;
mod processor;
#[cfg(feature = "public-api")]
mod public_api;
mod report;
mod text;
#[cfg(all(target_arch = "x86", feature = "freestanding"))]
mod unwinder;
mod watch;

pub use allograft_engine::LoaderLock;
pub use entry::{end_of_process, end_of_thread, install, start_heap};
pub use page::status;

/// What a module does when something in it is wrong: says so, and stops where a debugger and a
/// crash dump see it. Behind this the heap cannot be trusted.
pub fn stop(information: &core::panic::PanicInfo<'_>) -> ! {
    log::line(format_args!("internal error, the process cannot go on: {information}"));
    // SAFETY: an undefined instruction, on purpose.
    unsafe { core::arch::asm!("ud2", options(noreturn)) }
}
