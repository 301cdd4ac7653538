//! [`System`] on Windows: all system calls of this crate.

use core::ffi::c_void;
use core::mem::{MaybeUninit, size_of};
use core::ptr::null_mut;

use windows_sys::Win32::Foundation::{
    CloseHandle, ERROR_BUSY, ERROR_INVALID_PARAMETER, GetLastError, HANDLE, NTSTATUS,
    RtlNtStatusToDosError, STATUS_NO_MORE_ENTRIES, WAIT_OBJECT_0,
};
use windows_sys::Win32::System::Diagnostics::Debug::{
    CONTEXT, FlushInstructionCache, GetThreadContext,
};
use windows_sys::Win32::System::Memory::{
    GetProcessHeap, HeapLock, HeapUnlock, MEM_COMMIT, MEM_FREE, MEM_RELEASE, MEM_RESERVE,
    MEMORY_BASIC_INFORMATION, PAGE_READWRITE, VirtualAlloc, VirtualFree, VirtualProtect,
    VirtualQuery,
};
use windows_sys::Win32::System::SystemInformation::GetTickCount64;
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, GetCurrentProcessId, GetCurrentThreadId, ResumeThread, Sleep, SuspendThread,
    WaitForSingleObject,
};

use crate::system::{Protection, Region, System, SystemCode, Thread, ThreadIdentity, ThreadState};

/// `THREAD_SUSPEND_RESUME`, `THREAD_GET_CONTEXT`, `THREAD_QUERY_INFORMATION` and `SYNCHRONIZE`.
const THREAD_RIGHTS: u32 = 0x0002 | 0x0008 | 0x0040 | 0x0010_0000;

// windows-sys has these in its driver-kit half only, or not at all.
windows_link::link!("ntdll.dll" "system" fn NtGetNextThread(
    process: HANDLE, thread: HANDLE, access: u32, attributes: u32, flags: u32, next: *mut HANDLE
) -> NTSTATUS);
windows_link::link!("ntdll.dll" "system" fn NtQueryInformationThread(
    thread: HANDLE, class: i32, data: *mut c_void, size: u32, needed: *mut u32
) -> NTSTATUS);
windows_link::link!("ntdll.dll" "system" fn NtQuerySystemInformation(
    class: i32, data: *mut c_void, size: u32, needed: *mut u32
) -> NTSTATUS);

/// The system that this process runs on.
#[derive(Clone, Copy, Debug)]
pub struct Windows;

impl System for Windows {
    fn region(&self, address: usize) -> Option<Region> {
        let mut information = MaybeUninit::<MEMORY_BASIC_INFORMATION>::zeroed();
        let size = size_of::<MEMORY_BASIC_INFORMATION>();
        // SAFETY: the call writes `size` bytes at most; zeroes are a value of the structure too.
        let (filled, information) = unsafe {
            let filled = VirtualQuery(address as *const c_void, information.as_mut_ptr(), size);
            (filled, information.assume_init())
        };
        (filled != 0).then_some(Region {
            base: information.BaseAddress as usize,
            size: information.RegionSize,
            free: information.State == MEM_FREE,
            protection: match information.State {
                MEM_COMMIT => Protection(information.Protect),
                _ => Protection::NONE,
            },
        })
    }

    fn allocate(&self, address: Option<usize>, size: usize) -> Option<usize> {
        let address = address.unwrap_or(0) as *const c_void;
        // SAFETY: the call changes free memory only.
        let memory =
            unsafe { VirtualAlloc(address, size, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE) };
        (!memory.is_null()).then_some(memory as usize)
    }

    fn free(&self, address: usize) {
        // SAFETY: by the trait's contract the memory is from `allocate`, and its owner gives it up.
        unsafe { VirtualFree(address as *mut c_void, 0, MEM_RELEASE) };
    }

    fn protect(
        &self,
        address: usize,
        size: usize,
        protection: Protection,
    ) -> Result<Protection, SystemCode> {
        let result = set_protection(address, size, protection);
        match protection.without_call_targets() {
            Some(plain) if result == Err(SystemCode(ERROR_INVALID_PARAMETER)) => {
                set_protection(address, size, plain)
            }
            _ => result,
        }
    }

    fn flush_code(&self, address: usize, size: usize) {
        // SAFETY: the call reads no memory; an address without code is an error that is ignored.
        unsafe { FlushInstructionCache(GetCurrentProcess(), address as *const c_void, size) };
    }

