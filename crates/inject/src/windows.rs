//! The operating system, for real: with its `ntdll`, the only file of this crate that calls
//! Windows.
//!
//! The module uses it inside other people's programs: it imports from kernel32 and ntdll only, and
//! nothing that older systems than the module's lack.

mod ntdll;

use core::ffi::c_void;
use core::mem::{transmute, zeroed};
use core::ptr::{NonNull, null, null_mut};
use core::time::Duration;

use windows_sys::Win32::Foundation::{
    CloseHandle, DUPLICATE_CLOSE_SOURCE, DUPLICATE_SAME_ACCESS, DuplicateHandle,
    ERROR_ALREADY_EXISTS, ERROR_FILE_NOT_FOUND, FILETIME, GetLastError, HANDLE,
    INVALID_HANDLE_VALUE, WAIT_FAILED, WAIT_OBJECT_0, WAIT_TIMEOUT,
};
use windows_sys::Win32::Security::SECURITY_ATTRIBUTES;
use windows_sys::Win32::System::Diagnostics::Debug::WriteProcessMemory;
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleW, GetProcAddress};
use windows_sys::Win32::System::Memory::{
    CreateFileMappingW, FILE_MAP_READ, FILE_MAP_WRITE, MEM_COMMIT, MEM_RELEASE, MEM_RESERVE,
    MEMORY_MAPPED_VIEW_ADDRESS, MapViewOfFile, OpenFileMappingW, PAGE_READWRITE, UnmapViewOfFile,
    VirtualAllocEx, VirtualFreeEx,
};
use windows_sys::Win32::System::Threading::{
    CreateEventW, CreateMutexW, CreateProcessW, CreateRemoteThread, DETACHED_PROCESS,
    DeleteProcThreadAttributeList, EXTENDED_STARTUPINFO_PRESENT, GetCurrentProcess,
    GetExitCodeProcess, GetProcessId, GetProcessTimes, INFINITE, InitializeProcThreadAttributeList,
    IsWow64Process, LPPROC_THREAD_ATTRIBUTE_LIST, PROC_THREAD_ATTRIBUTE_HANDLE_LIST,
    PROCESS_INFORMATION, QueueUserAPC, ReleaseMutex, STARTF_USESTDHANDLES, STARTUPINFOEXW,
    TerminateProcess, UpdateProcThreadAttribute, WaitForMultipleObjects,
};
use windows_sys::core::{s, w};

use crate::layout::Page;
use crate::security::{Descriptor, Sid};
use crate::system::{Function, Handle, System, SystemError, SystemResult, TokenSid};

/// Windows.
#[derive(Clone, Copy, Debug)]
pub struct Windows;

impl Handle {
    fn raw(self) -> HANDLE {
        self.0 as HANDLE
    }

    fn from_raw(handle: HANDLE) -> Handle {
        Handle(handle as isize)
    }
}

fn last_error() -> SystemError {
    // SAFETY: reads a number of the calling thread.
    SystemError(unsafe { GetLastError() })
}

/// The result of a call that returns 0 on failure.
fn check(succeeded: i32) -> SystemResult<()> {
    if succeeded != 0 { Ok(()) } else { Err(last_error()) }
}

/// The result of a call that returns no handle on failure.
fn check_handle(handle: HANDLE) -> SystemResult<Handle> {
    if handle.is_null() { Err(last_error()) } else { Ok(Handle::from_raw(handle)) }
}

fn attributes(descriptor: &Descriptor) -> SECURITY_ATTRIBUTES {
    SECURITY_ATTRIBUTES {
        nLength: size_of::<SECURITY_ATTRIBUTES>() as u32,
        lpSecurityDescriptor: descriptor.as_bytes().as_ptr().cast_mut().cast(),
        bInheritHandle: 0,
    }
}

/// The address of a function of kernel32 as something that takes one pointer-sized argument.
fn address(function: Function) -> SystemResult<unsafe extern "system" fn(usize)> {
    let name = match function {
        Function::LoadLibrary => s!("LoadLibraryW"),
        Function::SetEvent => s!("SetEvent"),
    };
    // SAFETY: both names are NUL-terminated, and kernel32 is always loaded.
    let found = unsafe { GetProcAddress(GetModuleHandleW(w!("kernel32.dll")), name) };
    // SAFETY: both functions take one argument of a pointer's size; nobody uses the result.
    found.map(|found| unsafe { transmute(found) }).ok_or_else(last_error)
}

// Names, paths and command lines are NUL-terminated, which `System` demands. A handle that is none
// is refused by the system, so that calls with handles are sound whatever they are.
impl System for Windows {
    fn close(&self, handle: Handle) {
        // SAFETY: the caller owns the handle.
        unsafe { CloseHandle(handle.raw()) };
    }

