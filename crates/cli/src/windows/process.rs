//! An open process: what the system knows about it, and waiting for its end. Access that Windows
//! denies is an error only where the caller asks for it; questions about the program may go
//! unanswered.

use super::{check, wait_for_first};
use crate::error::Error;
use allograft_image::Machine;
use allograft_inject::machine_of_process;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::mem;
use std::os::windows::ffi::OsStringExt;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::path::{Path, PathBuf};
use std::ptr;
use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_INVALID_PARAMETER, FALSE, HANDLE, HMODULE,
};
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleW, GetProcAddress};
use windows_sys::Win32::System::ProcessStatus::{
    K32EnumProcessModulesEx, K32GetModuleBaseNameW, LIST_MODULES_ALL,
};
use windows_sys::Win32::System::RemoteDesktop::ProcessIdToSessionId;
use windows_sys::Win32::System::SystemInformation::{
    GetSystemDirectoryW, GetSystemWow64DirectoryW, GetWindowsDirectoryW, IMAGE_FILE_MACHINE_UNKNOWN,
};
use windows_sys::Win32::System::Threading::{
    GetExitCodeProcess, GetProcessId, OpenProcess, PROCESS_CREATE_THREAD, PROCESS_NAME_WIN32,
    PROCESS_QUERY_INFORMATION, PROCESS_QUERY_LIMITED_INFORMATION, PROCESS_SYNCHRONIZE,
    PROCESS_VM_OPERATION, PROCESS_VM_READ, PROCESS_VM_WRITE, QueryFullProcessImageNameW,
};
use windows_sys::core::{BOOL, s, w};

/// The access rights that loading a module into a process needs.
const RIGHTS: u32 = PROCESS_CREATE_THREAD
    | PROCESS_QUERY_INFORMATION
    | PROCESS_VM_OPERATION
    | PROCESS_VM_READ
    | PROCESS_VM_WRITE
    | PROCESS_SYNCHRONIZE;

/// Modules of a process beyond this number are ignored.
const MAX_MODULES: usize = 4096;

#[derive(Debug)]
pub struct Process {
    handle: OwnedHandle,
    pid: u32,
    name: String,
}

impl Process {
    /// Opens the process `pid` with the rights that loading a module into it needs.
    pub fn open(pid: u32) -> Result<Process, Error> {
        Process::with_rights(RIGHTS, pid)
    }

    /// Opens the process `pid` with the rights that questions and waiting for its end need.
    pub fn observed(pid: u32) -> Result<Process, Error> {
        Process::with_rights(PROCESS_QUERY_LIMITED_INFORMATION | PROCESS_SYNCHRONIZE, pid)
    }

    fn with_rights(rights: u32, pid: u32) -> Result<Process, Error> {
        // SAFETY: the call takes no pointers.
        let handle = unsafe { OpenProcess(rights, FALSE, pid) };
        if !handle.is_null() {
            // SAFETY: the call above opened the handle for this function alone.
            return Ok(Process::new(unsafe { OwnedHandle::from_raw_handle(handle) }));
        }
        let error = io::Error::last_os_error();
        Err(match error.raw_os_error().map(i32::cast_unsigned) {
            Some(ERROR_INVALID_PARAMETER) => Error::new(format!("no process has the id {pid}")),
            Some(ERROR_ACCESS_DENIED) => Error::access_denied(format_args!("process {pid}")),
            _ => Error::system(format_args!("open process {pid}"), error),
        })
    }

    /// The process of a handle that has at least the rights for questions.
    pub fn new(handle: OwnedHandle) -> Process {
        // SAFETY: the call takes any handle, and returns 0 for one that is not a process's.
        let pid = unsafe { GetProcessId(handle.as_raw_handle()) };
        let mut process = Process { handle, pid, name: "the program".to_owned() };
        if let Some(name) = process.image_path().as_deref().and_then(Path::file_name) {
            process.name = name.to_string_lossy().into_owned();
        }
        process
    }

