//! The launcher of the other word size, which gives the module to programs that this process cannot
//! reach.
//!
//! A process of 64 bits does not know where functions are in one of 32 bits, and one of 32 bits
//! cannot even name the addresses of one of 64. So the launcher that is made for the child does
//! what we do in children of our own kind: it gets our handles of the child, queues the call and
//! ends. It is looked for beside our module, with the module that it loads.

use core::fmt::Write;
use core::mem::zeroed;
use core::ptr::{null, null_mut};
use core::sync::atomic::{AtomicU32, Ordering};

use windows_sys::Win32::Foundation::{
    CloseHandle, DUPLICATE_SAME_ACCESS, DuplicateHandle, ERROR_FILE_NOT_FOUND, GetLastError,
    HANDLE, WAIT_OBJECT_0,
};
use windows_sys::Win32::System::Threading::{
    CreateProcessW, DETACHED_PROCESS, DeleteProcThreadAttributeList, EXTENDED_STARTUPINFO_PRESENT,
    GetCurrentProcess, GetExitCodeProcess, InitializeProcThreadAttributeList,
    LPPROC_THREAD_ATTRIBUTE_LIST, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, PROCESS_INFORMATION,
    STARTUPINFOEXW, TLS_OUT_OF_INDEXES, TerminateProcess, TlsAlloc, TlsGetValue, TlsSetValue,
    UpdateProcThreadAttribute, WaitForSingleObject,
};

use super::newborn::{Reason, refused};
use crate::text::Buffer;

/// The launcher for programs of the other word size.
const LAUNCHER: &str =
    if cfg!(target_pointer_width = "32") { "allograft.exe" } else { "allograft32.exe" };

/// The module that it loads.
const MODULE: &str =
    if cfg!(target_pointer_width = "32") { "allograft.dll" } else { "allograft32.dll" };

/// How long it may take, in milliseconds. It has next to nothing to do, and the program that starts
/// the child waits for it.
const LIMIT: u32 = 10_000;

/// Longest path of ours, in UTF-16 units.
const PATH_UNITS: usize = 2048;

/// The slot of each thread that says whether it is starting an assistant, which is a child of its
/// own.
static STARTING: AtomicU32 = AtomicU32::new(TLS_OUT_OF_INDEXES);

/// Gets ready, once, before [`give_module`].
pub(super) fn prepare() {
    // SAFETY: has no preconditions.
    STARTING.store(unsafe { TlsAlloc() }, Ordering::Release);
}

/// Whether this thread is starting an assistant, and no program of somebody's.
pub(super) fn is_being_started() -> bool {
    // SAFETY: a slot that there is not holds nothing.
    unsafe { !TlsGetValue(STARTING.load(Ordering::Acquire)).is_null() }
}

/// Has the `thread`, the first of `process`, load the module of the other word size before it
/// begins. That module is in the `folder`, which ends with a backslash.
pub(super) fn give_module(folder: &[u16], process: HANDLE, thread: HANDLE) -> Result<(), Reason> {
    if STARTING.load(Ordering::Acquire) == TLS_OUT_OF_INDEXES {
        return Err(Reason::OtherWordSize);
    }
    let process = Inheritable::copy_of(process)?;
    let thread = Inheritable::copy_of(thread)?;
    let mut path = Line::<PATH_UNITS>::new();
    path.push(folder);
    path.push_text(LAUNCHER);
    let mut command_line = Line::<{ 2 * PATH_UNITS }>::new();
    command_line.push_text("\"");
    command_line.push(folder);
    command_line.push_text(LAUNCHER);
    command_line.push_text("\" assist --module \"");
    command_line.push(folder);
    command_line.push_text(MODULE);
    command_line.push_text("\" --process ");
    command_line.push_number(process.number());
    command_line.push_text(" --thread ");
    command_line.push_number(thread.number());
    let assistant = start(&path, &mut command_line, [process.0, thread.0])?;
    wait(assistant)
}

