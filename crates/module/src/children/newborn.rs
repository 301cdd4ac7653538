//! A process whose first thread has not begun, and how it gets the module.

use core::fmt;
use core::mem::transmute;
use core::ptr::{null, null_mut};
use core::sync::atomic::Ordering;

use allograft_status::{Options, Page};
use windows_sys::Win32::Foundation::{
    CloseHandle, DUPLICATE_SAME_ACCESS, DuplicateHandle, GetLastError, HANDLE, INVALID_HANDLE_VALUE,
};
use windows_sys::Win32::System::Diagnostics::Debug::WriteProcessMemory;
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleW, GetProcAddress};
use windows_sys::Win32::System::Memory::{
    CreateFileMappingW, FILE_MAP_WRITE, MEM_COMMIT, MEM_RESERVE, MEMORY_MAPPED_VIEW_ADDRESS,
    MapViewOfFile, PAGE_READWRITE, UnmapViewOfFile, VirtualAllocEx,
};
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, GetProcessId, IsWow64Process, QueueUserAPC,
};
use windows_sys::core::{s, w};

use super::{assistant, own_path};
use crate::config::Config;
use crate::page;
use crate::text::{copy_wide, insert_number};

/// Longest path of our own module.
const PATH_UNITS: usize = 2048;

/// The process, by the handles that its maker got.
pub(super) struct Newborn {
    process: HANDLE,
    thread: HANDLE,
    pid: u32,
}

/// Why the process did not get the module.
pub(super) enum Reason {
    /// It has another word size than the module, and the system is short of what reaching it takes.
    OtherWordSize,
    /// It has another word size than the module, and the launcher of this name, which reaches it,
    /// is not there.
    NoAssistant(&'static str),
    /// That launcher failed, with this exit code.
    AssistantFailed(&'static str, u32),
    /// That launcher did not end in time.
    AssistantSlow(&'static str),
    /// Our own path is not known.
    NoPath,
    /// The system refused the act, with this code.
    Refused(&'static str, u32),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::OtherWordSize => f.write_str("it is a program of another word size"),
            Reason::NoAssistant(name) => write!(
                f,
                "it is a program of another word size, and {name}, which gives it the module, is not beside this module"
            ),
            Reason::AssistantFailed(name, code) => write!(
                f,
                "it is a program of another word size, and {name} could not give it the module (exit code {code})"
            ),
            Reason::AssistantSlow(name) => write!(
                f,
                "it is a program of another word size, and {name}, which gives it the module, did not end in time"
            ),
            Reason::NoPath => f.write_str("the path of the module is too long"),
            Reason::Refused(act, code) => write!(f, "cannot {act}: system error {code}"),
        }
    }
}

impl Newborn {
    pub(super) fn new(process: HANDLE, thread: HANDLE) -> Newborn {
        Newborn {
            process,
            thread,
            // SAFETY: the handle is open.
            pid: unsafe { GetProcessId(process) },
        }
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Tells the process what `inheritance` says, and has its first thread load the module before
    /// anything else.
    pub(super) fn give_module(&self, inheritance: &Config) -> Result<(), Reason> {
        let mut path = [0u16; PATH_UNITS];
        let length = own_path(&mut path);
        let path = &path[..=length];
        let Some(backslash) = path.iter().rposition(|&unit| unit == u16::from(b'\\')) else {
            return Err(Reason::NoPath);
        };
        self.tell(inheritance)?;
        if self.is_of_our_word_size() {
            self.queue_load(path)
        } else {
            assistant::give_module(&path[..=backslash], self.process, self.thread)
        }
    }

    /// Processes on one system are of one word size if both are emulated for the smaller one, or
    /// neither is.
    fn is_of_our_word_size(&self) -> bool {
        let (mut child, mut own) = (0, 0);
        // SAFETY: the handles are open, the places ours. A system of 32 bits emulates nothing.
        unsafe {
            IsWow64Process(self.process, &mut child);
            IsWow64Process(GetCurrentProcess(), &mut own);
        }
        child == own
    }

    /// Makes the status page of the process, with its options. The process gets a handle of its own
    /// to it, which keeps the page until the module opens it, and as long as the process lives.
    fn tell(&self, inheritance: &Config) -> Result<(), Reason> {
        let (name, _) = allograft_status::section_name(self.pid);
        // SAFETY: the name is NUL-terminated; the view is as long as a page, or the mapping fails;
        // the handles are open.
        unsafe {
            let size = size_of::<Page>();
            let section = CreateFileMappingW(
                INVALID_HANDLE_VALUE,
                null(),
                PAGE_READWRITE,
                0,
                size as u32,
                name.as_ptr(),
            );
            if section.is_null() {
                return Err(refused("share memory with it"));
            }
            let view = MapViewOfFile(section, FILE_MAP_WRITE, 0, 0, size);
            if view.Value.is_null() {
                let reason = refused("look into the memory shared with it");
                CloseHandle(section);
                return Err(reason);
            }
            let page = view.Value.cast::<Page>();
            page::fill_header(page, self.process, self.pid);
            fill_options(&mut (*page).options, inheritance, self.pid);
            UnmapViewOfFile(MEMORY_MAPPED_VIEW_ADDRESS { Value: page.cast() });
            let mut there = null_mut();
            DuplicateHandle(
                GetCurrentProcess(),
                section,
                self.process,
                &mut there,
                0,
                0,
                DUPLICATE_SAME_ACCESS,
            );
            CloseHandle(section);
        }
        Ok(())
    }

    /// Queues `LoadLibraryW` of the NUL-terminated `path` to the first thread, which calls it
    /// before it begins. The path stays in the process: nobody is told when it has been read.
    fn queue_load(&self, path: &[u16]) -> Result<(), Reason> {
        let size = size_of_val(path);
        // SAFETY: the handles are open; the new memory is nobody else's, and as long as the path;
        // kernel32 lies at one address in all processes of one word size, so that its function is
        // there too.
        unsafe {
            let memory = VirtualAllocEx(
                self.process,
                null(),
                size,
                MEM_RESERVE | MEM_COMMIT,
                PAGE_READWRITE,
            );
            if memory.is_null() {
                return Err(refused("get memory in it"));
            }
            if WriteProcessMemory(self.process, memory, path.as_ptr().cast(), size, null_mut()) == 0
            {
                return Err(refused("write to its memory"));
            }
            let load = GetProcAddress(GetModuleHandleW(w!("kernel32.dll")), s!("LoadLibraryW"));
            let load: Option<unsafe extern "system" fn(usize)> = transmute(load);
            match QueueUserAPC(load, self.thread, memory as usize) {
                0 => Err(refused("queue a call in it")),
                _ => Ok(()),
            }
        }
    }
}

fn fill_options(options: &mut Options, inheritance: &Config, pid: u32) {
    options.follow = 1;
    options.count = inheritance.count.into();
    if let Some(log) = inheritance.log() {
        copy_wide(&log[..log.len() - 1], &mut options.log);
    }
    if let Some(report) = inheritance.report() {
        insert_number(&report[..report.len() - 1], pid, &mut options.report);
    }
    options.present.store(1, Ordering::Release);
}

pub(super) fn refused(act: &'static str) -> Reason {
    // SAFETY: has no preconditions.
    Reason::Refused(act, unsafe { GetLastError() })
}
