//! Stopping every other thread of the process.

use crate::error::Error;
use crate::jump::Detour;
use crate::system::{System, Thread, ThreadState};

/// The most threads that can be stopped at once.
const MOST_THREADS: usize = 65_536;

/// How long, in milliseconds, threads that stand inside a jump, or are just ending, are waited for in all.
const PATIENCE: u64 = 1000;

/// A thread that we stopped.
#[derive(Clone, Copy)]
struct Stopped {
    thread: Thread,
    id: u32,
}

/// The threads that were stopped; they go on when this is dropped.
pub(crate) struct StoppedThreads<'s, S: System> {
    system: &'s S,
    list: *mut Stopped,
    count: usize,
    deadline: u64,
}

impl<'s, S: System> StoppedThreads<'s, S> {
    /// Stops all threads but the calling one, and sees to it that none stands inside what `detours` will overwrite.
    ///
    /// The threads are listed again until no new one appears: a thread that was not stopped yet may have started it.
    pub(crate) fn stop_all(
        system: &'s S,
        detours: &[Detour],
    ) -> Result<StoppedThreads<'s, S>, Error> {
        let list = system
            .allocate_anywhere(MOST_THREADS * size_of::<Stopped>())
            .ok_or(Error::NoMemory)?;
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
        self.count
    }

    fn list(&self) -> &[Stopped] {
        // SAFETY: `count` entries were written.
        unsafe { core::slice::from_raw_parts(self.list, self.count) }
    }

    /// Stops the threads that are not stopped yet. Says whether there was one.
    fn stop_new(&mut self, detours: &[Detour]) -> Result<bool, Error> {
        let before = self.count;
        let mut previous = None;
        loop {
            let next = self.system.next_thread(previous).map_err(Error::ThreadList);
            // The handle of a thread that we did not keep was needed for the listing to go on, and is not any more.
            if let Some(thread) = previous.filter(|&thread| !self.keeps(thread)) {
                self.system.close(thread);
            }
            let Some(thread) = next? else {
                return Ok(self.count > before);
            };
            previous = Some(thread);
            if let Err(error) = self.take(thread, detours) {
                self.system.close(thread);
                return Err(error);
            }
        }
    }

    fn keeps(&self, thread: Thread) -> bool {
        self.list().iter().any(|stopped| stopped.thread == thread)
    }

    /// Stops `thread` and keeps its handle, unless it is our own, was stopped before, or has ended.
    fn take(&mut self, thread: Thread, detours: &[Detour]) -> Result<(), Error> {
        let id = self.system.thread_id(thread);
        let known = id == self.system.own_thread_id() || self.list().iter().any(|s| s.id == id);
        if known || self.system.has_ended(thread) {
            return Ok(());
        }
        if self.count == MOST_THREADS {
            return Err(Error::TooManyThreads(MOST_THREADS));
        }
        if self.stop_outside(thread, id, detours)? {
            // SAFETY: the list has room for MOST_THREADS entries.
            unsafe { self.list.add(self.count).write(Stopped { thread, id }) };
            self.count += 1;
        }
        Ok(())
    }

    /// Stops `thread` at a place where it does no harm. False if it ended meanwhile.
    fn stop_outside(&self, thread: Thread, id: u32, detours: &[Detour]) -> Result<bool, Error> {
        loop {
            let obstacle = match self.stop(thread, id, detours) {
                Ok(()) => return Ok(true),
                Err(_) if self.system.has_ended(thread) => return Ok(false),
                Err(obstacle) => obstacle,
            };
            // A thread on its way out refuses both calls for a moment before it counts as ended.
            if self.system.milliseconds() >= self.deadline {
                return Err(obstacle);
            }
            self.system.pause();
        }
    }

    /// Stops `thread` where it is; if that is inside a jump, or cannot be told, it goes on.
    fn stop(&self, thread: Thread, id: u32, detours: &[Detour]) -> Result<(), Error> {
        self.system
            .suspend(thread)
            .map_err(|code| Error::Suspend(id, code))?;
        let refused = match self.system.state(thread) {
            Ok(None) => return Ok(()),
            Ok(Some(state)) => match self.in_the_way(state, detours) {
                None => return Ok(()),
                Some(detour) => Error::Busy(id, detour.target),
            },
            Err(code) => Error::Registers(id, code),
        };
        self.system.resume(thread);
        Err(refused)
    }

    /// The detour whose jump a thread that stands at `state` executes, or returns into.
    fn in_the_way<'d>(&self, state: ThreadState, detours: &'d [Detour]) -> Option<&'d Detour> {
        let inside = detours
            .iter()
            .find(|detour| detour.covers(state.instruction));
        // A thread on a stack of the program's own making is not where its TEB says: what is not mapped is not read.
        let mapped = self
            .system
            .region(state.stack)
            .filter(|region| !region.free);
        let end = mapped.map_or(0, |region| state.stack_end.min(region.base + region.size));
        inside.or_else(|| returns_into(state.stack, end, detours))
    }
}

/// The detour inside whose jump some word on the stack points, which may be a return address. A word that only looks like one
/// costs a short wait.
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
            self.system.resume(stopped.thread);
            self.system.close(stopped.thread);
        }
        self.system.free(self.list as usize);
    }
}
