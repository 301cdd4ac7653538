//! The route into a process that has not begun: calls queued to its first thread.
//!
//! A thread makes the calls that were queued before it began before anything else (documented with
//! `QueueUserAPC`). In a process's first thread this happens after the loader has initialised the
//! DLLs that the program imports, and before the program's entry point. Two calls are queued, in
//! this order: `LoadLibraryW` of the module, and `SetEvent` of an event that says that the first
//! has returned.
//!
//! Why not another route:
//!
//! - A remote thread in the suspended process comes just as early. But it is then the first thread
//!   to run, so the loader initialises the process on it, and then it ends: DLL initialisers and
//!   thread-local storage callbacks run on a thread that is not the main thread, and some runtimes
//!   assume that it is.
//! - An entry for the module at the head of the import table in memory comes even earlier, before
//!   the initialisers of the program's DLLs. But an import that cannot be loaded ends the process,
//!   and so does a module that refuses to load; a failed takeover must do no harm. Blocks that the
//!   initialisers allocated before are no problem: they migrate like the rest of the old heap.
//! - A breakpoint at the entry point changes the program's code or needs a debugger, and programs
//!   notice both.

use core::time::Duration;

use crate::error::{At, Error, Step};
use crate::late::Ending;
use crate::remote_path::RemotePath;
use crate::system::{Function, Handle, Owned, System};

/// Has `thread`, the first of `process`, load the module at `path` (NUL-terminated) before it
/// begins, and then set the event that is `loaded` there. The path stays in the process's memory: to
/// free it from outside would race with the process's end, which Wine 10 waits for in vain.
///
/// # Errors
///
/// If the process refuses a step. If that is the second call only, the module is loaded all the
/// same. The process must be of the caller's machine.
pub fn queue_load(
    system: &impl System,
    process: Handle,
    thread: Handle,
    path: &[u16],
    loaded: Option<Handle>,
) -> Result<(), Error> {
    let load = |path| system.queue_call(thread, Function::LoadLibrary, path);
    RemotePath::write(system, process, path, Step::QueueCall, load)?;
    if let Some(event) = loaded {
        system
            .queue_call(thread, Function::SetEvent, event.0.cast_unsigned())
            .at(Step::QueueCall)?;
    }
    Ok(())
}

/// The event by which a process says that its queued module is loaded. The process loses its handle
/// of it when this is dropped.
pub struct LoadedEvent<'s, S: System> {
    system: &'s S,
    process: Handle,
    event: Owned<'s, S>,
    /// The event's handle in the process.
    there: Handle,
}

impl<'s, S: System> LoadedEvent<'s, S> {
    /// Creates the event and gives `process` a handle of it.
    pub fn new(system: &'s S, process: Handle) -> Result<LoadedEvent<'s, S>, Error> {
        let event = system.create_event().at(Step::CreateEvent)?;
        let event = Owned::new(system, event);
        let there = system.duplicate(event.handle, process, false).at(Step::GiveHandle)?;
        Ok(LoadedEvent { system, process, event, there })
    }

    /// The event's handle in the process, for [`queue_load`].
    pub fn handle_there(&self) -> Handle {
        self.there
    }

    /// Waits as [`LoadedEvent::wait`] does, but at most for `timeout`, and keeps everything as it
    /// is. Returns whether that was long enough.
    pub fn wait_at_most(&self, timeout: Duration) -> Result<bool, Error> {
        let objects = [self.event.handle, self.process];
        let signalled = self.system.wait(&objects, Some(timeout)).at(Step::Wait)?;
        Ok(signalled.is_some())
    }

    /// Waits until the module is loaded, or has failed to load, or the process has ended.
    pub fn wait(self) -> Result<Ending, Error> {
        let objects = [self.event.handle, self.process];
        Ok(match self.system.wait(&objects, None).at(Step::Wait)? {
            Some(0) => Ending::Returned,
            _ => Ending::ProcessEnded,
        })
    }
}

impl<S: System> Drop for LoadedEvent<'_, S> {
    fn drop(&mut self) {
        // The call that sets the event is the last one queued, and has been made unless the process
        // never got that far.
        self.system.close_in(self.process, self.there);
    }
}
