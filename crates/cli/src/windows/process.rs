//! One other process.

use super::{last_error, wait};
use crate::diagnosis::Program;
use crate::error::Error;
use allograft_image::Machine;
use allograft_inject::machine_of_process;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::windows::ffi::OsStringExt;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::path::PathBuf;
use std::ptr;
use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_INVALID_PARAMETER, FALSE, FILETIME, HANDLE, HMODULE,
};
use windows_sys::Win32::System::ProcessStatus::{
    K32EnumProcessModulesEx, K32GetModuleBaseNameW, LIST_MODULES_ALL,
};
use windows_sys::Win32::System::RemoteDesktop::ProcessIdToSessionId;
use windows_sys::Win32::System::SystemInformation::IMAGE_FILE_MACHINE_UNKNOWN;
use windows_sys::Win32::System::Threading::{
    GetCurrentProcessId, GetExitCodeProcess, GetProcessId, GetProcessTimes, IsWow64Process2,
    OpenProcess, PROCESS_CREATE_THREAD, PROCESS_NAME_WIN32, PROCESS_QUERY_INFORMATION,
    PROCESS_QUERY_LIMITED_INFORMATION, PROCESS_SYNCHRONIZE, PROCESS_VM_OPERATION, PROCESS_VM_READ,
    PROCESS_VM_WRITE, QueryFullProcessImageNameW,
};

/// What loading a module into a process takes.
const RIGHTS: u32 = PROCESS_CREATE_THREAD
    | PROCESS_QUERY_INFORMATION
    | PROCESS_VM_OPERATION
    | PROCESS_VM_READ
    | PROCESS_VM_WRITE
    | PROCESS_SYNCHRONIZE;

/// No process is expected to have more DLLs; of one that has, not all are looked at.
const MOST_MODULES: usize = 4096;

/// An open process.
#[derive(Debug)]
pub struct Process {
    handle: OwnedHandle,
    pid: u32,
    name: String,
}

impl Process {
    /// Opens the process `pid` with the rights that loading a module into it takes.
    ///
    /// # Errors
    ///
    /// If there is no such process, or this user may not.
    pub fn open(pid: u32) -> Result<Process, Error> {
        Process::with_rights(RIGHTS, pid)
    }

    /// Opens the process `pid` only to see what it is and when it ends.
    ///
    /// # Errors
    ///
    /// As for [`Process::open`].
    pub fn observed(pid: u32) -> Result<Process, Error> {
        Process::with_rights(PROCESS_QUERY_LIMITED_INFORMATION | PROCESS_SYNCHRONIZE, pid)
    }

    fn with_rights(rights: u32, pid: u32) -> Result<Process, Error> {
        // SAFETY: no memory is handed over.
        let handle = unsafe { OpenProcess(rights, FALSE, pid) };
        if !handle.is_null() {
            // SAFETY: the handle was just opened, and nobody else has it.
            let handle = unsafe { OwnedHandle::from_raw_handle(handle) };
            return Ok(Process::new(handle, pid));
        }
        let source = io::Error::last_os_error();
        Err(match source.raw_os_error().map(i32::cast_unsigned) {
            Some(ERROR_INVALID_PARAMETER) => Error::NoSuchPid { pid },
            Some(ERROR_ACCESS_DENIED) => Error::AccessDenied { process: format!("process {pid}") },
            _ => Error::System { action: format!("open process {pid}"), source },
        })
    }

    /// The process of a handle that has been opened elsewhere with all rights.
    pub fn new(handle: OwnedHandle, pid: u32) -> Process {
        let name = image_path(handle.as_handle())
            .and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
            .unwrap_or_else(|| "the program".to_owned());
        Process { handle, pid, name }
    }

    /// The process of a handle that was handed down to this program.
    pub fn handed_down(handle: OwnedHandle) -> Process {
        // SAFETY: asks for a number; what is no process has none.
        let pid = unsafe { GetProcessId(handle.as_raw_handle()) };
        Process::new(handle, pid)
    }

