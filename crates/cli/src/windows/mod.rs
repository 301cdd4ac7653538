//! Everything that calls Windows.

pub mod console;
pub mod job;
pub mod process;
pub mod process_list;
pub mod start;
pub mod usage;
pub mod wait;

use crate::error::Error;
use std::ffi::OsStr;
use std::io;
use std::os::windows::ffi::OsStrExt;

/// `text` as Windows takes it: UTF-16 units with a NUL behind them.
pub fn wide(text: &OsStr) -> Vec<u16> {
    text.encode_wide().chain([0]).collect()
}

/// The error of the system call that just failed while doing `action` (an infinitive).
fn last_error(action: impl Into<String>) -> Error {
    Error::System { action: action.into(), source: io::Error::last_os_error() }
}
