//! [`System`] on Windows.

use core::ffi::c_void;
use core::mem::{MaybeUninit, size_of};
use core::ptr::null_mut;

use windows_sys::Win32::Foundation::{
    CloseHandle, ERROR_INVALID_PARAMETER, GetLastError, HANDLE, NTSTATUS, RtlNtStatusToDosError,
    STATUS_NO_MORE_ENTRIES, WAIT_OBJECT_0,
};
use windows_sys::Win32::System::Diagnostics::Debug::{
    CONTEXT, FlushInstructionCache, GetThreadContext,
};
use windows_sys::Win32::System::Memory::{
    MEM_COMMIT, MEM_FREE, MEM_RELEASE, MEM_RESERVE, MEMORY_BASIC_INFORMATION, PAGE_READWRITE,
    VirtualAlloc, VirtualFree, VirtualProtect, VirtualQuery,
};
use windows_sys::Win32::System::SystemInformation::GetTickCount64;
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, GetCurrentThreadId, ResumeThread, Sleep, SuspendThread, WaitForSingleObject,
};

use crate::system::{Code, KEEP_CALL_TARGETS, Region, System, Thread, ThreadIdentity, ThreadState};

/// The rights that stopping a thread and reading its registers take.
const THREAD_RIGHTS: u32 = 0x0002 | 0x0008 | 0x0040 | 0x0010_0000;

// What windows-sys has not, or has in its driver-kit half only.
#[cfg_attr(
    target_arch = "x86",
    link(name = "ntdll", kind = "raw-dylib", import_name_type = "undecorated")
)]
#[cfg_attr(not(target_arch = "x86"), link(name = "ntdll", kind = "raw-dylib"))]
unsafe extern "system" {
    fn NtGetNextThread(
        process: HANDLE,
        thread: HANDLE,
        access: u32,
        attributes: u32,
        flags: u32,
        next: *mut HANDLE,
    ) -> NTSTATUS;
    fn NtQueryInformationThread(
        thread: HANDLE,
        class: i32,
        data: *mut c_void,
        size: u32,
        needed: *mut u32,
    ) -> NTSTATUS;
}

/// The system that this process runs on.
#[derive(Clone, Copy, Debug)]
pub struct Windows;

impl System for Windows {
    fn region(&self, address: usize) -> Option<Region> {
        let mut information = MaybeUninit::<MEMORY_BASIC_INFORMATION>::zeroed();
        let size = size_of::<MEMORY_BASIC_INFORMATION>();
        // SAFETY: the structure is of the size that is passed, and plain data.
        let (filled, information) = unsafe {
            let filled = VirtualQuery(address as *const c_void, information.as_mut_ptr(), size);
            (filled, information.assume_init())
        };
        (filled != 0).then_some(Region {
            base: information.BaseAddress as usize,
            size: information.RegionSize,
            free: information.State == MEM_FREE,
            protection: match information.State {
                MEM_COMMIT => information.Protect,
                _ => 0,
            },
        })
    }

    fn allocate(&self, address: usize, size: usize) -> Option<usize> {
        // SAFETY: asks for memory that nobody has.
        let memory = unsafe {
            VirtualAlloc(address as *const c_void, size, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE)
        };
        (!memory.is_null()).then_some(memory as usize)
    }

    fn allocate_anywhere(&self, size: usize) -> Option<usize> {
        self.allocate(0, size)
    }

    fn free(&self, address: usize) {
        // SAFETY: the trait's contract: the memory came from `allocate`, and its owner is done with
        // it.
        unsafe { VirtualFree(address as *mut c_void, 0, MEM_RELEASE) };
    }

    fn protect(&self, address: usize, size: usize, protection: u32) -> Result<u32, Code> {
        match set_protection(address, size, protection) {
            // Systems without control-flow guard (before Windows 8.1) do not know the flag.
            Err(Code(ERROR_INVALID_PARAMETER)) if protection & KEEP_CALL_TARGETS != 0 => {
                set_protection(address, size, protection & !KEEP_CALL_TARGETS)
            }
            result => result,
        }
    }

    fn flush_code(&self, address: usize, size: usize) {
        // SAFETY: has no preconditions.
        unsafe { FlushInstructionCache(GetCurrentProcess(), address as *const c_void, size) };
    }

    fn next_thread(&self, previous: Option<Thread>) -> Result<Option<Thread>, Code> {
        let previous = previous.map_or(null_mut(), |thread| thread.0 as HANDLE);
        let mut next: HANDLE = null_mut();
        // SAFETY: the handle that is passed is open, the one that is returned is the caller's.
        let status = unsafe {
            NtGetNextThread(GetCurrentProcess(), previous, THREAD_RIGHTS, 0, 0, &mut next)
        };
        match status {
            0 => Ok(Some(Thread(next as isize))),
            STATUS_NO_MORE_ENTRIES => Ok(None),
            // SAFETY: has no preconditions.
            _ => Err(Code(unsafe { RtlNtStatusToDosError(status) })),
        }
    }

