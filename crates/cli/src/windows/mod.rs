//! Everything that calls Windows. The lowest layer of the launcher: of this crate it uses `error`
//! and `command_line` only, and leaves it to its callers to explain a refusal.

pub mod console;
pub mod job;
pub mod process;
pub mod process_list;
pub mod start;
pub mod usage;
pub mod wait;

use crate::error::Error;
use std::ffi::OsStr;
use std::fmt::Display;
use std::io;
use std::os::windows::ffi::OsStrExt;
use windows_sys::Win32::Foundation::FALSE;
use windows_sys::core::BOOL;

/// `text` as Windows takes it: UTF-16 units with a NUL behind them.
pub fn wide(text: &OsStr) -> Vec<u16> {
    text.encode_wide().chain([0]).collect()
}

/// The error of the system call that just failed while doing `action` (an infinitive).
fn last_error(action: impl Display) -> Error {
    Error::system(action, io::Error::last_os_error())
}

/// Checks the result of a system call that did `action`.
fn check(result: BOOL, action: impl Display) -> Result<(), Error> {
    if result == FALSE { Err(last_error(action)) } else { Ok(()) }
}