    fn next_thread(&self, previous: Option<Thread>) -> Result<Option<Thread>, SystemCode> {
        let previous = previous.map_or(null_mut(), |thread| thread.0 as HANDLE);
        let mut next: HANDLE = null_mut();
        // SAFETY: `previous` is NULL or an open handle of the caller's, and `next` can be written.
        let status = unsafe {
            NtGetNextThread(GetCurrentProcess(), previous, THREAD_RIGHTS, 0, 0, &mut next)
        };
        match status {
            0 => Ok(Some(Thread(next as isize))),
            STATUS_NO_MORE_ENTRIES => Ok(None),
            _ => Err(code_of(status)),
        }
    }

    fn has_ended(&self, thread: Thread) -> bool {
        // SAFETY: the trait's callers pass open handles; a time of 0 does not wait.
        unsafe { WaitForSingleObject(thread.0 as HANDLE, 0) == WAIT_OBJECT_0 }
    }

    fn identity(&self, thread: Thread) -> Result<ThreadIdentity, SystemCode> {
        /// No program has memory below this address. For a thread without a TEB, 32-bit Wine
        /// returns the distance between its two kinds of TEB.
        const LOWEST_ADDRESS: usize = 0x1_0000;

        let information = basic_information(thread)?;
        Ok(ThreadIdentity {
            id: information.process_and_thread[1] as u32,
            teb: (information.teb >= LOWEST_ADDRESS).then_some(information.teb),
        })
    }

    fn thread_count(&self) -> Option<usize> {
        /// What a system with a thousand processes needs, and more than any will.
        const SIZES: [usize; 5] = [1 << 20, 2 << 20, 4 << 20, 8 << 20, 16 << 20];
        SIZES.into_iter().find_map(|size| {
            let list = self.allocate(None, size)?;
            let count = thread_count_in(list, size);
            self.free(list);
            count
        })
    }

    fn own_thread_id(&self) -> u32 {
        // SAFETY: the call only reads the calling thread's TEB.
        unsafe { GetCurrentThreadId() }
    }

    fn lock_heap(&self) {
        // SAFETY: the process's heap always exists, and the lock may be taken more than once.
        unsafe { HeapLock(GetProcessHeap()) };
    }

    fn unlock_heap(&self) {
        // SAFETY: `SuspendedThreads` has taken the lock on this thread.
        unsafe { HeapUnlock(GetProcessHeap()) };
    }

    fn suspend(&self, thread: Thread) -> Result<(), SystemCode> {
        // SAFETY: the handle is open, and `SuspendedThreads` resumes what it suspends.
        let count = unsafe { SuspendThread(thread.0 as HANDLE) };
        if count == u32::MAX { Err(last_error()) } else { Ok(()) }
    }

    fn resume(&self, thread: Thread) {
        // SAFETY: the handle is open; the call lowers a count that is not negative.
        unsafe { ResumeThread(thread.0 as HANDLE) };
    }

    fn state(&self, thread: Thread, teb: usize) -> Result<ThreadState, SystemCode> {
        let mut context = AlignedContext(MaybeUninit::zeroed());
        // SAFETY: the structure is aligned as the system requires, zeroes are a value of it, and
        // the handle is open.
        let context = unsafe {
            (*context.0.as_mut_ptr()).ContextFlags = CONTROL_REGISTERS;
            if GetThreadContext(thread.0 as HANDLE, context.0.as_mut_ptr()) == 0 {
                return Err(last_error());
            }
            context.0.assume_init()
        };
        if is_stale(context.ContextFlags) {
            return Err(SystemCode(ERROR_BUSY));
        }
        let (instruction, stack) = instruction_and_stack(&context);
        // SAFETY: the thread is suspended, so that its TEB stays; `NT_TIB.StackBase` is the second
        // field, and `NT_TIB.StackLimit` the third.
        let [_, stack_end, stack_limit] = unsafe { *(teb as *const [usize; 3]) };
        Ok(ThreadState { instruction, stack, stack_limit, stack_end })
    }

    fn close(&self, thread: Thread) {
        // SAFETY: the caller owns the handle, and does not use it again.
        unsafe { CloseHandle(thread.0 as HANDLE) };
    }

    fn pause(&self) {
        // SAFETY: the call only suspends the calling thread for a time.
        unsafe { Sleep(1) };
    }

    fn milliseconds(&self) -> u64 {
        // SAFETY: the call only reads a counter.
        unsafe { GetTickCount64() }
    }
}

