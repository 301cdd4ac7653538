//! Programs that the program starts: each gets the module too, if that was asked for.
//!
//! Every documented way to start a program ends in one function of ntdll, `NtCreateUserProcess`,
//! which kernelbase calls through its import table (before Windows 8, kernel32). That import
//! address table entry is pointed at [`create`]: one word of data, no code is changed, and every
//! thread calls either the one or the other. The new process is returned with its first thread
//! suspended, which kernelbase itself wants at this point; the child then finds the module and its
//! options as a program does that `allograft run` starts.
//!
//! A job object with a completion port would also report new processes to a launcher, and needs no
//! hook. But it reports late, when the child may already be running; it needs a launcher that
//! stays; and it puts the program into a job, which programs notice.
//!
//! Not followed: what other processes start on the program's behalf (services, COM servers,
//! elevation).
//!
//! This code runs on the program's threads, in the middle of starting a process: it allocates
//! nothing, and a failure costs the child the module and nothing else.

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::fmt::Write;
use core::ptr::{null, null_mut};
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use core::time::Duration;

use allograft_engine::{Module, loaded_modules, redirect_import};
use allograft_inject::{
    Assistant, Error, Handle, OptionValues, Route, StatusPage, Step, System, SystemError, Task,
    WideText, Windows, extended_length, queue_load, until_nul,
};
use windows_sys::Win32::Foundation::{GetLastError, HANDLE, HINSTANCE, NTSTATUS, SetLastError};
use windows_sys::Win32::System::LibraryLoader::GetModuleFileNameW;
use windows_sys::Win32::System::Threading::{
    ResumeThread, TLS_OUT_OF_INDEXES, TlsAlloc, TlsGetValue, TlsSetValue,
};

use crate::config::Config;
use crate::log;
use crate::text::insert_number;

/// `THREAD_CREATE_FLAGS_CREATE_SUSPENDED`
const SUSPENDED: u32 = 1;

/// `NtCreateUserProcess`; all but two arguments are passed on unseen.
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

/// The TLS slot that marks a thread while it starts an assistant, which is a child of this process
/// too, and must not get the module itself.
static STARTS_ASSISTANT: AtomicU32 = AtomicU32::new(TLS_OUT_OF_INDEXES);

/// The options for children, and this module.
struct Inheritance(UnsafeCell<(Config, HINSTANCE)>);

// SAFETY: written once, before `ORIGINAL`, which is read before it.
unsafe impl Sync for Inheritance {}

static INHERITANCE: Inheritance = Inheritance(UnsafeCell::new((Config::nothing(), null_mut())));

/// From now on children get `module`, which is this one, with the options of this process. The
/// caller holds the loader's lock, and the module is pinned.
pub(crate) fn follow(config: &Config, module: HINSTANCE) {
    // SAFETY: nobody reads it before the import is redirected.
    unsafe { *INHERITANCE.0.get() = (config.clone(), module) };
    // SAFETY: allocates a slot, or returns `TLS_OUT_OF_INDEXES`.
    STARTS_ASSISTANT.store(unsafe { TlsAlloc() }, Ordering::Release);
    let slots = loaded_modules()
        .filter(starts_processes)
        .filter_map(|module| module.import_slot(c"NtCreateUserProcess"));
    if slots.filter(|&slot| redirect(slot)).count() == 0 {
        log::line(format_args!(
            "programs that this one starts are not followed: this system starts them in an unknown way"
        ));
    }
}

fn starts_processes(module: &Module) -> bool {
    module.name_is("kernelbase.dll") || module.name_is("kernel32.dll")
}

/// Points the import address table entry at [`create`].
fn redirect(slot: usize) -> bool {
    // SAFETY: the entry is aligned, in a loaded module, and read as a whole by whoever calls
    // through it. kernelbase and kernel32 are never unloaded, and this module is pinned.
    unsafe {
        let entry = AtomicUsize::from_ptr(slot as *mut usize);
        ORIGINAL.store(entry.load(Ordering::Acquire), Ordering::Release);
        redirect_import(slot, create as *const () as usize)
    }
}

/// Creates the process, gives it the module, and resumes it if the caller wants it to run at once.
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
    // SAFETY: `ORIGINAL` is ntdll's function, of this signature, and the arguments are the
    // caller's.
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
            thread_flags | SUSPENDED,
            parameters,
            information,
            attributes,
        )
    };
    if status >= 0 {
        // SAFETY: the call has written both handles, and the thread is suspended.
        unsafe {
            let error = GetLastError();
            if TlsGetValue(STARTS_ASSISTANT.load(Ordering::Acquire)).is_null() {
                give_module(*process, *thread);
            }
            if thread_flags & SUSPENDED == 0 {
                ResumeThread(*thread);
            }
            SetLastError(error);
        }
    }
    status
}

