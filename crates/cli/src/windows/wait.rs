//! Kernel objects to wait for.

use crate::error::Error;
use allograft_inject::{Handle, System, SystemError, Windows};
use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::time::Duration;

/// The handle of `object`, as the injecting code takes it.
pub fn handle(object: &impl AsRawHandle) -> Handle {
    Handle(object.as_raw_handle() as isize)
}

/// Waits until one of `objects` is signalled and returns the index of the first that is; none if
/// `timeout` ran out first. Without a timeout it waits for ever.
pub fn first_of(
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
