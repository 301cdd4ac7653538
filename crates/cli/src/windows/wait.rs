//! Kernel objects to wait for.

use super::last_error;
use crate::error::Error;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::ptr;
use std::time::Duration;
use windows_sys::Win32::Foundation::{
    FALSE, HANDLE, TRUE, WAIT_FAILED, WAIT_OBJECT_0, WAIT_TIMEOUT,
};
use windows_sys::Win32::System::Threading::{CreateEventW, INFINITE, WaitForMultipleObjects};

/// Waits until one of `objects` is signalled and returns the index of the first that is, or nothing
/// if `timeout` ran out before.
///
/// Without a timeout it waits for ever.
pub fn first_of(
    objects: &[BorrowedHandle<'_>],
    timeout: Option<Duration>,
) -> Result<Option<usize>, Error> {
    let handles: Vec<HANDLE> = objects.iter().map(AsRawHandle::as_raw_handle).collect();
    let ms = timeout.map_or(INFINITE, |timeout| {
        // The largest number means for ever.
        u32::try_from(timeout.as_millis()).unwrap_or(INFINITE).min(INFINITE - 1)
    });
    // SAFETY: the handles are open as long as `objects` borrows them, and there are as many as
    // said.
    match unsafe { WaitForMultipleObjects(handles.len() as u32, handles.as_ptr(), FALSE, ms) } {
        WAIT_FAILED => Err(last_error("wait for the program")),
        WAIT_TIMEOUT => Ok(None),
        signalled => Ok(Some((signalled - WAIT_OBJECT_0) as usize)),
    }
}

/// A new event, which is not signalled, and stays signalled once it is.
pub fn new_event() -> Result<OwnedHandle, Error> {
    // SAFETY: no memory is handed over.
    let event = unsafe { CreateEventW(ptr::null(), TRUE, FALSE, ptr::null()) };
    if event.is_null() {
        return Err(last_error("make an event"));
    }
    // SAFETY: the handle was just made, and nobody else has it.
    Ok(unsafe { OwnedHandle::from_raw_handle(event) })
}
