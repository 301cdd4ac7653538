//! Writing all jumps, or none.
//!
//! From the first suspended thread to the last resumed one, nothing here calls the system beyond
//! what suspends threads, and nothing allocates or waits for a lock: a suspended thread may hold
//! any, and security software that hooks the system may want them.

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
    /// Threads that could not be suspended because they refuse access.
    pub threads_missed: usize,
    /// Pages of code whose protection the system twice refused to restore. Always 0 except on a
    /// hostile system.
    pub pages_left_writable: usize,
}

/// Suspends the other threads, writes the jumps of all `detours`, and resumes the threads.
///
/// The detours must have been through [`crate::Relays::build`]. They are sorted by address.
///
/// # Errors
/// Any [`Error`]. No jump is in place then, and every page has its former protection.
pub fn install<S: System>(system: &S, detours: &mut [Detour]) -> Result<Installed, Error> {
    if detours.len() > MAX_DETOURS {
        return Err(Error::TooMany(MAX_DETOURS));
    }
    detours.sort_unstable_by_key(|detour| detour.target);
    if let Some(pair) = detours.windows(2).find(|pair| pair[1].target - pair[0].target < JUMP_SIZE)
    {
        return Err(Error::TooClose { first: pair[0].target, second: pair[1].target });
    }
    let mut pages = Pages::under(detours);
    // The pages stay executable, and threads may run in them.
    pages.open(system)?;
    let threads_before = system.thread_count();
    let threads = SuspendedThreads::suspend_all(system, detours).inspect_err(|_| {
        // The code is the original one, whatever the protection of its pages.
        let _ = pages.close(system);
    })?;
    for detour in &mut *detours {
        detour.original = replace_code(detour.target, detour.jump());
    }
    let threads_suspended = threads.count();
    // From here on nothing is taken back: all jumps are in place, and every thread may use them.
    drop(threads);
    for detour in detours {
        system.flush_code(detour.target, JUMP_SIZE);
    }
    if pages.close(system).is_err() {
        // The system may have refused for a moment only.
        let _ = pages.close(system);
    }
    // A thread may begin or end between counting and suspending, so the smaller of two numbers
    // counts; the second is asked for where it matters. The calling thread is in both.
    let too_many = |count: usize| count.saturating_sub(threads_suspended + 1);
    let threads_missed = match threads_before.map_or(0, too_many) {
        0 => 0,
        missed => system.thread_count().map_or(0, too_many).min(missed),
    };
    Ok(Installed { threads_suspended, threads_missed, pages_left_writable: pages.open_count() })
}

/// Writes `code` at `entry`, in writable pages, and returns the bytes that were there.
///
/// On x86, a thread that is resumed sees the new code without a flush. Another processor family
/// would have to make it visible here.
fn replace_code(entry: usize, code: [u8; JUMP_SIZE]) -> [u8; JUMP_SIZE] {
    let place = entry as *mut [u8; JUMP_SIZE];
    // SAFETY: `install` has made the pages writable, and has suspended all threads that could
    // execute the bytes.
    unsafe {
        let former = place.read_unaligned();
        place.write_unaligned(code);
        former
    }
}
