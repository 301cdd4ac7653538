//! Writing all jumps, or none.
//!
//! From the first suspended thread to the last resumed one, nothing here may allocate from a heap
//! or wait for a lock: a suspended thread may hold any of them.

use crate::error::Error;
use crate::jump::{Detour, JUMP_SIZE, MAX_DETOURS};
use crate::pages::Pages;
use crate::system::System;
use crate::threads::SuspendedThreads;

/// A completed transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Installed {
    /// How many other threads were suspended.
    pub threads_suspended: usize,
    /// Pages of code whose protection the system twice refused to restore. Always 0 except on a
    /// hostile system.
    pub pages_left_writable: usize,
}

/// Suspends the other threads, writes the jumps of all `detours`, calls `then`, and resumes the
/// threads.
///
/// `then` is called only when all jumps are in place, and must neither allocate nor wait for a
/// lock. The detours must have been through [`crate::Relays::build`]. They are sorted by address.
///
/// # Errors
/// Any [`Error`]. No jump is in place then, and every page has its former protection.
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
    let threads = SuspendedThreads::suspend_all(system, detours)?;
    pages.open(system)?;
    for detour in &mut *detours {
        detour.original = replace_code(system, detour.target, detour.jump());
    }
    let mut pages_left_writable = 0;
    if let Err(error) = pages.close(system) {
        if pages.open(system).is_ok() {
            for detour in detours {
                replace_code(system, detour.target, detour.original);
            }
            // The system may refuse again; the code is the original one in any case.
            let _ = pages.close(system);
            return Err(error);
        }
        // Some jumps cannot be taken back, so all of them stay: with all of them the process works,
        // with half of them it would not.
        pages_left_writable = pages.open_count();
    }
    then();
    Ok(Installed { threads_suspended: threads.count(), pages_left_writable })
}

/// Writes `code` at `entry`, in writable pages, and returns the bytes that were there.
fn replace_code<S: System>(system: &S, entry: usize, code: [u8; JUMP_SIZE]) -> [u8; JUMP_SIZE] {
    let place = entry as *mut [u8; JUMP_SIZE];
    // SAFETY: `install` has made the pages writable, and has suspended all threads that could
    // execute the bytes.
    let former = unsafe {
        let former = place.read_unaligned();
        place.write_unaligned(code);
        former
    };
    system.flush_code(entry, JUMP_SIZE);
    former
}
