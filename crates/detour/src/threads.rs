//! Suspending all other threads of the process.
//!
//! While any thread is suspended, nothing here may allocate from a heap or wait for a lock: the
//! list of threads is in pages from the system, got before the first one is suspended. Security
//! software hooks many functions of the system and allocates in its hooks, so no function is called
//! then but those that list, suspend and resume threads and read their registers. These are hooked
//! too, so the calling thread holds the lock of the process's heap: a thread that was suspended with
//! it would make such a hook wait for ever.

use crate::error::Error;
use crate::jump::{Detour, JUMP_SIZE};
use crate::system::{System, SystemCode, Thread, ThreadIdentity, ThreadState};

const MOST_THREADS: usize = 65_536;

/// For how many milliseconds, in all, to wait for threads that are inside a jump or about to end.
const PATIENCE: u64 = 1000;

#[derive(Clone, Copy)]
struct ListedThread {
    handle: Thread,
    identity: ThreadIdentity,
    /// Whether it has to be resumed. Not so for the calling thread, for one that has ended, and for
    /// a further handle of a thread in the list: they only have to be closed.
    suspended: bool,
}

/// All other threads of the process, suspended until this is dropped.
pub(crate) struct SuspendedThreads<'s, S: System> {
    system: &'s S,
    list: *mut ListedThread,
    count: usize,
    deadline: u64,
}

impl<'s, S: System> SuspendedThreads<'s, S> {
    /// Suspends all threads but the calling one, none of them inside the bytes that `detours` will
    /// overwrite.
    ///
    /// A thread that is not suspended yet may start another one, so the threads are listed again
    /// until no new one appears.
    pub(crate) fn suspend_all(
        system: &'s S,
        detours: &[Detour],
    ) -> Result<SuspendedThreads<'s, S>, Error> {
        let size = MOST_THREADS * size_of::<ListedThread>();
        let list = system.allocate(None, size).ok_or(Error::NoMemory)? as *mut ListedThread;
        let deadline = system.milliseconds() + PATIENCE;
        system.lock_heap();
        let mut threads = SuspendedThreads { system, list, count: 0, deadline };
        loop {
            let before = threads.count;
            // All suspensions are requested before the first is waited for: a thread is suspended
            // when it next gets the processor, and many do so at once.
            threads.suspend_new()?;
            let mut any_new = false;
            for index in before..threads.count {
                if threads.list()[index].suspended {
                    any_new = true;
                    threads.settle(index, detours)?;
                }
            }
            if !any_new {
                return Ok(threads);
            }
        }
    }

    /// How many are suspended.
    pub(crate) fn count(&self) -> usize {
        self.list().iter().filter(|thread| thread.suspended).count()
    }

    fn list(&self) -> &[ListedThread] {
        // SAFETY: `suspend_new` has written the first `count` entries.
        unsafe { core::slice::from_raw_parts(self.list, self.count) }
    }

    /// Requests the suspension of the threads that are not in the list yet.
    ///
    /// Systems list the threads of a process in the order in which they were created, and a
    /// suspended thread does not end. So there is nothing new before the last of these.
    fn suspend_new(&mut self) -> Result<(), Error> {
        let last = self.list().iter().rfind(|thread| thread.suspended);
        let mut previous = last.map(|thread| thread.handle);
        while let Some(handle) = self.system.next_thread(previous).map_err(Error::ThreadList)? {
            self.add(handle)?;
            previous = Some(handle);
        }
        Ok(())
    }

    /// Adds the handle to the list, and requests the suspension of its thread unless it is the
    /// calling one, is listed already, or has ended.
    fn add(&mut self, handle: Thread) -> Result<(), Error> {
        if self.count == MOST_THREADS {
            self.system.close(handle);
            return Err(Error::TooManyThreads(MOST_THREADS));
        }
        let own = self.system.own_thread_id();
        let identity = self.system.identity(handle);
        let known = identity.unwrap_or(ThreadIdentity { id: own, teb: None });
        let is_listed = self.list().iter().any(|thread| thread.identity.id == known.id);
        // SAFETY: the list has room for MOST_THREADS entries, and `count` is less.
        unsafe {
            let thread = ListedThread { handle, identity: known, suspended: false };
            self.list.add(self.count).write(thread);
        }
        self.count += 1;
        identity.map_err(Error::ThreadList)?;
        if known.id != own && !is_listed {
            let suspended = self.suspend(handle, known.id)?;
            self.set_suspended(self.count - 1, suspended);
        }
        Ok(())
    }

    /// Requests the suspension of the thread. False if it has ended.
    fn suspend(&self, handle: Thread, id: u32) -> Result<bool, Error> {
        loop {
            let Err(code) = self.system.suspend(handle) else {
                return Ok(true);
            };
            if self.system.has_ended(handle) {
                return Ok(false);
            }
            // A thread that is about to end refuses for a moment before it counts as ended.
            self.wait_or(Error::Suspend(id, code))?;
        }
    }

    /// Waits until the thread at `index` of the list is suspended at an address where it does no
    /// harm. If it is inside a jump, or its registers cannot be read, it is resumed for a moment.
    fn settle(&mut self, index: usize, detours: &[Detour]) -> Result<(), Error> {
        let ListedThread { handle, identity, .. } = self.list()[index];
        let id = identity.id;
        loop {
            let obstacle = match self.state(handle, identity) {
                Ok(None) => return Ok(()),
                Ok(Some(state)) => match detour_in_use(state, detours) {
                    None => return Ok(()),
                    Some(detour) => Error::Busy(id, detour.target),
                },
                Err(code) => Error::Registers(id, code),
            };
            self.system.resume(handle);
            self.set_suspended(index, false);
            if self.system.has_ended(handle) {
                return Ok(());
            }
            self.wait_or(obstacle)?;
            let suspended = self.suspend(handle, id)?;
            self.set_suspended(index, suspended);
            if !suspended {
                return Ok(());
            }
        }
    }

    /// The registers of the thread. None if it is being created and has not begun to run: the
    /// suspension takes effect before it does.
    fn state(
        &self,
        handle: Thread,
        known: ThreadIdentity,
    ) -> Result<Option<ThreadState>, SystemCode> {
        // It may have begun since it was listed. Wine lists a thread before it has created it, and
        // waits, when asked for its registers, until it is suspended: for ever, if the thread that
        // creates it is suspended.
        let teb = match known.teb {
            None => self.system.identity(handle)?.teb,
            known => known,
        };
        teb.map(|teb| self.system.state(handle, teb)).transpose()
    }

    fn set_suspended(&mut self, index: usize, suspended: bool) {
        debug_assert!(index < self.count, "no such thread");
        // SAFETY: `index` is below `count`, and so the entry is written and in the list.
        unsafe { (*self.list.add(index)).suspended = suspended };
    }

    /// Lets the other threads run for a moment; fails with `obstacle` once the time is up. A thread
    /// that is not suspended may need the heap to get on. None of those that are has its lock.
    fn wait_or(&self, obstacle: Error) -> Result<(), Error> {
        if self.system.milliseconds() >= self.deadline {
            return Err(obstacle);
        }
        self.system.unlock_heap();
        self.system.pause();
        self.system.lock_heap();
        Ok(())
    }
}

