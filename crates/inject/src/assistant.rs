//! The launcher of the other bitness, which loads the module into processes that the caller cannot
//! reach (see [`Route`](crate::Route)).
//!
//! It is started as `allograft assist`, a command that nobody types. It gets handles of the process
//! and its first thread, which are good for whatever they are good for in the caller; it does its
//! task and ends; its exit code is the result. Everything else stays with the caller: the process,
//! its exit code, the console. It has no console, so that Ctrl+C does not end it halfway.

use core::fmt::Write;
use core::time::Duration;

use crate::error::{At, Error, Step};
use crate::late::Ending;
use crate::route::{ASSISTANT, MODULE_FOR_ASSISTANT};
use crate::system::{Handle, Owned, System, SystemError};
use crate::text::WideText;

/// What the assistant is to do.
#[derive(Clone, Copy, Debug)]
pub enum Task {
    /// As [`queue_load`](crate::queue_load).
    Queue {
        /// The process's first thread.
        thread: Handle,
        /// A handle of the process: the event to be set after the module is loaded.
        loaded: Option<Handle>,
    },
    /// As [`load_by_thread`](crate::load_by_thread).
    Load {
        /// How long to wait for the module to load.
        timeout: Option<Duration>,
    },
}

/// The launcher of the other bitness.
#[derive(Clone, Copy, Debug)]
pub struct Assistant<'a> {
    /// The path of the launcher, NUL-terminated.
    pub path: &'a [u16],
    /// The path of the module that it loads, without quotes in it.
    pub module: &'a [u16],
    /// Where it writes its error message.
    pub error_stream: Option<Handle>,
}

impl Assistant<'_> {
    /// The file name of the launcher.
    pub const NAME: &'static str = ASSISTANT;
    /// The file name of the module for its bitness.
    pub const MODULE_NAME: &'static str = MODULE_FOR_ASSISTANT;

    /// Starts the assistant on `process`. `buffer` takes its command line.
    ///
    /// # Errors
    ///
    /// If it is not there or does not start, or the command line does not fit into `buffer`.
    pub fn start<'s, S: System>(
        &self,
        system: &'s S,
        process: Handle,
        task: Task,
        buffer: &mut [u16],
    ) -> Result<RunningAssistant<'s, S>, Error> {
        let inheritable = |handle: Handle| {
            system
                .duplicate(handle, Handle::OWN_PROCESS, true)
                .map(|copy| Owned::new(system, copy))
                .at(Step::InheritHandle)
        };
        let thread = match task {
            Task::Queue { thread, .. } => Some(inheritable(thread)?),
            Task::Load { .. } => None,
        };
        let process = inheritable(process)?;
        let error_stream = self.error_stream.map(inheritable).transpose()?;

        let mut line = WideText::new(buffer);
        line.push(&[QUOTE]);
        line.push(self.path);
        // Writing to a `WideText` does not fail.
        let _ = write!(line, "\" assist --process {} --module \"", process.handle.number());
        line.push(self.module);
        line.push(&[QUOTE]);
        if let Some(thread) = &thread {
            let _ = write!(line, " --thread {}", thread.handle.number());
        }
        let _ = match task {
            Task::Queue { loaded: Some(event), .. } => {
                write!(line, " --event {}", event.number())
            }
            Task::Load { timeout: Some(timeout) } => {
                let (seconds, nanoseconds) = (timeout.as_secs(), timeout.subsec_nanos());
                write!(line, " --timeout {seconds}.{nanoseconds:09}")
            }
            _ => Ok(()),
        };
        let line = line.finish().ok_or(Error::TooLong)?;

        let mut inherited = [process.handle; 3];
        let mut count = 1;
        for handle in [&thread, &error_stream].into_iter().flatten() {
            inherited[count] = handle.handle;
            count += 1;
        }
        let error_stream = error_stream.as_ref().map(|stream| stream.handle);
        match system.start_program(self.path, line, &inherited[..count], error_stream) {
            Ok(started) => Ok(RunningAssistant { process: Owned::new(system, started), task }),
            Err(FILE_NOT_FOUND | PATH_NOT_FOUND) => Err(Error::AssistantMissing),
            Err(error) => Err(Error::Refused(Step::StartAssistant, error)),
        }
    }
}

const QUOTE: u16 = b'"' as u16;
const FILE_NOT_FOUND: SystemError = SystemError(2);
const PATH_NOT_FOUND: SystemError = SystemError(3);

/// An assistant at work. Dropping this leaves it at work.
pub struct RunningAssistant<'s, S: System> {
    process: Owned<'s, S>,
    task: Task,
}

impl<S: System> RunningAssistant<'_, S> {
    /// Waits until the assistant has done its task, at most for `timeout`, and returns what it
    /// reports. A queued call is reported as [`Ending::Returned`].
    ///
    /// # Errors
    ///
    /// If it failed. One that takes too long is ended: an unfinished task has no effect.
    pub fn finish(self, timeout: Option<Duration>) -> Result<Ending, Error> {
        let Owned { system, handle: process } = self.process;
        if system.wait(&[process], timeout).at(Step::Wait)?.is_none() {
            system.terminate(process);
            return Err(Error::AssistantTimedOut);
        }
        let code = system.exit_code(process).at(Step::ReadExitCode)?;
        match (self.task, Ending::from_exit_code(code)) {
            (Task::Queue { .. }, Some(Ending::Returned)) => Ok(Ending::Returned),
            (Task::Load { .. }, Some(ending)) => Ok(ending),
            _ => Err(Error::AssistantFailed(code)),
        }
    }
}
