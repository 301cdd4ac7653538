//! The route into a running process: a thread started there, which loads the module and ends.
//!
//! The module does all its work while it is being loaded, so the outcome is known when the thread
//! ends.

use core::time::Duration;

use crate::error::{At, Error, Step};
use crate::remote_path::RemotePath;
use crate::system::{Function, Handle, Owned, System};

/// How waiting for the module to be loaded ended. The values are the exit codes by which an
/// assistant reports it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Ending {
    /// The loader has returned, with or without success: the status page says which.
    Returned = 0,
    /// The process ended first.
    ProcessEnded = 1,
    /// The timeout ran out first.
    TimedOut = 2,
}

impl Ending {
    pub(crate) fn from_exit_code(code: u32) -> Option<Ending> {
        [Ending::Returned, Ending::ProcessEnded, Ending::TimedOut]
            .into_iter()
            .find(|ending| *ending as u32 == code)
    }
}

/// Loads the module at `path` (NUL-terminated) into `process`, which is of the caller's machine,
/// and waits until that is done, at most for `timeout`.
pub fn load_by_thread(
    system: &impl System,
    process: Handle,
    path: &[u16],
    timeout: Option<Duration>,
) -> Result<Ending, Error> {
    let load = |path| system.start_thread(process, Function::LoadLibrary, path);
    let (remote, thread) = RemotePath::write(system, process, path, Step::StartThread, load)?;
    let thread = Owned::new(system, thread);
    // Unless the thread has ended it may still read the path, which then stays.
    let signalled = system.wait(&[thread.handle, process], timeout).at(Step::Wait)?;
    Ok(match signalled {
        Some(0) => {
            remote.free(system, process);
            Ending::Returned
        }
        Some(_) => Ending::ProcessEnded,
        None => Ending::TimedOut,
    })
}
