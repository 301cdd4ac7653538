//! Starting a program suspended, so that a module can be loaded before its first instruction.

use super::process::Process;
use super::{last_error, wide_path};
use crate::command_line;
use crate::error::Error;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::windows::ffi::OsStrExt;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::path::Path;
use std::ptr;
use windows_sys::Win32::Foundation::{
    ERROR_FILE_NOT_FOUND, ERROR_PATH_NOT_FOUND, FALSE, HANDLE, HANDLE_FLAG_INHERIT,
    SetHandleInformation, TRUE,
};
use windows_sys::Win32::Storage::FileSystem::GetShortPathNameW;
use windows_sys::Win32::System::Console::{
    GetStdHandle, STD_ERROR_HANDLE, STD_HANDLE, STD_INPUT_HANDLE, STD_OUTPUT_HANDLE,
};
use windows_sys::Win32::System::Threading::{
    CREATE_SUSPENDED, CREATE_UNICODE_ENVIRONMENT, CreateProcessW, GetStartupInfoW,
    PROCESS_INFORMATION, ResumeThread, STARTF_USESHOWWINDOW, STARTF_USESTDHANDLES, STARTUPINFOW,
    TerminateProcess,
};

/// Longest command line that the system takes, in UTF-16 units, with the terminating NUL.
const MAX_COMMAND_LINE: usize = 32767;

/// The standard streams of a program; None stands for that of this process.
#[derive(Debug, Clone, Copy, Default)]
pub struct Streams<'a> {
    pub input: Option<&'a File>,
    pub output: Option<&'a File>,
    pub errors: Option<&'a File>,
}

/// The variables of a program's environment, as the system takes them.
#[derive(Debug, Clone)]
pub struct Environment(Vec<u16>);

impl Environment {
    pub fn new<'a>(variables: impl IntoIterator<Item = &'a (OsString, OsString)>) -> Environment {
        let mut block = Vec::new();
        for (name, value) in variables {
            block.extend(name.encode_wide());
            block.push(u16::from(b'='));
            block.extend(value.encode_wide());
            block.push(0);
        }
        // An empty block ends with two zeros as well.
        block.resize(block.len().max(1) + 1, 0);
        Environment(block)
    }
}

/// A process whose first thread is suspended. Dropped, it ends without having run any code.
#[derive(Debug)]
pub struct Suspended {
    /// None once the process is resumed.
    process: Option<Process>,
    thread: OwnedHandle,
}

impl Suspended {
    /// Creates the process of the program at `path`, called `name` by the user, with these standard
    /// streams, and the working directory and environment of this process.
    ///
    /// It is in no job of ours: it goes on if the launcher is ended.
    pub fn start(
        path: &Path,
        name: &OsStr,
        arguments: &[OsString],
        streams: &Streams<'_>,
    ) -> io::Result<Suspended> {
        Suspended::start_in(path, name, arguments, streams, None)
    }

    /// As [`Suspended::start`], in another environment.
    pub fn start_in(
        path: &Path,
        name: &OsStr,
        arguments: &[OsString],
        streams: &Streams<'_>,
        environment: Option<&Environment>,
    ) -> io::Result<Suspended> {
        let create = |path: &[u16]| create(path, name, arguments, streams, environment);
        let created = create(&wide_path(path)).or_else(|error| {
            // Wine takes no long path here, with or without a prefix.
            let short = short_folder(path).filter(|_| is_not_found(&error)).ok_or(error)?;
            create(&short)
        })?;
        // SAFETY: the call has opened both handles for this function alone.
        let (process, thread) = unsafe {
            (
                OwnedHandle::from_raw_handle(created.hProcess),
                OwnedHandle::from_raw_handle(created.hThread),
            )
        };
        Ok(Suspended { process: Some(Process::new(process)), thread })
    }

    pub fn process(&self) -> &Process {
        self.process.as_ref().expect("only `resume` takes it")
    }

    pub fn thread(&self) -> BorrowedHandle<'_> {
        self.thread.as_handle()
    }

    /// Lets the program begin.
    pub fn resume(mut self) -> Result<Process, Error> {
        // SAFETY: `self` keeps the handle open.
        if unsafe { ResumeThread(self.thread.as_raw_handle()) } == u32::MAX {
            return Err(last_error(format_args!("resume {}", self.process())));
        }
        Ok(self.process.take().expect("only `resume` takes it"))
    }
}

