//! Jumps written over function entries of a live process.
//!
//! A *detour* sends every call of a function to a replacement: five bytes of jump over the
//! function's entry lead to a *relay* within reach, and the relay leads to the replacement at any
//! distance. The overwritten bytes are never executed again (there are no trampolines), so no
//! instruction is decoded or moved.
//!
//! [`Relays::build`] prepares the relays. [`install`] suspends all other threads of the process,
//! writes all jumps or none, and resumes the threads. While threads are suspended, nothing is
//! allocated from a heap, no lock is waited for, and nothing of the system is called beyond what
//! suspends threads.
//!
//! All calls of the operating system go through [`System`], so that tests can make each of them
//! fail on any host. Its implementation `Windows` is the only part that needs Windows.
//!
//! ```no_run
//! # #[cfg(windows)] {
//! use allograft_detour::{Detour, Relays, Windows, install};
//!
//! # fn entry() -> usize { 0 } fn replacement() -> usize { 0 }
//! let mut detours = [Detour::new(entry(), replacement())];
//! let relays = Relays::build(&Windows, &mut detours).expect("memory near the function");
//! let installed = install(&Windows, &mut detours).map_err(|error| relays.free(&Windows));
//! # }
//! ```

#![no_std]

mod error;
mod import_slots;
mod jump;
mod pages;
mod relay;
mod system;
mod threads;
mod transaction;
#[cfg(windows)]
mod windows;

pub use error::Error;
pub use import_slots::SlotWriter;
pub use jump::{Detour, JUMP_SIZE, MAX_DETOURS};
pub use relay::Relays;
pub use system::{Protection, Region, System, SystemCode, Thread, ThreadIdentity, ThreadState};
pub use transaction::{Installed, install};
#[cfg(windows)]
pub use windows::Windows;