/// Starts the program; it inherits the `handles` and nothing else, no console either.
fn start(
    path: &Line<PATH_UNITS>,
    command_line: &mut Line<{ 2 * PATH_UNITS }>,
    handles: [HANDLE; 2],
) -> Result<HANDLE, Reason> {
    let (Some(path), Some(command_line)) = (path.terminated(), command_line.terminated_mut())
    else {
        return Err(Reason::NoPath);
    };
    // More than the list with one attribute takes, which the system checks.
    let mut list = [0usize; 32];
    let mut size = size_of_val(&list);
    let list: LPPROC_THREAD_ATTRIBUTE_LIST = list.as_mut_ptr().cast();
    // SAFETY: the list is as long as said, the handles outlive it, both strings are NUL-terminated,
    // the second is ours to be written to, and the structures are complete.
    unsafe {
        if InitializeProcThreadAttributeList(list, 1, 0, &mut size) == 0 {
            return Err(refused("describe what an assistant inherits"));
        }
        UpdateProcThreadAttribute(
            list,
            0,
            PROC_THREAD_ATTRIBUTE_HANDLE_LIST as usize,
            handles.as_ptr().cast(),
            size_of_val(&handles),
            null_mut(),
            null(),
        );
        let mut startup: STARTUPINFOEXW = zeroed();
        startup.StartupInfo.cb = size_of::<STARTUPINFOEXW>() as u32;
        startup.lpAttributeList = list;
        let mut made: PROCESS_INFORMATION = zeroed();
        let slot = STARTING.load(Ordering::Acquire);
        TlsSetValue(slot, list.cast_const());
        let started = CreateProcessW(
            path,
            command_line,
            null(),
            null(),
            1,
            EXTENDED_STARTUPINFO_PRESENT | DETACHED_PROCESS,
            null(),
            null(),
            &startup.StartupInfo,
            &mut made,
        );
        let error = GetLastError();
        TlsSetValue(slot, null());
        DeleteProcThreadAttributeList(list);
        if started == 0 {
            return Err(match error {
                ERROR_FILE_NOT_FOUND => Reason::NoAssistant(LAUNCHER),
                _ => Reason::Refused("start the launcher that reaches it", error),
            });
        }
        CloseHandle(made.hThread);
        Ok(made.hProcess)
    }
}

/// Waits until the assistant has ended, and hears how it went.
fn wait(assistant: HANDLE) -> Result<(), Reason> {
    let mut code = 0;
    // SAFETY: the handle is open up to here and ours alone; an assistant that takes too long has
    // done nothing that could be left half done.
    unsafe {
        let in_time = WaitForSingleObject(assistant, LIMIT) == WAIT_OBJECT_0;
        if in_time {
            GetExitCodeProcess(assistant, &mut code);
        } else {
            TerminateProcess(assistant, 1);
        }
        CloseHandle(assistant);
        match (in_time, code) {
            (true, 0) => Ok(()),
            (true, code) => Err(Reason::AssistantFailed(LAUNCHER, code)),
            (false, _) => Err(Reason::AssistantSlow(LAUNCHER)),
        }
    }
}

/// A handle that children may inherit, closed in the end.
struct Inheritable(HANDLE);

impl Inheritable {
    fn copy_of(handle: HANDLE) -> Result<Inheritable, Reason> {
        let mut copy = null_mut();
        // SAFETY: the handle is open, the place ours.
        let made = unsafe {
            DuplicateHandle(
                GetCurrentProcess(),
                handle,
                GetCurrentProcess(),
                &mut copy,
                0,
                1,
                DUPLICATE_SAME_ACCESS,
            )
        };
        match made {
            0 => Err(refused("hand it down")),
            _ => Ok(Inheritable(copy)),
        }
    }

    /// The handle as a number that programs of every word size read alike.
    fn number(&self) -> u32 {
        self.0 as usize as u32
    }
}

impl Drop for Inheritable {
    fn drop(&mut self) {
        // SAFETY: the handle is ours alone; whoever has inherited it has one of its own.
        unsafe { CloseHandle(self.0) };
    }
}

/// UTF-16 text that is put together from pieces, all of it or none.
struct Line<const SIZE: usize> {
    units: [u16; SIZE],
    /// As much as there would be if there were room for all of it.
    used: usize,
}

impl<const SIZE: usize> Line<SIZE> {
    fn new() -> Line<SIZE> {
        Line { units: [0; SIZE], used: 0 }
    }

    fn push(&mut self, units: &[u16]) {
        for &unit in units {
            if let Some(place) = self.units.get_mut(self.used) {
                *place = unit;
            }
            self.used += 1;
        }
    }

    fn push_text(&mut self, ascii: &str) {
        ascii.bytes().for_each(|byte| self.push(&[byte.into()]));
    }

    fn push_number(&mut self, number: u32) {
        let mut digits = Buffer::<10>::new();
        // No number is longer.
        let _ = write!(digits, "{number}");
        digits.as_bytes().iter().for_each(|&digit| self.push(&[digit.into()]));
    }

    /// The text with its NUL, unless it was too long.
    fn terminated(&self) -> Option<*const u16> {
        (self.used < SIZE).then_some(self.units.as_ptr())
    }

    /// The same, to be written to.
    fn terminated_mut(&mut self) -> Option<*mut u16> {
        (self.used < SIZE).then_some(self.units.as_mut_ptr())
    }
}
