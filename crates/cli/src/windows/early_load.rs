//! The route into a process that has not begun: procedure calls queued to its first thread.
//!
//! A thread that has calls queued before it begins makes them before anything else (documented with `QueueUserAPC`).
//! For a process's first thread that means: once the loader has brought up the DLLs that the program imports, and before
//! the program's entry point. Two calls are queued, to be made in this order: `LoadLibraryW` of the module, and
//! `SetEvent` of an event that tells us that the first has returned.
//!
//! The other routes there are, and why they are not taken:
//!
//! - A remote thread into the suspended process comes as early. But being the first thread to run, it is the one on which
//!   the loader brings the process up, and then it ends: the initialisers of the program's DLLs and its thread-local
//!   storage callbacks run on a thread that is not the main thread, which some runtimes take for granted.
//! - The module put first into the import table in memory comes earlier still, before the initialisers of the program's
//!   DLLs. But an import that cannot be loaded ends the process, and so does a module that refuses; a takeover that
//!   fails must do no harm. What initialisers allocated before is no trouble: it migrates like all of the old heap.
//! - A breakpoint at the entry point changes the program's code bytes or takes a debugger, and programs notice either.

use super::last_error;
use super::process::Process;
use super::remote_load::Ending;
use super::remote_path::{OneArgument, RemotePath, load_library, refusal, set_event};
use super::start::Suspended;
use super::wait;
use crate::error::Error;
use std::ffi::c_void;
use std::mem;
use std::os::windows::io::{AsHandle, AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::Path;
use std::ptr;
use windows_sys::Win32::Foundation::{
    DUPLICATE_CLOSE_SOURCE, DUPLICATE_SAME_ACCESS, DuplicateHandle, FALSE, HANDLE, TRUE,
};
use windows_sys::Win32::System::Threading::{CreateEventW, GetCurrentProcess, QueueUserAPC};

/// A module that is loaded when the process begins.
pub struct EarlyLoad {
    path: RemotePath,
    loaded: OwnedHandle,
    /// The event's handle as the process knows it.
    loaded_there: HANDLE,
}

impl EarlyLoad {
    /// Has the module at `path` loaded by `program` when it is resumed.
    ///
    /// # Errors
    ///
    /// If the process refuses what that takes; it then begins without.
    pub fn queue(program: &Suspended, path: &Path) -> Result<EarlyLoad, Error> {
        let process = program.process();
        let loaded = new_event()?;
        let loaded_there = give(&loaded, process)?;
        let path = RemotePath::write(process, path)?;
        let load = EarlyLoad {
            path,
            loaded,
            loaded_there,
        };
        queue_call(program, load_library(), load.path.address())?;
        queue_call(program, set_event(), loaded_there)?;
        Ok(load)
    }

    /// Waits until the module is loaded in `process`, or has failed to be, or the process has ended before.
    pub fn wait(self, process: &Process) -> Result<Ending, Error> {
        match wait::first_of(&[self.loaded.as_handle(), process.handle()], None)? {
            Some(0) => {
                self.path.free(process);
                take_back(self.loaded_there, process);
                Ok(Ending::Returned)
            }
            _ => Ok(Ending::ProcessEnded),
        }
    }
}

fn new_event() -> Result<OwnedHandle, Error> {
    // SAFETY: no memory is handed over.
    let event = unsafe { CreateEventW(ptr::null(), TRUE, FALSE, ptr::null()) };
    if event.is_null() {
        return Err(last_error("make an event"));
    }
    // SAFETY: the handle was just made, and nobody else has it.
    Ok(unsafe { OwnedHandle::from_raw_handle(event) })
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

/// Has the first thread of `program` call `function` with `argument` before it begins, after what was queued already.
fn queue_call(
    program: &Suspended,
    function: OneArgument,
    argument: *mut c_void,
) -> Result<(), Error> {
    // SAFETY: both types are of functions that take one argument of a pointer's size; the result is nobody's.
    let function: unsafe extern "system" fn(usize) = unsafe { mem::transmute(function) };
    // SAFETY: the thread is open; the function is at this address in its process too, and what the argument means there
    // stays until the call has been made.
    let queued = unsafe {
        QueueUserAPC(
            Some(function),
            program.thread().as_raw_handle(),
            argument as usize,
        )
    };
    if queued == 0 {
        return Err(refusal(program.process(), "queue a call in"));
    }
    Ok(())
}