    pub fn handle(&self) -> BorrowedHandle<'_> {
        self.handle.as_handle()
    }

    /// Its handle for system calls: open as long as `self`.
    pub(super) fn raw(&self) -> HANDLE {
        self.handle.as_raw_handle()
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The path of its program. None if the process does not permit the question.
    pub fn image_path(&self) -> Option<PathBuf> {
        let mut path = vec![0u16; 32768];
        let mut used = path.len() as u32;
        // SAFETY: `self` keeps the handle open, and the buffer has `used` units.
        let is_known = unsafe {
            QueryFullProcessImageNameW(self.raw(), PROCESS_NAME_WIN32, path.as_mut_ptr(), &mut used)
        } != FALSE;
        is_known.then(|| PathBuf::from(OsString::from_wide(&path[..used as usize])))
    }

    /// The file names of the DLLs that it has loaded; none if the process does not permit the
    /// question.
    pub fn loaded_modules(&self) -> Vec<String> {
        let mut modules: Vec<HMODULE> = vec![ptr::null_mut(); MAX_MODULES];
        let size = size_of_val(&modules[..]) as u32;
        let mut used = 0;
        // SAFETY: `self` keeps the handle open, and the buffer has `size` bytes.
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
        // SAFETY: `self` keeps the handle open, and the buffer has `name.len()` units. A module
        // that has been unloaded meanwhile makes the call fail.
        let used = unsafe {
            K32GetModuleBaseNameW(self.raw(), module, name.as_mut_ptr(), name.len() as u32)
        };
        String::from_utf16_lossy(&name[..used as usize])
    }

    pub fn machine(&self) -> Machine {
        let image = || Some(allograft_image::summary(&self.image_path()?).ok()?.machine);
        let Some(ask) = is_wow64_process2() else {
            // The systems that lack it run x86 and x86-64 only.
            return image().unwrap_or(Machine::OWN);
        };
        let mut emulated = IMAGE_FILE_MACHINE_UNKNOWN;
        let mut native = IMAGE_FILE_MACHINE_UNKNOWN;
        // SAFETY: `self` keeps the handle open. If the call fails both machines stay unknown.
        unsafe { ask(self.raw(), &mut emulated, &mut native) };
        machine_of_process(emulated, native, image)
    }

    /// Fails if it belongs to another session: the status page cannot be shared with it, because
    /// names that begin with `Local\` belong to one session.
    pub fn check_reachable(&self) -> Result<(), Error> {
        match (session(self.pid), session(std::process::id())) {
            (Some(theirs), Some(own)) if theirs != own => Err(Error::cannot_take_over(
                self,
                format_args!(
                    "it belongs to session {theirs} and this is session {own}: \
                     run allograft in its session"
                ),
            )),
            _ => Ok(()),
        }
    }

    /// Waits until it ends and returns its exit code.
    pub fn wait(&self) -> Result<u32, Error> {
        wait_for_first(&[self.handle()], None)?;
        self.exit_code()
    }

    /// The exit code of the process, which has ended.
    pub fn exit_code(&self) -> Result<u32, Error> {
        let mut code = 0;
        // SAFETY: `self` keeps the handle open.
        let is_known = unsafe { GetExitCodeProcess(self.raw(), &mut code) };
        check(is_known, format_args!("ask for the exit code of {self}"))?;
        Ok(code)
    }
}

type IsWow64Process2 = unsafe extern "system" fn(HANDLE, *mut u16, *mut u16) -> BOOL;

/// `IsWow64Process2`, which Windows has since 10 (1709): Server 2016 lacks it.
fn is_wow64_process2() -> Option<IsWow64Process2> {
    // SAFETY: kernel32 is in every process and stays; the names end with NULs, and the function of
    // that name has this type.
    unsafe {
        let found = GetProcAddress(GetModuleHandleW(w!("kernel32.dll")), s!("IsWow64Process2"))?;
        Some(mem::transmute::<unsafe extern "system" fn() -> isize, IsWow64Process2>(found))
    }
}

/// The folder with the system's DLLs for programs of `machine`; none if the system has none.
pub fn system_folder(machine: Machine) -> Option<PathBuf> {
    let read = |get: unsafe extern "system" fn(*mut u16, u32) -> u32| {
        let mut path = [0; 260];
        // SAFETY: the buffer has as many units.
        let length = unsafe { get(path.as_mut_ptr(), path.len() as u32) } as usize;
        let path = path.get(..length).filter(|path| !path.is_empty())?;
        Some(PathBuf::from(OsString::from_wide(path)))
    };
    match (machine, Machine::OWN) {
        (machine, own) if machine == own => read(GetSystemDirectoryW),
        (Machine::X86, _) => read(GetSystemWow64DirectoryW),
        // The name by which a 32-bit program reaches the folder.
        (Machine::X64, Machine::X86) => Some(read(GetWindowsDirectoryW)?.join("Sysnative")),
        _ => None,
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (process {})", self.name, self.pid)
    }
}

fn session(pid: u32) -> Option<u32> {
    let mut session = 0;
    // SAFETY: the call writes to `session` only.
    (unsafe { ProcessIdToSessionId(pid, &mut session) } != FALSE).then_some(session)
}