/// The detour whose jump a thread with these registers executes or returns into.
fn detour_in_use(state: ThreadState, detours: &[Detour]) -> Option<&Detour> {
    let inside = detours.iter().find(|detour| detour.covers(state.instruction));
    let (from, end) = readable_stack(&state);
    inside.or_else(|| returns_into(from, end, detours))
}

/// The part of the thread's stack that can be searched, by the bounds in its TEB.
///
/// The pointer of a suspended thread may be in the guard page below the committed pages, or in
/// reserved ones below that. A guard page that is read loses its protection, and the thread's stack
/// could not grow any more. A pointer elsewhere is in a stack that the program switches to without
/// telling the system: nothing is known of its pages, so it is not searched.
fn readable_stack(state: &ThreadState) -> (usize, usize) {
    /// How far below the committed pages a thread may be that has just made room on its stack.
    const MOST_GROWTH: usize = 0x1_0000;

    let lowest = state.stack_limit.saturating_sub(MOST_GROWTH);
    if (lowest..state.stack_end).contains(&state.stack) {
        (state.stack.max(state.stack_limit), state.stack_end)
    } else {
        (state.stack, state.stack)
    }
}

/// The detour whose jump a value on the stack points into. The value may be a return address; if it
/// only looks like one, the cost is a short wait.
fn returns_into(stack: usize, end: usize, detours: &[Detour]) -> Option<&Detour> {
    /// How much of the stack is searched; few are longer.
    const MOST_BYTES: usize = 0x10_0000;

    if end <= stack || !stack.is_multiple_of(size_of::<usize>()) {
        return None;
    }
    let lowest = detours.iter().map(|detour| detour.target).min()?;
    let highest = detours.iter().map(|detour| detour.target).max()? + JUMP_SIZE;
    let count = (end - stack).min(MOST_BYTES) / size_of::<usize>();
    // SAFETY: the pages from `stack` to `end` are committed, and the stack's thread is suspended.
    let values = unsafe { core::slice::from_raw_parts(stack as *const usize, count) };
    values
        .iter()
        .filter(|address| (lowest..highest).contains(*address))
        .find_map(|&address| detours.iter().find(|detour| detour.covers(address)))
}

impl<S: System> Drop for SuspendedThreads<'_, S> {
    fn drop(&mut self) {
        for thread in self.list().iter().filter(|thread| thread.suspended) {
            self.system.resume(thread.handle);
        }
        self.system.unlock_heap();
        // Closing a handle may be hooked too, so not before all threads run.
        for thread in self.list() {
            self.system.close(thread.handle);
        }
        self.system.free(self.list as usize);
    }
}
