//! Starting a program so that it has not begun.

use super::process::Process;
use super::{last_error, wide};
use crate::command_line;
use crate::diagnosis;
use crate::error::Error;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::mem;
use std::os::windows::ffi::OsStrExt;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::path::Path;
use std::ptr;
use windows_sys::Win32::Foundation::{
    ERROR_BAD_EXE_FORMAT, ERROR_ELEVATION_REQUIRED, ERROR_EXE_MACHINE_TYPE_MISMATCH,
    ERROR_FILE_NOT_FOUND, ERROR_INVALID_EXE_SIGNATURE, ERROR_PATH_NOT_FOUND, FALSE, HANDLE,
    HANDLE_FLAG_INHERIT, SetHandleInformation, TRUE,
};
use windows_sys::Win32::System::Console::{
    GetStdHandle, STD_ERROR_HANDLE, STD_HANDLE, STD_INPUT_HANDLE, STD_OUTPUT_HANDLE,
};
use windows_sys::Win32::System::Threading::{
    CREATE_SUSPENDED, CreateProcessW, GetStartupInfoW, PROCESS_INFORMATION, ResumeThread,
    STARTF_USESHOWWINDOW, STARTF_USESTDHANDLES, STARTUPINFOW, TerminateProcess,
};

/// Longest command line that the system takes, in UTF-16 units, with the terminating NUL.
const MAX_COMMAND_LINE: usize = 32767;

/// The standard streams of a program: files, or, where there is none, those of this process.
#[derive(Debug, Clone, Copy, Default)]
pub struct Streams<'a> {
    /// What it reads.
    pub input: Option<&'a File>,
    /// What it writes, errors too.
    pub output: Option<&'a File>,
}

/// A process none of whose code has run. Dropped, it ends without ever having begun.
#[derive(Debug)]
pub struct Suspended {
    /// Gone once the process is resumed.
    process: Option<Process>,
    thread: OwnedHandle,
}

impl Suspended {
    /// Creates the process of the program at `path`, called `name` by the user, with these standard
    /// streams, and this process's folder and environment.
    ///
    /// It belongs to no job of ours: a launcher that is ended leaves the program running.
    ///
    /// # Errors
    ///
    /// If the system does not start it.
    pub fn start(
        path: &Path,
        name: &OsStr,
        arguments: &[OsString],
        streams: &Streams<'_>,
    ) -> Result<Suspended, Error> {
        let mut command_line = command_line(path, name, arguments)?;
        let application = wide(path.as_os_str());
        let startup = startup_information(streams);
        let mut created = PROCESS_INFORMATION::default();
        // SAFETY: both strings are NUL-terminated, the second is ours to be written to, and the
        // structures are complete.
        let started = unsafe {
            CreateProcessW(
                application.as_ptr(),
                command_line.as_mut_ptr(),
                ptr::null(),
                ptr::null(),
                TRUE,
                CREATE_SUSPENDED,
                ptr::null(),
                ptr::null(),
                &startup,
                &mut created,
            )
        };
        if started == FALSE {
            return Err(refusal(path, name, io::Error::last_os_error()));
        }
        // SAFETY: the handles were just made, and nobody else has them.
        let (process, thread) = unsafe {
            (
                OwnedHandle::from_raw_handle(created.hProcess),
                OwnedHandle::from_raw_handle(created.hThread),
            )
        };
        Ok(Suspended { process: Some(Process::new(process, created.dwProcessId)), thread })
    }

    /// The process.
    pub fn process(&self) -> &Process {
        self.process.as_ref().expect("it is there until it is resumed")
    }

    /// Its first thread.
    pub fn thread(&self) -> BorrowedHandle<'_> {
        self.thread.as_handle()
    }

    /// Lets it begin.
    pub fn resume(mut self) -> Result<Process, Error> {
        // SAFETY: the handle is open.
        if unsafe { ResumeThread(self.thread.as_raw_handle()) } == u32::MAX {
            return Err(last_error(format!("resume {}", self.process())));
        }
        Ok(self.process.take().expect("it is there until it is resumed"))
    }
}

impl Drop for Suspended {
    fn drop(&mut self) {
        if let Some(process) = &self.process {
            // SAFETY: the handle is open, and no code of the process has run that could miss an
            // orderly end.
            unsafe { TerminateProcess(process.raw(), 1) };
        }
    }
}

/// The command line of the program, NUL-terminated.
fn command_line(path: &Path, name: &OsStr, arguments: &[OsString]) -> Result<Vec<u16>, Error> {
    let name: Vec<u16> = name.encode_wide().collect();
    let arguments: Vec<Vec<u16>> =
        arguments.iter().map(|argument| argument.encode_wide().collect()).collect();
    let mut line = command_line::join(&name, arguments.iter().map(Vec::as_slice));
    line.push(0);
    if line.len() > MAX_COMMAND_LINE {
        return Err(Error::ProgramUnfit {
            path: path.to_path_buf(),
            reason: format!(
                "its command line would be {} characters long, and Windows allows {}",
                line.len() - 1,
                MAX_COMMAND_LINE - 1
            ),
        });
    }
    Ok(line)
}

/// What the program inherits: the standard streams, and how its first window is to be shown.
fn startup_information(streams: &Streams<'_>) -> STARTUPINFOW {
    let mut ours = STARTUPINFOW::default();
    // SAFETY: the structure is ours to be filled in.
    unsafe { GetStartupInfoW(&mut ours) };
    STARTUPINFOW {
        cb: mem::size_of::<STARTUPINFOW>() as u32,
        dwFlags: STARTF_USESTDHANDLES | ours.dwFlags & STARTF_USESHOWWINDOW,
        wShowWindow: ours.wShowWindow,
        hStdInput: inheritable(streams.input, STD_INPUT_HANDLE),
        hStdOutput: inheritable(streams.output, STD_OUTPUT_HANDLE),
        hStdError: inheritable(streams.output, STD_ERROR_HANDLE),
        ..Default::default()
    }
}

/// The file, or else one of our standard streams, made inheritable; a stream that we have not, the
/// program has not either.
fn inheritable(file: Option<&File>, ours: STD_HANDLE) -> HANDLE {
    // SAFETY: asks for a handle, and a value that is none is refused by the second call and by the
    // system later on.
    unsafe {
        let handle = file.map_or_else(|| GetStdHandle(ours), AsRawHandle::as_raw_handle);
        SetHandleInformation(handle, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT);
        handle
    }
}

/// The error that tells why the system did not start the program.
fn refusal(path: &Path, name: &OsStr, error: io::Error) -> Error {
    let reason = match error.raw_os_error().map(i32::cast_unsigned) {
        Some(ERROR_FILE_NOT_FOUND | ERROR_PATH_NOT_FOUND) => {
            return Error::ProgramNotFound { name: name.to_string_lossy().into_owned() };
        }
        Some(
            ERROR_BAD_EXE_FORMAT | ERROR_EXE_MACHINE_TYPE_MISMATCH | ERROR_INVALID_EXE_SIGNATURE,
        ) => diagnosis::not_executable(allograft_image::summary(path)),
        Some(ERROR_ELEVATION_REQUIRED) => {
            "it needs administrator rights: run allograft as administrator".to_owned()
        }
        _ => error.to_string(),
    };
    Error::ProgramUnfit { path: path.to_path_buf(), reason }
}