    fn has_ended(&self, thread: Thread) -> bool {
        // SAFETY: the handle is open; a time of 0 does not wait.
        unsafe { WaitForSingleObject(thread.0 as HANDLE, 0) == WAIT_OBJECT_0 }
    }

    fn identity(&self, thread: Thread) -> Result<ThreadIdentity, Code> {
        /// No memory of a program lies below. Wine's 32-bit half answers for no TEB with the
        /// distance between its two kinds of TEB.
        const LOWEST_ADDRESS: usize = 0x1_0000;

        let information = basic_information(thread)?;
        Ok(ThreadIdentity {
            id: information.process_and_thread[1] as u32,
            teb: (information.teb >= LOWEST_ADDRESS).then_some(information.teb),
        })
    }

    fn own_thread_id(&self) -> u32 {
        // SAFETY: has no preconditions.
        unsafe { GetCurrentThreadId() }
    }

    fn suspend(&self, thread: Thread) -> Result<(), Code> {
        // SAFETY: the handle is open; the thread is let go again by the one who stopped it.
        let count = unsafe { SuspendThread(thread.0 as HANDLE) };
        if count == u32::MAX { Err(last_error()) } else { Ok(()) }
    }

    fn resume(&self, thread: Thread) {
        // SAFETY: the handle is open.
        unsafe { ResumeThread(thread.0 as HANDLE) };
    }

    fn state(&self, thread: Thread, teb: usize) -> Result<ThreadState, Code> {
        let mut context = AlignedContext(MaybeUninit::zeroed());
        // SAFETY: the structure is plain data, and aligned as the system wants it.
        let context = unsafe {
            (*context.0.as_mut_ptr()).ContextFlags = CONTROL_REGISTERS;
            if GetThreadContext(thread.0 as HANDLE, context.0.as_mut_ptr()) == 0 {
                return Err(last_error());
            }
            context.0.assume_init()
        };
        let (instruction, stack) = instruction_and_stack(&context);
        // SAFETY: the TEB lives as long as its thread, which is stopped. Its second word is the end
        // of the stack.
        let stack_end = unsafe { *(teb as *const usize).add(1) };
        Ok(ThreadState { instruction, stack, stack_end })
    }

    fn close(&self, thread: Thread) {
        // SAFETY: the handle is open and not used again.
        unsafe { CloseHandle(thread.0 as HANDLE) };
    }

    fn pause(&self) {
        // SAFETY: has no preconditions.
        unsafe { Sleep(1) };
    }

    fn milliseconds(&self) -> u64 {
        // SAFETY: has no preconditions.
        unsafe { GetTickCount64() }
    }
}

fn set_protection(address: usize, size: usize, protection: u32) -> Result<u32, Code> {
    let mut former = 0;
    // SAFETY: changes the pages' protection only; what that means to others is the caller's
    // business.
    let done = unsafe { VirtualProtect(address as *const c_void, size, protection, &mut former) };
    if done == 0 { Err(last_error()) } else { Ok(former) }
}

fn last_error() -> Code {
    // SAFETY: has no preconditions.
    Code(unsafe { GetLastError() })
}

/// The system wants the structure aligned to 16, which windows-sys does not promise on every
/// target.
#[repr(align(16))]
struct AlignedContext(MaybeUninit<CONTEXT>);

#[cfg(target_arch = "x86_64")]
const CONTROL_REGISTERS: u32 = 0x0010_0001;
#[cfg(target_arch = "x86")]
const CONTROL_REGISTERS: u32 = 0x0001_0001;

#[cfg(target_arch = "x86_64")]
fn instruction_and_stack(context: &CONTEXT) -> (usize, usize) {
    (context.Rip as usize, context.Rsp as usize)
}
#[cfg(target_arch = "x86")]
fn instruction_and_stack(context: &CONTEXT) -> (usize, usize) {
    (context.Eip as usize, context.Esp as usize)
}

/// `THREAD_BASIC_INFORMATION`, as far as we read it.
#[repr(C)]
struct ThreadBasicInformation {
    exit_status: NTSTATUS,
    teb: usize,
    process_and_thread: [usize; 2],
    affinity: usize,
    priorities: [i32; 2],
}

fn basic_information(thread: Thread) -> Result<ThreadBasicInformation, Code> {
    const THREAD_BASIC_INFORMATION: i32 = 0;

    let mut information = MaybeUninit::<ThreadBasicInformation>::zeroed();
    // SAFETY: the structure is plain data, of the size that is passed.
    unsafe {
        let status = NtQueryInformationThread(
            thread.0 as HANDLE,
            THREAD_BASIC_INFORMATION,
            information.as_mut_ptr().cast(),
            size_of::<ThreadBasicInformation>() as u32,
            null_mut(),
        );
        if status == 0 {
            Ok(information.assume_init())
        } else {
            Err(Code(RtlNtStatusToDosError(status)))
        }
    }
}