impl Drop for Suspended {
    fn drop(&mut self) {
        if let Some(process) = &self.process {
            // SAFETY: no code of the process has run, so none misses an orderly end.
            unsafe { TerminateProcess(process.raw(), 1) };
        }
    }
}

/// Creates the process of the program at `application` (NUL-terminated), suspended.
fn create(
    application: &[u16],
    name: &OsStr,
    arguments: &[OsString],
    streams: &Streams<'_>,
    environment: Option<&Environment>,
) -> io::Result<PROCESS_INFORMATION> {
    let mut command_line = command_line(name, arguments)?;
    let startup = startup_information(streams);
    let mut created = PROCESS_INFORMATION::default();
    let block = environment.map_or(ptr::null(), |Environment(block)| block.as_ptr().cast());
    // SAFETY: both strings are NUL-terminated, the second may be written to, `startup` has its size
    // in `cb`, and the block of variables ends with two zeros.
    let started = unsafe {
        CreateProcessW(
            application.as_ptr(),
            command_line.as_mut_ptr(),
            ptr::null(),
            ptr::null(),
            TRUE,
            CREATE_SUSPENDED | CREATE_UNICODE_ENVIRONMENT,
            block,
            ptr::null(),
            &startup,
            &mut created,
        )
    };
    if started == FALSE { Err(io::Error::last_os_error()) } else { Ok(created) }
}

fn is_not_found(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(i32::cast_unsigned);
    matches!(code, Some(ERROR_FILE_NOT_FOUND | ERROR_PATH_NOT_FOUND))
}

/// The long path of a program with its folders by their short names (`PROGRA~1`), NUL-terminated.
/// The program keeps its own name. None if the path is not long, or the folders have no such names.
fn short_folder(path: &Path) -> Option<Vec<u16>> {
    const MAX_PATH: usize = 260;
    let whole = path.as_os_str().encode_wide().count();
    let folder = wide_path(path.parent().filter(|_| whole >= MAX_PATH)?);
    let mut short = vec![0; folder.len()];
    // SAFETY: the path is NUL-terminated, and the buffer has as many units.
    let length =
        unsafe { GetShortPathNameW(folder.as_ptr(), short.as_mut_ptr(), short.len() as u32) }
            as usize;
    short.truncate(length);
    short.push(u16::from(b'\\'));
    short.extend(path.file_name()?.encode_wide().chain([0]));
    (0 < length && length < folder.len() && short.len() <= MAX_PATH).then_some(short)
}

/// The command line of the program, NUL-terminated.
fn command_line(name: &OsStr, arguments: &[OsString]) -> io::Result<Vec<u16>> {
    let name: Vec<u16> = name.encode_wide().collect();
    let arguments: Vec<Vec<u16>> =
        arguments.iter().map(|argument| argument.encode_wide().collect()).collect();
    let mut line = command_line::join(&name, arguments.iter().map(Vec::as_slice));
    line.push(0);
    if line.len() > MAX_COMMAND_LINE {
        return Err(io::Error::other(format!(
            "its command line would be {} characters long, and Windows allows {}",
            line.len() - 1,
            MAX_COMMAND_LINE - 1
        )));
    }
    Ok(line)
}

/// What the program inherits: the standard streams, and how its first window is to be shown.
fn startup_information(streams: &Streams<'_>) -> STARTUPINFOW {
    let mut ours = STARTUPINFOW::default();
    // SAFETY: the call writes to the structure only.
    unsafe { GetStartupInfoW(&mut ours) };
    STARTUPINFOW {
        cb: size_of::<STARTUPINFOW>() as u32,
        dwFlags: STARTF_USESTDHANDLES | ours.dwFlags & STARTF_USESHOWWINDOW,
        wShowWindow: ours.wShowWindow,
        hStdInput: inheritable(streams.input, STD_INPUT_HANDLE),
        hStdOutput: inheritable(streams.output, STD_OUTPUT_HANDLE),
        hStdError: inheritable(streams.errors, STD_ERROR_HANDLE),
        ..Default::default()
    }
}

/// The handle of `file`, or else of one of our standard streams, made inheritable. If we do not
/// have the stream, the program does not get it either.
fn inheritable(file: Option<&File>, ours: STD_HANDLE) -> HANDLE {
    // SAFETY: `file` outlives the use of its handle; a stream that is missing gives a value that
    // is no handle, which the system refuses.
    unsafe {
        let handle = file.map_or_else(|| GetStdHandle(ours), AsRawHandle::as_raw_handle);
        SetHandleInformation(handle, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT);
        handle
    }
}
