//! The launcher for 32-bit programs, which loads the module into those for this one (see
//! [`Way`](crate::machine::Way)).
//!
//! It is started with the process's handle, does its act, and ends; all the rest stays with this
//! launcher. It is given no console: Ctrl+C must not end it in the middle.

use super::last_error;
use super::process::Process;
use super::remote_load::Ending;
use crate::error::Error;
use crate::machine::launcher_name;
use crate::module;
use allograft_image::Machine;
use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::os::windows::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::ptr;
use std::time::Duration;
use windows_sys::Win32::Foundation::{DUPLICATE_SAME_ACCESS, DuplicateHandle, FALSE, HANDLE, TRUE};
use windows_sys::Win32::System::Threading::{DETACHED_PROCESS, GetCurrentProcess};

/// Its file name.
fn name() -> &'static str {
    launcher_name(Machine::X86)
}

/// Has `thread`, the first of `process`, load the module at `path` before it begins, and set the
/// event that is `loaded` there after that.
///
/// # Errors
///
/// If the assistant is not there, or fails.
pub fn queue_load(
    process: &Process,
    thread: BorrowedHandle<'_>,
    path: &Path,
    loaded: HANDLE,
) -> Result<(), Error> {
    let thread = inheritable(thread)?;
    let output = assist(process, path, |command| {
        command
            .args(["--thread", &number(thread.as_raw_handle())])
            .args(["--event", &number(loaded)]);
    })?;
    match ending(&output) {
        Some(_) => Ok(()),
        None => Err(failure(&output)),
    }
}

/// Loads the module at `path` into `process` and waits until that is done, at most for `timeout`.
///
/// # Errors
///
/// If the assistant is not there, or fails.
pub fn load(process: &Process, path: &Path, timeout: Option<Duration>) -> Result<Ending, Error> {
    let output = assist(process, path, |command| {
        if let Some(timeout) = timeout {
            command.args(["--timeout", &timeout.as_secs_f64().to_string()]);
        }
    })?;
    ending(&output).ok_or_else(|| failure(&output))
}

/// Runs the assistant on `process` to its end, with what `more` adds to its command line.
fn assist(
    process: &Process,
    path: &Path,
    more: impl FnOnce(&mut Command),
) -> Result<Output, Error> {
    let program = module::beside_this_program(name())?;
    let process = inheritable(process.handle())?;
    let mut command = Command::new(program);
    command
        .args(["assist", "--process", &number(process.as_raw_handle())])
        .arg("--module")
        .arg(path)
        .stdin(Stdio::null())
        .creation_flags(DETACHED_PROCESS);
    more(&mut command);
    command.output().map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => Error::new(format!(
            "no {} beside this program: it is what loads the module into 32-bit programs",
            name()
        )),
        _ => Error::system(format_args!("start {}", name()), source),
    })
}

/// A handle of the same rights that children inherit.
fn inheritable(handle: BorrowedHandle<'_>) -> Result<OwnedHandle, Error> {
    let mut copy = ptr::null_mut();
    // SAFETY: the handle is open, and the place is ours.
    let made = unsafe {
        DuplicateHandle(
            GetCurrentProcess(),
            handle.as_raw_handle(),
            GetCurrentProcess(),
            &mut copy,
            0,
            TRUE,
            DUPLICATE_SAME_ACCESS,
        )
    };
    if made == FALSE {
        return Err(last_error("hand a process down"));
    }
    // SAFETY: the handle was just made, and nobody else has it.
    Ok(unsafe { OwnedHandle::from_raw_handle(copy) })
}

/// A handle as a number that programs of every word size read alike.
fn number(handle: HANDLE) -> String {
    (handle as usize as u32).to_string()
}

fn ending(output: &Output) -> Option<Ending> {
    Ending::from_exit_code(output.status.code()?.cast_unsigned())
}

fn failure(output: &Output) -> Error {
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().next().unwrap_or_default().trim();
    let reason = match line.strip_prefix("allograft: ").unwrap_or(line) {
        "" => format!("it ended with {}", output.status),
        line => line.to_owned(),
    };
    Error::new(format!("{}: {reason}", name()))
}