    fn duplicate(&self, handle: Handle, to: Handle, inheritable: bool) -> SystemResult<Handle> {
        let mut copy = null_mut();
        // SAFETY: `copy` can be written.
        check(unsafe {
            DuplicateHandle(
                GetCurrentProcess(),
                handle.raw(),
                to.raw(),
                &mut copy,
                0,
                inheritable.into(),
                DUPLICATE_SAME_ACCESS,
            )
        })?;
        Ok(Handle::from_raw(copy))
    }

    fn close_in(&self, process: Handle, handle: Handle) {
        // SAFETY: nothing is written; the handle there is one that `duplicate` made.
        unsafe {
            DuplicateHandle(
                process.raw(),
                handle.raw(),
                null_mut(),
                null_mut(),
                0,
                0,
                DUPLICATE_CLOSE_SOURCE,
            )
        };
    }

    fn create_section(
        &self,
        name: &[u16],
        descriptor: Option<&Descriptor>,
    ) -> SystemResult<(Handle, bool)> {
        let attributes = descriptor.map(attributes);
        // SAFETY: the attributes, with their descriptor, outlive the call.
        let section = unsafe {
            CreateFileMappingW(
                INVALID_HANDLE_VALUE,
                attributes.as_ref().map_or(null(), |attributes| attributes),
                PAGE_READWRITE,
                0,
                size_of::<Page>() as u32,
                name.as_ptr(),
            )
        };
        let existed = last_error() == SystemError(ERROR_ALREADY_EXISTS);
        check_handle(section).map(|section| (section, existed))
    }

    fn open_section(&self, name: &[u16]) -> SystemResult<Option<Handle>> {
        // SAFETY: the name is NUL-terminated.
        match check_handle(unsafe { OpenFileMappingW(FILE_MAP_READ, 0, name.as_ptr()) }) {
            Err(SystemError(ERROR_FILE_NOT_FOUND)) => Ok(None),
            result => result.map(Some),
        }
    }

    fn map(&self, section: Handle, writable: bool) -> SystemResult<NonNull<Page>> {
        let access = if writable { FILE_MAP_READ | FILE_MAP_WRITE } else { FILE_MAP_READ };
        // SAFETY: a new view overlaps nothing.
        let view = unsafe { MapViewOfFile(section.raw(), access, 0, 0, size_of::<Page>()) };
        NonNull::new(view.Value.cast()).ok_or_else(last_error)
    }

    fn unmap(&self, page: NonNull<Page>) {
        let view = MEMORY_MAPPED_VIEW_ADDRESS { Value: page.as_ptr().cast() };
        // SAFETY: the view is one of `map`'s, and the caller has given up its references to it.
        unsafe { UnmapViewOfFile(view) };
    }

    fn section_security(&self, section: Handle, descriptor: &mut [u8]) -> SystemResult<()> {
        ntdll::section_security(section.raw(), descriptor)
    }

    fn process_id(&self, process: Handle) -> u32 {
        // SAFETY: returns a number, 0 for what is no process.
        unsafe { GetProcessId(process.raw()) }
    }

    fn creation_time(&self, process: Handle) -> SystemResult<u64> {
        let [mut created, mut exited, mut kernel, mut user] = [FILETIME::default(); 4];
        // SAFETY: all four can be written.
        check(unsafe {
            GetProcessTimes(process.raw(), &mut created, &mut exited, &mut kernel, &mut user)
        })?;
        Ok(u64::from(created.dwHighDateTime) << 32 | u64::from(created.dwLowDateTime))
    }

    fn token_sid(&self, process: Handle, which: TokenSid) -> SystemResult<Sid> {
        ntdll::token_sid(process.raw(), which)
    }

    fn container(&self, process: Handle) -> Option<Sid> {
        ntdll::container(process.raw())
    }

    fn is_wow64(&self, process: Handle) -> bool {
        let mut answer = 0;
        // SAFETY: `answer` can be written.
        unsafe { IsWow64Process(process.raw(), &mut answer) };
        answer != 0
    }

    fn allocate(&self, process: Handle, size: usize) -> SystemResult<usize> {
        // SAFETY: a new region of a process is nobody else's.
        let memory = unsafe {
            VirtualAllocEx(process.raw(), null(), size, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE)
        };
        if memory.is_null() { Err(last_error()) } else { Ok(memory as usize) }
    }

    fn free(&self, process: Handle, address: usize) {
        // SAFETY: the region is one of `allocate`'s, and nothing in the process uses it.
        unsafe { VirtualFreeEx(process.raw(), address as *mut c_void, 0, MEM_RELEASE) };
    }

    fn write(&self, process: Handle, address: usize, units: &[u16]) -> SystemResult<()> {
        // SAFETY: `units` is read; the target is the caller's region in the process.
        check(unsafe {
            WriteProcessMemory(
                process.raw(),
                address as *const c_void,
                units.as_ptr().cast(),
                size_of_val(units),
                null_mut(),
            )
        })
    }

