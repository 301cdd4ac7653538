//! Stopping every other thread of the process.

use crate::error::Error;
use crate::jump::Detour;
use crate::system::{Code, System, Thread, ThreadIdentity, ThreadState};

/// The most threads that can be stopped at once.
const MOST_THREADS: usize = 65_536;

/// How long, in milliseconds, threads that stand inside a jump, or are just ending, are waited for
/// in all.
const PATIENCE: u64 = 1000;

/// A thread that we asked to stop.
#[derive(Clone, Copy)]
struct Stopped {
    thread: Thread,
    identity: ThreadIdentity,
    /// Whether it has to be let go again.
    stopped: bool,
}

/// The threads that were asked to stop; they go on when this is dropped.
pub(crate) struct StoppedThreads<'s, S: System> {
    system: &'s S,
    list: *mut Stopped,
    count: usize,
    deadline: u64,
}

impl<'s, S: System> StoppedThreads<'s, S> {
    /// Stops all threads but the calling one, and sees to it that none stands inside what `detours`
    /// will overwrite.
    ///
    /// The listing goes on until no new one appears: a thread that was not stopped yet may have
    /// started it.
    pub(crate) fn stop_all(
        system: &'s S,
        detours: &[Detour],
    ) -> Result<StoppedThreads<'s, S>, Error> {
        let list =
            system.allocate_anywhere(MOST_THREADS * size_of::<Stopped>()).ok_or(Error::NoMemory)?;
        let mut stopped = StoppedThreads {
            system,
            list: list as *mut Stopped,
            count: 0,
            deadline: system.milliseconds() + PATIENCE,
        };
        while stopped.stop_new(detours)? {}
        Ok(stopped)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.list().iter().filter(|thread| thread.stopped).count()
    }

    fn list(&self) -> &[Stopped] {
        // SAFETY: `count` entries were written.
        unsafe { core::slice::from_raw_parts(self.list, self.count) }
    }

    /// Stops the threads that are not stopped yet. Says whether there was one.
    ///
    /// All are asked to stop before the first is waited for: a thread stops when it gets the
    /// processor next, and many do so at once.
    fn stop_new(&mut self, detours: &[Detour]) -> Result<bool, Error> {
        let before = self.count;
        self.suspend_new()?;
        for index in before..self.count {
            self.settle(index, detours)?;
        }
        Ok(self.count > before)
    }

    /// Asks the threads that are not in the list yet to stop.
    ///
    /// Systems list the threads of a process in the order in which they were made, and a thread
    /// that is stopped stays where it is. So there is nothing new before the last of these.
    fn suspend_new(&mut self) -> Result<(), Error> {
        let last = self.list().iter().rfind(|thread| thread.stopped);
        let mut previous = last.map(|stopped| stopped.thread);
        loop {
            let next = self.system.next_thread(previous).map_err(Error::ThreadList);
            // The handle of a thread that we did not keep was needed for the listing to go on, and
            // is not any more.
            if let Some(thread) = previous.filter(|&thread| !self.keeps(thread)) {
                self.system.close(thread);
            }
            let Some(thread) = next? else {
                return Ok(());
            };
            previous = Some(thread);
            if let Err(error) = self.take(thread) {
                self.system.close(thread);
                return Err(error);
            }
        }
    }

    fn keeps(&self, thread: Thread) -> bool {
        self.list().iter().any(|stopped| stopped.thread == thread)
    }

    /// Asks `thread` to stop and keeps its handle, unless it is our own, was stopped before, or has
    /// ended.
    fn take(&mut self, thread: Thread) -> Result<(), Error> {
        let identity = self.system.identity(thread).map_err(Error::ThreadList)?;
        let id = identity.id;
        let known = id == self.system.own_thread_id()
            || self.list().iter().any(|stopped| stopped.identity.id == id);
        if known {
            return Ok(());
        }
        if self.count == MOST_THREADS {
            return Err(Error::TooManyThreads(MOST_THREADS));
        }
        if self.suspend(thread, id)? {
            let stopped = Stopped { thread, identity, stopped: true };
            // SAFETY: the list has room for MOST_THREADS entries.
            unsafe { self.list.add(self.count).write(stopped) };
            self.count += 1;
        }
        Ok(())
    }

    /// Asks `thread` to stop. False if it has ended.
    fn suspend(&self, thread: Thread, id: u32) -> Result<bool, Error> {
        loop {
            let Err(code) = self.system.suspend(thread) else {
                return Ok(true);
            };
            if self.system.has_ended(thread) {
                return Ok(false);
            }
            // A thread on its way out refuses for a moment before it counts as ended.
            self.wait_or(Error::Suspend(id, code))?;
        }
    }

    /// Waits until the thread at `index` of the list stands, at a place where it does no harm: if
    /// it is inside a jump, or its place cannot be told, it goes on for a while.
    fn settle(&mut self, index: usize, detours: &[Detour]) -> Result<(), Error> {
        let Stopped { thread, identity, .. } = self.list()[index];
        let id = identity.id;
        loop {
            let obstacle = match self.state(thread, identity) {
                Ok(None) => return Ok(()),
                Ok(Some(state)) => match self.in_the_way(state, detours) {
                    None => return Ok(()),
                    Some(detour) => Error::Busy(id, detour.target),
                },
                Err(code) => Error::Registers(id, code),
            };
            self.system.resume(thread);
            self.set_stopped(index, false);
            if self.system.has_ended(thread) {
                return Ok(());
            }
            self.wait_or(obstacle)?;
            let again = self.suspend(thread, id)?;
            self.set_stopped(index, again);
            if !again {
                return Ok(());
            }
        }
    }

    /// Where the thread stands. None if it is being made and has not begun to run: it stops before
    /// it does.
    fn state(&self, thread: Thread, known: ThreadIdentity) -> Result<Option<ThreadState>, Code> {
        // It may have begun since it was listed. Wine tells of a thread before it has made it, and
        // waits, when asked for its registers, until it stops: for ever, if its maker is stopped.
        let teb = match known.teb {
            None => self.system.identity(thread)?.teb,
            known => known,
        };
        teb.map(|teb| self.system.state(thread, teb)).transpose()
    }

    fn set_stopped(&mut self, index: usize, stopped: bool) {
        debug_assert!(index < self.count, "no such thread");
        // SAFETY: that many entries were written.
        unsafe { (*self.list.add(index)).stopped = stopped };
    }

    /// Lets the other threads run for a moment; fails with `obstacle` if that has taken too long in
    /// all.
    fn wait_or(&self, obstacle: Error) -> Result<(), Error> {
        if self.system.milliseconds() >= self.deadline {
            return Err(obstacle);
        }
        self.system.pause();
        Ok(())
    }

    /// The detour whose jump a thread that stands at `state` executes, or returns into.
    fn in_the_way<'d>(&self, state: ThreadState, detours: &'d [Detour]) -> Option<&'d Detour> {
        let inside = detours.iter().find(|detour| detour.covers(state.instruction));
        // A thread on a stack of the program's own making is not where its TEB says: what is not
        // mapped is not read.
        let mapped = self.system.region(state.stack).filter(|region| !region.free);
        let end = mapped.map_or(0, |region| state.stack_end.min(region.base + region.size));
        inside.or_else(|| returns_into(state.stack, end, detours))
    }
}