    /// Its handle.
    pub fn handle(&self) -> BorrowedHandle<'_> {
        self.handle.as_handle()
    }

    pub(super) fn raw(&self) -> HANDLE {
        self.handle.as_raw_handle()
    }

    /// Its id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The file name of its program.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Looks at its program's file and at the DLLs that it has loaded, as far as it lets us.
    pub fn observe(&self) -> Program {
        Program {
            image: image_path(self.handle()).and_then(|path| allograft_image::summary(&path).ok()),
            loaded: self.loaded_modules(),
        }
    }

    fn loaded_modules(&self) -> Vec<String> {
        let mut modules: Vec<HMODULE> = vec![ptr::null_mut(); MOST_MODULES];
        let size = size_of_val(&modules[..]) as u32;
        let mut used = 0;
        // SAFETY: the handle is open, and the buffer has the size said.
        let listed = unsafe {
            K32EnumProcessModulesEx(
                self.raw(),
                modules.as_mut_ptr(),
                size,
                &mut used,
                LIST_MODULES_ALL,
            )
        };
        if listed == FALSE {
            return Vec::new();
        }
        modules.truncate(used as usize / size_of::<HMODULE>());
        modules.iter().map(|module| self.module_name(*module)).collect()
    }

    fn module_name(&self, module: HMODULE) -> String {
        let mut name = [0u16; 260];
        // SAFETY: the handle is open, and the buffer has the size said.
        let used = unsafe {
            K32GetModuleBaseNameW(self.raw(), module, name.as_mut_ptr(), name.len() as u32)
        };
        String::from_utf16_lossy(&name[..used as usize])
    }

    /// When it was created, as a `FILETIME`: 100 ns since 1601.
    pub fn created(&self) -> Result<u64, Error> {
        let times = self.times();
        times
            .map(|[created, ..]| created)
            .ok_or_else(|| last_error(format!("ask when {self} was created")))
    }

    /// When it was created and when it ended, and how long it ran in the system and in its program,
    /// in units of 100 ns.
    pub(super) fn times(&self) -> Option<[u64; 4]> {
        let mut times = [FILETIME::default(); 4];
        let [created, ended, kernel, user] = &mut times;
        // SAFETY: the handle is open, and the four places are ours.
        let told = unsafe { GetProcessTimes(self.raw(), created, ended, kernel, user) } != FALSE;
        told.then(|| {
            times.map(|time| u64::from(time.dwHighDateTime) << 32 | u64::from(time.dwLowDateTime))
        })
    }

    /// The machine that its program is made for, as far as the system tells.
    pub fn machine(&self) -> Machine {
        let mut emulated = IMAGE_FILE_MACHINE_UNKNOWN;
        let mut native = IMAGE_FILE_MACHINE_UNKNOWN;
        // SAFETY: the handle is open, and both places are ours. A system that does not answer
        // leaves them as they are.
        unsafe { IsWow64Process2(self.raw(), &mut emulated, &mut native) };
        machine_of_process(emulated, native, || {
            let path = image_path(self.handle())?;
            Some(allograft_image::summary(&path).ok()?.machine)
        })
    }

    /// Checks that the status page can be shared with it: names that begin with `Local\` are one
    /// session's own.
    ///
    /// # Errors
    ///
    /// If it belongs to another session.
    pub fn check_reachable(&self) -> Result<(), Error> {
        // SAFETY: asks for a number.
        let own = session(unsafe { GetCurrentProcessId() });
        match (session(self.pid), own) {
            (Some(theirs), Some(own)) if theirs != own => Err(Error::ProcessUnfit {
                process: self.to_string(),
                reason: format!(
                    "it belongs to session {theirs} and this is session {own}: run allograft in its session"
                ),
            }),
            _ => Ok(()),
        }
    }

    /// Waits until it ends and returns its exit code.
    pub fn wait(&self) -> Result<u32, Error> {
        wait::first_of(&[self.handle()], None)?;
        self.exit_code()
    }

    /// The exit code of the process, which has ended.
    pub fn exit_code(&self) -> Result<u32, Error> {
        let mut code = 0;
        // SAFETY: the handle is open, and the place is ours.
        if unsafe { GetExitCodeProcess(self.raw(), &mut code) } == FALSE {
            return Err(last_error(format!("ask for the exit code of {self}")));
        }
        Ok(code)
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (process {})", self.name, self.pid)
    }
}

fn image_path(process: BorrowedHandle<'_>) -> Option<PathBuf> {
    let mut path = vec![0u16; 32768];
    let mut used = path.len() as u32;
    // SAFETY: the handle is open, and the buffer has the size said.
    let told = unsafe {
        QueryFullProcessImageNameW(
            process.as_raw_handle(),
            PROCESS_NAME_WIN32,
            path.as_mut_ptr(),
            &mut used,
        )
    };
    (told != FALSE).then(|| PathBuf::from(OsString::from_wide(&path[..used as usize])))
}

fn session(pid: u32) -> Option<u32> {
    let mut session = 0;
    // SAFETY: the place is ours.
    (unsafe { ProcessIdToSessionId(pid, &mut session) } != FALSE).then_some(session)
}
