//! The route into a running process: a thread of ours, made there, whose one act is to load the
//! module.
//!
//! The module does all its work while it is being loaded, so that the outcome is known when the
//! thread ends.

use super::assistant;
use super::process::Process;
use super::remote_path::{RemotePath, load_library, refusal};
use super::wait;
use crate::error::Error;
use crate::machine::Way;
use std::os::windows::io::{AsHandle, FromRawHandle, OwnedHandle};
use std::path::Path;
use std::ptr;
use std::time::Duration;
use windows_sys::Win32::System::Threading::CreateRemoteThread;

/// How waiting for the loading of the module ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// The system has done with it, well or not: the status page tells.
    Returned,
    /// The process ended before that.
    ProcessEnded,
    /// It takes longer than we were to wait.
    TimedOut,
}

impl Ending {
    /// The exit code by which an assistant tells of it.
    pub fn exit_code(self) -> u32 {
        match self {
            Ending::Returned => 0,
            Ending::ProcessEnded => 1,
            Ending::TimedOut => 2,
        }
    }

    /// The ending that an assistant tells of by this exit code, if it is one.
    pub fn from_exit_code(code: u32) -> Option<Ending> {
        [Ending::Returned, Ending::ProcessEnded, Ending::TimedOut]
            .into_iter()
            .find(|ending| ending.exit_code() == code)
    }
}

/// Loads the module at `path` into `process` and waits until that is done, at most for `timeout`.
///
/// # Errors
///
/// If the process refuses the thread or its memory, or the assistant that it takes is not there.
pub fn load(
    process: &Process,
    way: Way,
    path: &Path,
    timeout: Option<Duration>,
) -> Result<Ending, Error> {
    match way {
        Way::Direct => load_directly(process, path, timeout),
        Way::Assisted => assistant::load(process, path, timeout),
    }
}

/// As [`load`], into a process of this program's own machine.
pub fn load_directly(
    process: &Process,
    path: &Path,
    timeout: Option<Duration>,
) -> Result<Ending, Error> {
    let remote = RemotePath::write(process, path)?;
    // SAFETY: the function is at this address in that process too, and takes the path, which stays
    // until it has returned.
    let thread = unsafe {
        CreateRemoteThread(
            process.raw(),
            ptr::null(),
            0,
            Some(load_library()),
            remote.address(),
            0,
            ptr::null_mut(),
        )
    };
    if thread.is_null() {
        let error = refusal(process, "start a thread in");
        remote.free(process);
        return Err(error);
    }
    // SAFETY: the handle was just made, and nobody else has it.
    let thread = unsafe { OwnedHandle::from_raw_handle(thread) };
    Ok(match wait::first_of(&[thread.as_handle(), process.handle()], timeout)? {
        Some(0) => {
            remote.free(process);
            Ending::Returned
        }
        Some(_) => Ending::ProcessEnded,
        // The thread still needs the path.
        None => Ending::TimedOut,
    })
}
