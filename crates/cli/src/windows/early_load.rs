//! The route into a process that has not begun: procedure calls queued to its first thread.
//!
//! A thread that has calls queued before it begins makes them before anything else (documented with
//! `QueueUserAPC`). For a process's first thread that means: once the loader has brought up the
//! DLLs that the program imports, and before the program's entry point. Two calls are queued, to be
//! made in this order: `LoadLibraryW` of the module, and `SetEvent` of an event that tells us that
//! the first has returned.
//!
//! The other routes there are, and why they are not taken:
//!
//! - A remote thread into the suspended process comes as early. But being the first thread to run,
//!   it is the one on which the loader brings the process up, and then it ends: the initialisers of
//!   the program's DLLs and its thread-local storage callbacks run on a thread that is not the main
//!   thread, which some runtimes take for granted.
//! - The module put first into the import table in memory comes earlier still, before the
//!   initialisers of the program's DLLs. But an import that cannot be loaded ends the process, and
//!   so does a module that refuses; a takeover that fails must do no harm. What initialisers
//!   allocated before is no trouble: it migrates like all of the old heap.
//! - A breakpoint at the entry point changes the program's code bytes or takes a debugger, and
//!   programs notice either.

use super::process::Process;
use super::remote_load::Ending;
use super::remote_path::{OneArgument, RemotePath, load_library, refusal, set_event};
use super::start::Suspended;
use super::{assistant, wait};
use crate::error::Error;
use crate::machine::Way;
use std::ffi::c_void;
use std::mem;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, OwnedHandle};
use std::path::Path;
use std::ptr;
use windows_sys::Win32::Foundation::{
    DUPLICATE_CLOSE_SOURCE, DUPLICATE_SAME_ACCESS, DuplicateHandle, FALSE, HANDLE,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, QueueUserAPC};

/// A module that is loaded when the process begins.
pub struct EarlyLoad {
    /// Where the process reads the module's path, if it was we who wrote it there.
    path: Option<RemotePath>,
    loaded: OwnedHandle,
    /// The event's handle as the process knows it.
    loaded_there: HANDLE,
}

impl EarlyLoad {
    /// Has the module at `path` loaded by `program` when it is resumed.
    ///
    /// # Errors
    ///
    /// If the process refuses what that takes, or the assistant that it takes is not there; it then
    /// begins without.
    pub fn queue(program: &Suspended, way: Way, path: &Path) -> Result<EarlyLoad, Error> {
        let (process, thread) = (program.process(), program.thread());
        let loaded = wait::new_event()?;
        let loaded_there = give(&loaded, process)?;
        let path = match way {
            Way::Direct => Some(queue_load(process, thread, path, Some(loaded_there))?),
            Way::Assisted => {
                assistant::queue_load(process, thread, path, loaded_there)?;
                None
            }
        };
        Ok(EarlyLoad { path, loaded, loaded_there })
    }

    /// Waits until the module is loaded in `process`, or has failed to be, or the process has ended
    /// before.
    pub fn wait(self, process: &Process) -> Result<Ending, Error> {
        match wait::first_of(&[self.loaded.as_handle(), process.handle()], None)? {
            Some(0) => {
                if let Some(path) = self.path {
                    path.free(process);
                }
                take_back(self.loaded_there, process);
                Ok(Ending::Returned)
            }
            _ => Ok(Ending::ProcessEnded),
        }
    }
}

/// Has `thread`, the first of `process`, load the module at `path` before it begins, and set the
/// event that is `loaded` there after that. Returns where the path is, which the thread reads.
///
/// # Errors
///
/// If the process refuses what that takes. It must be of this program's own machine.
pub fn queue_load(
    process: &Process,
    thread: BorrowedHandle<'_>,
    path: &Path,
    loaded: Option<HANDLE>,
) -> Result<RemotePath, Error> {
    let path = RemotePath::write(process, path)?;
    queue_call(process, thread, load_library(), path.address())?;
    if let Some(event) = loaded {
        queue_call(process, thread, set_event(), event)?;
    }
    Ok(path)
}

/// Gives `process` a handle of its own to `object`, and returns its value there.
fn give(object: &OwnedHandle, process: &Process) -> Result<HANDLE, Error> {
    let mut there = ptr::null_mut();
    // SAFETY: all three handles are open, and the place is ours.
    let given = unsafe {
        DuplicateHandle(
            GetCurrentProcess(),
            object.as_raw_handle(),
            process.raw(),
            &mut there,
            0,
            FALSE,
            DUPLICATE_SAME_ACCESS,
        )
    };
    if given == FALSE {
        return Err(refusal(process, "give a handle to"));
    }
    Ok(there)
}

/// Closes a handle that was given to `process`.
fn take_back(there: HANDLE, process: &Process) {
    // SAFETY: nothing in the process but the call that has been made knows of the handle.
    unsafe {
        DuplicateHandle(
            process.raw(),
            there,
            ptr::null_mut(),
            ptr::null_mut(),
            0,
            FALSE,
            DUPLICATE_CLOSE_SOURCE,
        )
    };
}

/// Has `thread`, the first of `process`, call `function` with `argument` before it begins, after
/// what was queued already.
fn queue_call(
    process: &Process,
    thread: BorrowedHandle<'_>,
    function: OneArgument,
    argument: *mut c_void,
) -> Result<(), Error> {
    // SAFETY: both types are of functions that take one argument of a pointer's size; the result is
    // nobody's.
    let function: unsafe extern "system" fn(usize) = unsafe { mem::transmute(function) };
    // SAFETY: the thread is open; the function is at this address in its process too, and what the
    // argument means there stays until the call has been made.
    let queued = unsafe { QueueUserAPC(Some(function), thread.as_raw_handle(), argument as usize) };
    if queued == 0 {
        return Err(refusal(process, "queue a call in"));
    }
    Ok(())
}
