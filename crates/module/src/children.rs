//! Programs that the program starts: each gets the module too, if that was asked for.
//!
//! Every documented way to start a program ends in one function of ntdll, `NtCreateUserProcess`,
//! which kernelbase calls through its import table (before Windows 8, kernel32). The slot of that
//! import is sent to [`create`]: one word of data, no code is changed, and every thread calls the
//! one or the other. The new process comes back with its first thread stopped, as kernelbase itself
//! wants it at this point; the child then finds us as a program does that `allograft run` starts.
//!
//! A job object with a completion port would tell a launcher of new processes, too, and needs no
//! hook. But it tells late, when the child may be running; it takes a launcher that stays; and it
//! puts the program into a job, which programs notice.
//!
//! Not followed: what other processes start on the program's behalf (services, COM servers,
//! elevation).

mod assistant;
mod newborn;

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicUsize, Ordering};

use allograft_engine::{Module, loaded_modules, redirect_import};
use windows_sys::Win32::Foundation::{GetLastError, HANDLE, NTSTATUS, SetLastError};
use windows_sys::Win32::System::Threading::ResumeThread;

use crate::config::Config;
use crate::log;
use newborn::Newborn;

/// `THREAD_CREATE_FLAGS_CREATE_SUSPENDED`
const STOPPED: u32 = 1;

/// `NtCreateUserProcess`; what we do not look at is passed on as it came.
type CreateUserProcess = unsafe extern "system" fn(
    process: *mut HANDLE,
    thread: *mut HANDLE,
    process_access: u32,
    thread_access: u32,
    process_attributes: *const c_void,
    thread_attributes: *const c_void,
    process_flags: u32,
    thread_flags: u32,
    parameters: *const c_void,
    information: *mut c_void,
    attributes: *const c_void,
) -> NTSTATUS;

/// ntdll's own function; 0 before anything is redirected.
static ORIGINAL: AtomicUsize = AtomicUsize::new(0);

/// What children are told.
struct Inheritance(UnsafeCell<Config>);

// SAFETY: written once, before `ORIGINAL`, which is read before it.
unsafe impl Sync for Inheritance {}

static INHERITANCE: Inheritance = Inheritance(UnsafeCell::new(Config::nothing()));

/// From now on children get the module, and are told what this process was told. The caller holds
/// the loader's lock, and the module is pinned.
pub(crate) fn follow(config: &Config) {
    // SAFETY: nobody reads it yet.
    unsafe { *INHERITANCE.0.get() = config.clone() };
    assistant::prepare();
    let slots = loaded_modules()
        .filter(starts_processes)
        .filter_map(|module| module.import_slot(c"NtCreateUserProcess"));
    if slots.filter(|&slot| redirect(slot)).count() == 0 {
        log::line(format_args!(
            "programs that this one starts are not followed: this system starts them by an unknown way"
        ));
    }
}

fn starts_processes(module: &Module) -> bool {
    module.name_is("kernelbase.dll") || module.name_is("kernel32.dll")
}

/// Sends the calls through the import slot to [`create`].
fn redirect(slot: usize) -> bool {
    // SAFETY: the slot is a word of a loaded module, aligned, and read as a whole by whoever calls
    // through it; kernelbase and kernel32 stay, and so does this module, which is pinned.
    unsafe {
        let word = AtomicUsize::from_ptr(slot as *mut usize);
        ORIGINAL.store(word.load(Ordering::Acquire), Ordering::Release);
        redirect_import(slot, create as *const () as usize)
    }
}

/// Makes the process, gives it the module, and lets it go if its maker wants it to run at once.
unsafe extern "system" fn create(
    process: *mut HANDLE,
    thread: *mut HANDLE,
    process_access: u32,
    thread_access: u32,
    process_attributes: *const c_void,
    thread_attributes: *const c_void,
    process_flags: u32,
    thread_flags: u32,
    parameters: *const c_void,
    information: *mut c_void,
    attributes: *const c_void,
) -> NTSTATUS {
    // SAFETY: only ntdll's function was ever in the slot, of this signature; the arguments are the
    // caller's own.
    let status = unsafe {
        let original = ORIGINAL.load(Ordering::Acquire);
        core::mem::transmute::<usize, CreateUserProcess>(original)(
            process,
            thread,
            process_access,
            thread_access,
            process_attributes,
            thread_attributes,
            process_flags,
            thread_flags | STOPPED,
            parameters,
            information,
            attributes,
        )
    };
    if status >= 0 {
        // SAFETY: both handles were just made, and the thread has not begun.
        unsafe {
            let error = GetLastError();
            if !assistant::is_being_started() {
                give_module(*process, *thread);
            }
            if thread_flags & STOPPED == 0 {
                ResumeThread(*thread);
            }
            SetLastError(error);
        }
    }
    status
}

/// Whatever fails, the child starts, as it would have without us.
fn give_module(process: HANDLE, thread: HANDLE) {
    let child = Newborn::new(process, thread);
    // SAFETY: it was written before we could be called.
    let inheritance = unsafe { &*INHERITANCE.0.get() };
    match child.give_module(inheritance) {
        Ok(()) => log::line(format_args!("process {} gets the module too", child.pid())),
        Err(reason) => {
            log::line(format_args!("process {} starts without the module: {reason}", child.pid()))
        }
    }
}

/// Where our own module's file is. Its length, 0 if that is not known.
fn own_path(path: &mut [u16]) -> usize {
    use windows_sys::Win32::System::LibraryLoader::{
        GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
        GetModuleFileNameW, GetModuleHandleExW,
    };
    let flags =
        GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT;
    let mut module = null_mut();
    // SAFETY: the address is our own, the buffer as long as said.
    let length = unsafe {
        GetModuleHandleExW(flags, own_path as *const () as *const u16, &mut module);
        GetModuleFileNameW(module, path.as_mut_ptr(), path.len() as u32) as usize
    };
    if length < path.len() { length } else { 0 }
}
