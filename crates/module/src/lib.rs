//! What `allograft.dll` and `mimalloc.dll` have in common. Loaded into a process at any moment,
//! they take over the heaps of the process's C runtimes.
//!
//! This crate is the outer side of the module: its entry point, its configuration, what it writes
//! (log, report, status page), and its C interface. The takeover itself is the engine's. There is
//! no C runtime in here, and memory comes from the system's page functions alone, so that
//! everything works at any moment of a process's life.
//!
//! The configuration and all text compile and are tested on any host.

#![cfg_attr(not(test), no_std)]
// On other hosts only tests call what Windows code calls, and what is documented is not all there.
#![cfg_attr(not(windows), allow(dead_code, rustdoc::broken_intra_doc_links))]

#[cfg(windows)]
mod attach;
#[cfg(windows)]
mod capi;
#[cfg(windows)]
mod children;
mod config;
#[cfg(windows)]
mod entry;
#[cfg(windows)]
mod file;
#[cfg(windows)]
mod first_copy;
#[cfg(windows)]
mod ini;
#[cfg(windows)]
mod log;
#[cfg(all(windows, feature = "check-frees"))]
mod mistakes;
#[cfg(windows)]
mod page;
#[cfg(windows)]
mod processor;
#[cfg(windows)]
mod report;
mod report_text;
mod text;
#[cfg(windows)]
mod watch;

#[cfg(windows)]
pub use {
    allograft_engine::{LoaderLock, Module, loaded_modules},
    entry::{end_of_process, end_of_thread, install, start_heap},
    page::{message, state, status},
};

#[cfg(windows)]
#[doc(hidden)]
pub use allograft_heap::c_symbol;

/// Defines what a module without the standard library must define itself: what a panic does, and
/// Rust's personality function, to which unoptimised code of the core library refers in its unwind
/// tables. The linker looks for that in the module's own objects first. It is never called: panics
/// end the process.
#[macro_export]
macro_rules! no_std_module {
    () => {
        #[cfg(not(test))]
        #[panic_handler]
        fn panic(information: &core::panic::PanicInfo<'_>) -> ! {
            $crate::stop(information)
        }

        #[cfg(debug_assertions)]
        mod personality {
            $crate::c_symbol!("rust_eh_personality", personality);

            extern "C" fn personality() {}
        }
    };
}

/// What a module does when it panics: logs it, and stops where a debugger and a crash dump see it.
/// The heap cannot be trusted any more.
#[cfg(windows)]
pub fn stop(information: &core::panic::PanicInfo<'_>) -> ! {
    log::line(format_args!("internal error, the process cannot go on: {information}"));
    // SAFETY: the instruction is undefined on purpose, and ends the process.
    unsafe { core::arch::asm!("ud2", options(noreturn)) }
}
