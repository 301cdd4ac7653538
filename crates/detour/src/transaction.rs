//! Writing all jumps, or none.

use crate::error::Error;
use crate::jump::{Detour, JUMP_SIZE};
use crate::pages::Pages;
use crate::system::System;
use crate::threads::StoppedThreads;

/// The most detours that one transaction takes.
pub const MAX_DETOURS: usize = 128;

/// What was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Installed {
    /// Threads that were stopped for it.
    pub threads_stopped: usize,
    /// Pages of code that the system did not give back their protection, twice. Always 0 but on a
    /// hostile system.
    pub pages_left_writable: usize,
}

/// Stops the other threads, writes the jumps of all `detours`, calls `then`, and lets the threads
/// go.
///
/// `then` is called only when all jumps are in place, and must neither allocate nor wait for a
/// lock. The detours must have been through [`crate::Relays::build`]. They are sorted by address.
///
/// # Errors
/// Any of [`Error`]'s; no jump is in place then, and every page has the protection that it had.
pub fn install<S: System>(
    system: &S,
    detours: &mut [Detour],
    then: impl FnOnce(),
) -> Result<Installed, Error> {
    if detours.len() > MAX_DETOURS {
        return Err(Error::TooMany(MAX_DETOURS));
    }
    detours.sort_unstable_by_key(|detour| detour.target);
    if let Some(pair) = detours.windows(2).find(|pair| pair[1].target - pair[0].target < JUMP_SIZE)
    {
        return Err(Error::TooClose { first: pair[0].target, second: pair[1].target });
    }
    let mut pages = Pages::under(detours);
    let threads = StoppedThreads::stop_all(system, detours)?;
    pages.open(system)?;
    write_jumps(system, detours);
    let mut pages_left_writable = 0;
    if let Err(error) = pages.close(system) {
        if pages.open(system).is_ok() {
            restore(system, detours);
            // The system may refuse again; the code is the original one all the same.
            let _ = pages.close(system);
            return Err(error);
        }
        // Some jumps cannot be taken back, so all of them stay: each works, and half of them would
        // not.
        pages_left_writable = pages.open_count();
    }
    then();
    Ok(Installed { threads_stopped: threads.count(), pages_left_writable })
}

fn write_jumps<S: System>(system: &S, detours: &mut [Detour]) {
    for detour in detours {
        let entry = detour.target as *mut [u8; JUMP_SIZE];
        // SAFETY: the pages are writable, and no thread executes there.
        unsafe {
            detour.original = entry.read_unaligned();
            entry.write_unaligned(detour.jump());
        }
        system.flush_code(detour.target, JUMP_SIZE);
    }
}

fn restore<S: System>(system: &S, detours: &[Detour]) {
    for detour in detours {
        let entry = detour.target as *mut [u8; JUMP_SIZE];
        // SAFETY: the pages are writable, and no thread executes there.
        unsafe { entry.write_unaligned(detour.original) };
        system.flush_code(detour.target, JUMP_SIZE);
    }
}