    fn queue_call(&self, thread: Handle, function: Function, argument: usize) -> SystemResult<()> {
        let function = address(function)?;
        // SAFETY: the function is at this address in the thread's process too; what the argument
        // means there stays until the call is made.
        check(unsafe { QueueUserAPC(Some(function), thread.raw(), argument) } as i32)
    }

    fn start_thread(
        &self,
        process: Handle,
        function: Function,
        argument: usize,
    ) -> SystemResult<Handle> {
        let function = address(function)?;
        // SAFETY: the function is at this address in that process too, takes one pointer-sized
        // argument, and its result is the thread's exit code, which nobody reads.
        check_handle(unsafe {
            CreateRemoteThread(
                process.raw(),
                null(),
                0,
                Some(transmute::<
                    unsafe extern "system" fn(usize),
                    unsafe extern "system" fn(*mut c_void) -> u32,
                >(function)),
                argument as *const c_void,
                0,
                null_mut(),
            )
        })
    }

    fn create_event(&self) -> SystemResult<Handle> {
        // SAFETY: no memory is passed.
        check_handle(unsafe { CreateEventW(null(), 1, 0, null()) })
    }

    fn create_mutex(&self, name: &[u16], descriptor: &Descriptor) -> SystemResult<Handle> {
        // SAFETY: the attributes, with their descriptor, outlive the call.
        check_handle(unsafe { CreateMutexW(&attributes(descriptor), 0, name.as_ptr()) })
    }

    fn release_mutex(&self, mutex: Handle) {
        // SAFETY: fails on a mutex that the thread does not hold.
        unsafe { ReleaseMutex(mutex.raw()) };
    }

    fn wait(&self, objects: &[Handle], timeout: Option<Duration>) -> SystemResult<Option<usize>> {
        const { assert!(size_of::<Handle>() == size_of::<HANDLE>()) };
        let ms = timeout.map_or(INFINITE, |timeout| {
            u32::try_from(timeout.as_millis()).unwrap_or(INFINITE).min(INFINITE - 1)
        });
        let (count, handles) = (objects.len() as u32, objects.as_ptr().cast());
        // SAFETY: there are `count` handles, which are represented as numbers of a pointer's size.
        match unsafe { WaitForMultipleObjects(count, handles, 0, ms) } {
            WAIT_FAILED => Err(last_error()),
            WAIT_TIMEOUT => Ok(None),
            // A mutex whose owner has ended counts from another base.
            signalled => Ok(Some((signalled - WAIT_OBJECT_0) as usize % ABANDONED_BASE)),
        }
    }

    fn start_program(
        &self,
        path: &[u16],
        command_line: &mut [u16],
        inherited: &[Handle],
        error_stream: Option<Handle>,
    ) -> SystemResult<Handle> {
        // Longer than a list with one attribute, which the system checks.
        let mut list = [0usize; 32];
        let mut size = size_of_val(&list);
        let list: LPPROC_THREAD_ATTRIBUTE_LIST = list.as_mut_ptr().cast();
        // SAFETY: the list has this size.
        check(unsafe { InitializeProcThreadAttributeList(list, 1, 0, &mut size) })?;
        // SAFETY: the handles outlive the list; the strings are NUL-terminated and the second can
        // be written; the structures are complete, and zero is a value of each field.
        unsafe {
            let mut result = check(UpdateProcThreadAttribute(
                list,
                0,
                PROC_THREAD_ATTRIBUTE_HANDLE_LIST as usize,
                inherited.as_ptr().cast(),
                size_of_val(inherited),
                null_mut(),
                null(),
            ));
            let mut startup: STARTUPINFOEXW = zeroed();
            startup.StartupInfo.cb = size_of::<STARTUPINFOEXW>() as u32;
            startup.StartupInfo.dwFlags = STARTF_USESTDHANDLES;
            startup.StartupInfo.hStdError = error_stream.map_or(null_mut(), Handle::raw);
            startup.lpAttributeList = list;
            let mut started: PROCESS_INFORMATION = zeroed();
            if result.is_ok() {
                result = check(CreateProcessW(
                    path.as_ptr(),
                    command_line.as_mut_ptr(),
                    null(),
                    null(),
                    1,
                    EXTENDED_STARTUPINFO_PRESENT | DETACHED_PROCESS,
                    null(),
                    null(),
                    &startup.StartupInfo,
                    &mut started,
                ));
            }
            DeleteProcThreadAttributeList(list);
            result?;
            CloseHandle(started.hThread);
            Ok(Handle::from_raw(started.hProcess))
        }
    }

    fn exit_code(&self, process: Handle) -> SystemResult<u32> {
        let mut code = 0;
        // SAFETY: `code` can be written.
        check(unsafe { GetExitCodeProcess(process.raw(), &mut code) })?;
        Ok(code)
    }

    fn terminate(&self, process: Handle) {
        // SAFETY: the process is the caller's to end.
        unsafe { TerminateProcess(process.raw(), 1) };
    }
}

/// `WAIT_ABANDONED_0`
const ABANDONED_BASE: usize = 0x80;
