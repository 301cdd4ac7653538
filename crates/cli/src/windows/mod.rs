//! Everything that calls Windows. The lowest layer of the launcher: of this crate it uses `error`,
//! `command_line` and the pages of `window::page` only, and leaves it to its callers to explain a
//! refusal.

pub mod about;
pub mod bounded;
pub mod console;
pub mod job;
mod library;
pub mod process;
pub mod process_list;
pub mod refusal;
pub mod security_center;
pub mod shell;
pub mod start;
pub mod task_dialog;
pub mod usage;

use crate::error::Error;
use allograft_inject::{Handle, System, SystemError, Windows, extended_length};
use std::ffi::OsStr;
use std::fmt::Display;
use std::io;
use std::os::windows::ffi::OsStrExt;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::path::Path;
use std::time::Duration;
use windows_sys::Win32::Foundation::FALSE;
use windows_sys::core::BOOL;

/// `text` as Windows takes it: UTF-16 units with a NUL behind them.
pub fn wide(text: &OsStr) -> Vec<u16> {
    text.encode_wide().chain([0]).collect()
}

/// The full path `path` as Windows takes it wherever a path is taken, however long it is.
pub fn wide_path(path: &Path) -> Vec<u16> {
    let path = wide(path.as_os_str());
    // Room for the prefix of a long path.
    let mut buffer = vec![0; path.len() + 8];
    extended_length(&path, &mut buffer).map_or(path, |extended| extended.to_vec())
}

/// The error of the system call that just failed while doing `action` (an infinitive).
fn last_error(action: impl Display) -> Error {
    Error::system(action, io::Error::last_os_error())
}

/// Checks the result of a system call that did `action`.
fn check(result: BOOL, action: impl Display) -> Result<(), Error> {
    if result == FALSE { Err(last_error(action)) } else { Ok(()) }
}

/// The handle of `object`, as the injecting code takes it.
pub fn handle(object: &impl AsRawHandle) -> Handle {
    Handle(object.as_raw_handle() as isize)
}

/// Waits until one of `objects` is signalled and returns the index of the first that is; none if
/// `timeout` ran out first. Without a timeout it waits for ever.
pub fn wait_for_first(
    objects: &[BorrowedHandle<'_>],
    timeout: Option<Duration>,
) -> Result<Option<usize>, Error> {
    let handles: Vec<Handle> = objects.iter().map(handle).collect();
    Windows.wait(&handles, timeout).map_err(|error| failure("wait for the program", error))
}

/// A new event, which is not signalled, and stays signalled once it is.
pub fn new_event() -> Result<OwnedHandle, Error> {
    let event = Windows.create_event().map_err(|error| failure("make an event", error))?;
    // SAFETY: the handle was just made, and nobody else has it.
    Ok(unsafe { OwnedHandle::from_raw_handle(event.0 as *mut _) })
}

fn failure(action: &str, SystemError(code): SystemError) -> Error {
    let source = io::Error::from_raw_os_error(code.cast_signed());
    Error::system(action, source)
}
