//! The console that the launcher shares with the program.

use super::{check, new_event};
use crate::error::Error;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, OwnedHandle};
use std::ptr;
use std::sync::OnceLock;
use windows_sys::Win32::Foundation::{FALSE, INVALID_HANDLE_VALUE, TRUE};
use windows_sys::Win32::System::Console::{
    CTRL_BREAK_EVENT, CTRL_C_EVENT, ENABLE_VIRTUAL_TERMINAL_PROCESSING, FreeConsole,
    GetConsoleMode, GetConsoleProcessList, GetStdHandle, STD_ERROR_HANDLE, STD_INPUT_HANDLE,
    STD_OUTPUT_HANDLE, SetConsoleCtrlHandler, SetConsoleMode, SetStdHandle,
};
use windows_sys::Win32::System::Threading::SetEvent;
use windows_sys::core::BOOL;

/// Makes Ctrl+C and Ctrl+Break signal the returned event instead of ending this process. They still
/// reach the program, as every process of the console, and it decides for itself.
///
/// This uses a handler instead of the system's switch to ignore Ctrl+C: the program would inherit
/// the switch.
pub fn catch_interrupts() -> Result<BorrowedHandle<'static>, Error> {
    static EVENT: OnceLock<OwnedHandle> = OnceLock::new();
    unsafe extern "system" fn signal(event: u32) -> BOOL {
        match (event, EVENT.get()) {
            // SAFETY: a static is never dropped, so the handle stays open.
            (CTRL_C_EVENT | CTRL_BREAK_EVENT, Some(interruption)) => unsafe {
                SetEvent(interruption.as_raw_handle())
            },
            _ => FALSE,
        }
    }
    let event = new_event()?;
    let event = EVENT.get_or_init(|| event);
    // SAFETY: the handler uses nothing but its argument and the static, so it may run on any
    // thread at any time.
    check(unsafe { SetConsoleCtrlHandler(Some(signal), TRUE) }, "leave Ctrl+C to the program")?;
    Ok(event.as_handle())
}

/// Whether nobody but this program has its console and reads what it prints: the console was made
/// for it, or it has none, and no output.
pub fn is_own() -> bool {
    let mut processes = [0; 2];
    let mut mode = 0;
    // SAFETY: the buffer has the length that is passed, and the other calls accept any handle.
    unsafe {
        let count = GetConsoleProcessList(processes.as_mut_ptr(), processes.len() as u32);
        let output = GetStdHandle(STD_OUTPUT_HANDLE);
        match count {
            0 => output.is_null() || output == INVALID_HANDLE_VALUE,
            1 => GetConsoleMode(output, &mut mode) != FALSE,
            _ => false,
        }
    }
}

/// Gives the console up. One that nobody else has vanishes.
pub fn leave() {
    // SAFETY: the calls take no pointers. The standard streams are the console's (see `is_own`), so
    // nothing else is lost; what is printed from now on goes nowhere.
    unsafe {
        FreeConsole();
        for stream in [STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE] {
            SetStdHandle(stream, ptr::null_mut());
        }
    }
}

/// Asks the terminal to obey escape sequences that move the cursor. False if standard output is no
/// terminal, or one that does not.
pub fn enable_cursor_movements() -> bool {
    let mut mode = 0;
    // SAFETY: both calls accept any handle, and fail for one that is not a console's.
    unsafe {
        let output = GetStdHandle(STD_OUTPUT_HANDLE);
        GetConsoleMode(output, &mut mode) != FALSE
            && SetConsoleMode(output, mode | ENABLE_VIRTUAL_TERMINAL_PROCESSING) != FALSE
    }
}