/// The detour inside whose jump some word on the stack points, which may be a return address. A
/// word that only looks like one costs a short wait.
fn returns_into(stack: usize, end: usize, detours: &[Detour]) -> Option<&Detour> {
    /// Deeper frames than this are not looked at; a stack rarely is as long.
    const LONGEST: usize = 0x10_0000;

    let word = size_of::<usize>();
    if end <= stack || !stack.is_multiple_of(word) {
        return None;
    }
    let lowest = detours.iter().map(|detour| detour.target).min()?;
    let highest = detours.iter().map(|detour| detour.target).max()? + crate::JUMP_SIZE;
    let words = (end - stack).min(LONGEST) / word;
    // SAFETY: the stack is mapped from its pointer to this end, and its thread is stopped.
    let words = unsafe { core::slice::from_raw_parts(stack as *const usize, words) };
    words
        .iter()
        .filter(|address| (lowest..highest).contains(*address))
        .find_map(|&address| detours.iter().find(|detour| detour.covers(address)))
}

impl<S: System> Drop for StoppedThreads<'_, S> {
    fn drop(&mut self) {
        for stopped in self.list() {
            if stopped.stopped {
                self.system.resume(stopped.thread);
            }
            self.system.close(stopped.thread);
        }
        self.system.free(self.list as usize);
    }
}