fn set_protection(
    address: usize,
    size: usize,
    protection: Protection,
) -> Result<Protection, SystemCode> {
    let mut former = 0;
    // SAFETY: the crate changes the protection of its own relays, and makes the pages of code and
    // import tables writable for a time, which takes no right away from anybody.
    let done = unsafe { VirtualProtect(address as *const c_void, size, protection.0, &mut former) };
    if done == 0 { Err(last_error()) } else { Ok(Protection(former)) }
}

fn last_error() -> SystemCode {
    // SAFETY: the call only reads the calling thread's TEB.
    SystemCode(unsafe { GetLastError() })
}

fn code_of(status: NTSTATUS) -> SystemCode {
    // SAFETY: the call looks a number up in a table.
    SystemCode(unsafe { RtlNtStatusToDosError(status) })
}

/// The system wants the structure aligned to 16, which windows-sys does not promise on every
/// target.
#[repr(align(16))]
struct AlignedContext(MaybeUninit<CONTEXT>);

#[cfg(target_arch = "x86_64")]
const CONTROL_REGISTERS: u32 = 0x0010_0001;
/// With `CONTEXT_EXCEPTION_REQUEST`, for [`is_stale`].
#[cfg(target_arch = "x86")]
const CONTROL_REGISTERS: u32 = 0x0001_0001 | 0x4000_0000;

/// Whether the registers may be those of an earlier moment: on a 64-bit system, those of a 32-bit
/// thread that is just having an exception dispatched are not stored yet. Windows 7 does not report
/// it.
fn is_stale(flags: u32) -> bool {
    const EXCEPTION_REPORTING: u32 = 0x8000_0000;
    const EXCEPTION_ACTIVE: u32 = 0x0800_0000;
    let both = EXCEPTION_REPORTING | EXCEPTION_ACTIVE;
    cfg!(target_arch = "x86") && flags & both == both
}

#[cfg(target_arch = "x86_64")]
fn instruction_and_stack(context: &CONTEXT) -> (usize, usize) {
    (context.Rip as usize, context.Rsp as usize)
}
#[cfg(target_arch = "x86")]
fn instruction_and_stack(context: &CONTEXT) -> (usize, usize) {
    (context.Eip as usize, context.Esp as usize)
}

/// The number of threads of this process, by the system's list of processes, which is written to
/// the `size` bytes at `list`. None if the list does not fit.
fn thread_count_in(list: usize, size: usize) -> Option<usize> {
    const SYSTEM_PROCESS_INFORMATION: i32 = 5;
    /// Offsets in an entry of the list: of the next entry, of the number of threads, and of the
    /// process's id.
    const NEXT: usize = 0;
    const THREADS: usize = 4;
    const ID: usize = if cfg!(target_pointer_width = "64") { 0x50 } else { 0x44 };

    // SAFETY: the memory has this size, and the ignored length can be written.
    let status = unsafe {
        NtQuerySystemInformation(
            SYSTEM_PROCESS_INFORMATION,
            list as *mut c_void,
            size as u32,
            &mut 0,
        )
    };
    if status != 0 {
        return None;
    }
    // SAFETY: reads the number of this process.
    let own = unsafe { GetCurrentProcessId() };
    let end = list + size;
    let mut entry = list;
    loop {
        // SAFETY: `number` is asked for offsets in the list only.
        let number = |at: usize| unsafe { *(at as *const u32) };
        if entry + ID + size_of::<u32>() > end {
            return None;
        }
        if number(entry + ID) == own {
            return Some(number(entry + THREADS) as usize);
        }
        match number(entry + NEXT) {
            0 => return None,
            next => entry += next as usize,
        }
    }
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

fn basic_information(thread: Thread) -> Result<ThreadBasicInformation, SystemCode> {
    const THREAD_BASIC_INFORMATION: i32 = 0;

    let mut information = MaybeUninit::<ThreadBasicInformation>::zeroed();
    // SAFETY: the call writes as many bytes as the structure has, and zeroes are a value of it.
    unsafe {
        let status = NtQueryInformationThread(
            thread.0 as HANDLE,
            THREAD_BASIC_INFORMATION,
            information.as_mut_ptr().cast(),
            size_of::<ThreadBasicInformation>() as u32,
            null_mut(),
        );
        if status == 0 { Ok(information.assume_init()) } else { Err(code_of(status)) }
    }
}
