//! Jumps written over function entries of a live process.
//!
//! A *detour* sends every call of a function to a replacement: five bytes of jump over the
//! function's entry, to a *relay* within reach of it, and from there to the replacement, wherever
//! that lies. The bytes that were there are not executed again (there are no trampolines), so no
//! instruction has to be decoded or moved.
//!
//! [`Relays::build`] prepares the relays; [`install`] stops the other threads of the process,
//! writes all jumps, or none, and lets the threads go. Everything that the system does for that is
//! behind [`System`], so that each of its calls can be made to fail in a test. Nothing is allocated
//! from a heap, and nothing waits for a lock while threads are stopped.
//!
//! ```no_run
//! # #[cfg(windows)] {
//! use allograft_detour::{Detour, Relays, Windows, install};
//!
//! # fn entry() -> usize { 0 } fn replacement() -> usize { 0 }
//! let mut detours = [Detour::new(entry(), replacement())];
//! let relays = Relays::build(&Windows, &mut detours).expect("memory near the function");
//! let stopped = install(&Windows, &mut detours, || ()).map_err(|error| relays.free(&Windows));
//! # }
//! ```

#![no_std]
#![cfg(windows)]

mod error;
mod jump;
mod pages;
mod relay;
mod system;
mod threads;
mod transaction;
mod windows;
mod words;

pub use error::Error;
pub use jump::{Detour, JUMP_SIZE};
pub use relay::Relays;
pub use system::{Code, Region, System, Thread, ThreadIdentity, ThreadState};
pub use transaction::{Installed, MAX_DETOURS, install};
pub use windows::Windows;
pub use words::Words;
