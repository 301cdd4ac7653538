//! The console that the launcher shares with the program.

use super::{last_error, wait};
use crate::error::Error;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, OwnedHandle};
use std::sync::OnceLock;
use windows_sys::Win32::Foundation::{FALSE, TRUE};
use windows_sys::Win32::System::Console::{
    CTRL_BREAK_EVENT, CTRL_C_EVENT, ENABLE_VIRTUAL_TERMINAL_PROCESSING, GetConsoleMode,
    GetStdHandle, STD_OUTPUT_HANDLE, SetConsoleCtrlHandler, SetConsoleMode,
};
use windows_sys::Win32::System::Threading::SetEvent;
use windows_sys::core::BOOL;

/// From now on Ctrl+C and Ctrl+Break do nothing to this process. They reach every process of the
/// console, so the program decides for itself, and the launcher lives on to hand its exit code
/// over.
///
/// A handler is used rather than the system's switch to ignore Ctrl+C, because that would be
/// inherited.
pub fn leave_interrupts_to_the_program() -> Result<(), Error> {
    unsafe extern "system" fn swallow(event: u32) -> BOOL {
        match event {
            CTRL_C_EVENT | CTRL_BREAK_EVENT => TRUE,
            _ => FALSE,
        }
    }
    // SAFETY: the handler touches nothing but its argument.
    match unsafe { SetConsoleCtrlHandler(Some(swallow), TRUE) } {
        FALSE => Err(last_error("leave Ctrl+C to the program")),
        _ => Ok(()),
    }
}

/// From now on Ctrl+C and Ctrl+Break signal the event that is returned, and do nothing else to this
/// process.
///
/// # Errors
///
/// If the system does not give the event, or does not hand these keys to us.
pub fn interruption() -> Result<BorrowedHandle<'static>, Error> {
    static EVENT: OnceLock<OwnedHandle> = OnceLock::new();
    unsafe extern "system" fn signal(event: u32) -> BOOL {
        match (event, EVENT.get()) {
            // SAFETY: the handle is open as long as this program runs.
            (CTRL_C_EVENT | CTRL_BREAK_EVENT, Some(interruption)) => unsafe {
                SetEvent(interruption.as_raw_handle())
            },
            _ => FALSE,
        }
    }
    let event = wait::new_event()?;
    let event = EVENT.get_or_init(|| event);
    // SAFETY: the handler touches nothing but its argument and the event, which stays.
    match unsafe { SetConsoleCtrlHandler(Some(signal), TRUE) } {
        FALSE => Err(last_error("be told of Ctrl+C")),
        _ => Ok(event.as_handle()),
    }
}

/// Whether standard output is a terminal that moves its cursor by escape sequences; asks it to.
pub fn understands_cursor_movements() -> bool {
    let mut mode = 0;
    // SAFETY: both take any handle, and refuse those that are no console's.
    unsafe {
        let output = GetStdHandle(STD_OUTPUT_HANDLE);
        GetConsoleMode(output, &mut mode) != FALSE
            && SetConsoleMode(output, mode | ENABLE_VIRTUAL_TERMINAL_PROCESSING) != FALSE
    }
}
