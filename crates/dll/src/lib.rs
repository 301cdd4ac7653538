//! `allograft.dll`: loaded into a process at any moment, it takes over the heaps of the process's C runtimes.
//!
//! This crate is the module's face to the outside: its entry point, its configuration, what it writes (log, report,
//! status page), and its C interface. The work is the engine's. There is no C runtime in here, and nothing is
//! allocated but through the system's page functions, so that everything works at any moment of a process's life.

#![no_std]
#![cfg(windows)]

mod attach;
mod capi;
mod config;
mod entry;
mod file;
mod ini;
mod log;
mod page;
mod processor;
mod report;
mod text;
mod watch;

#[panic_handler]
fn panic(information: &core::panic::PanicInfo<'_>) -> ! {
    log::line(format_args!(
        "internal error, the process cannot go on: {information}"
    ));
    // Stops where a debugger and a crash dump see it: behind this the heap cannot be trusted.
    // SAFETY: an undefined instruction, on purpose.
    unsafe { core::arch::asm!("ud2", options(noreturn)) }
}