/// Gives a process whose first thread has not begun the module. Whatever fails, the process starts,
/// as it would without this module.
fn give_module(process: HANDLE, thread: HANDLE) {
    let (process, thread) = (Handle(process as isize), Handle(thread as isize));
    let pid = Windows.process_id(process);
    // SAFETY: it was written before the import was redirected to `create`.
    let (config, module) = unsafe { &*INHERITANCE.0.get() };
    match inject_into(process, thread, config, *module) {
        Ok(()) => log::line(format_args!("process {pid} gets the module too")),
        Err(reason) => log::line(format_args!("process {pid} starts without the module: {reason}")),
    }
}

/// Longest path of our own module, in UTF-16 units.
const PATH_UNITS: usize = 2048;

/// How long the assistant may take. It has next to nothing to do, and the program that starts the
/// child waits for it.
const ASSISTANT_TIMEOUT: Duration = Duration::from_secs(10);

fn inject_into(
    process: Handle,
    thread: Handle,
    config: &Config,
    module: HINSTANCE,
) -> Result<(), Error> {
    let mut path = [0; PATH_UNITS];
    // SAFETY: the buffer has as many units.
    let length = unsafe { GetModuleFileNameW(module, path.as_mut_ptr(), PATH_UNITS as u32) };
    let length = length as usize;
    if length == PATH_UNITS {
        return Err(Error::TooLong);
    }
    let mut extended = [0; PATH_UNITS + 8];
    let path = &*extended_length(&path[..length], &mut extended).ok_or(Error::TooLong)?;
    let backslash =
        path.iter().rposition(|&unit| unit == u16::from(b'\\')).ok_or(Error::TooLong)?;
    let page = StatusPage::for_child(&Windows, process)?;
    let mut report = [0; PATH_UNITS + 16];
    if let Some(path) = config.report() {
        insert_number(until_nul(path), Windows.process_id(process), &mut report);
    }
    page.set_options(&OptionValues {
        follow: true,
        count: config.count,
        heap: config.heap,
        exact_sizes: config.exact_sizes,
        log: config.log().unwrap_or_default(),
        report: &report,
        ..OptionValues::default()
    });
    page.leave_in(process)?;
    match Route::for_module(&Windows, process) {
        // Nobody is told when the path has been read, so it stays in the child.
        Route::Direct => queue_load(&Windows, process, thread, path, None),
        Route::Assistant => have_assistant_queue(process, thread, &path[..=backslash]),
    }
}

/// Has the assistant give the module beside it to the process. Both are in `folder`, which ends
/// with a backslash.
fn have_assistant_queue(process: Handle, thread: Handle, folder: &[u16]) -> Result<(), Error> {
    let (mut path, mut module) = ([0; PATH_UNITS], [0; PATH_UNITS]);
    let assistant = Assistant {
        path: file_in(folder, Assistant::NAME, &mut path)?,
        module: file_in(folder, Assistant::MODULE_NAME, &mut module)?,
        error_stream: None,
    };
    let task = Task::Queue { thread, loaded: None };
    let mut command_line = [0; 2 * PATH_UNITS];
    let slot = STARTS_ASSISTANT.load(Ordering::Acquire);
    // SAFETY: any value that is not null is a mark; a slot that was not allocated is refused.
    if unsafe { TlsSetValue(slot, (&raw const STARTS_ASSISTANT).cast()) } == 0 {
        // SAFETY: reads a number of this thread.
        let error = SystemError(unsafe { GetLastError() });
        return Err(Error::Refused(Step::StartAssistant, error));
    }
    let running = assistant.start(&Windows, process, task, &mut command_line);
    // SAFETY: the slot is allocated.
    unsafe { TlsSetValue(slot, null()) };
    running?.finish(Some(ASSISTANT_TIMEOUT)).map(drop)
}

fn file_in<'b>(folder: &[u16], name: &str, buffer: &'b mut [u16]) -> Result<&'b [u16], Error> {
    let mut path = WideText::new(buffer);
    path.push(folder);
    // Writing to a `WideText` does not fail.
    let _ = path.write_str(name);
    path.finish().map(|path| &*path).ok_or(Error::TooLong)
}
