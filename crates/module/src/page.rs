//! The status page: what launchers and `allograft status` read.

use core::ffi::c_void;
use core::fmt::Write;
use core::mem::size_of;
use core::ptr::{null, null_mut};
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use allograft_engine::{Census, Counters, Module, Takeover};
use allograft_status::{
    MAGIC, Options, PATH_UNITS, Page, Runtime, State, Status, VERSION, section_name,
};
use windows_sys::Win32::Foundation::{
    ERROR_ALREADY_EXISTS, FILETIME, GetLastError, HANDLE, INVALID_HANDLE_VALUE,
};
use windows_sys::Win32::System::Memory::{
    CreateFileMappingW, FILE_MAP_ALL_ACCESS, MEM_COMMIT, MEM_RESERVE, MapViewOfFile,
    PAGE_READWRITE, VirtualAlloc,
};
use windows_sys::Win32::System::SystemInformation::GetSystemTimeAsFileTime;
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, GetCurrentProcessId, GetProcessTimes,
};

use crate::text::{Buffer, copy_wide, until_nul};
use crate::trust;

/// The page, once it is open.
static PAGE: AtomicPtr<Page> = AtomicPtr::new(null_mut());

/// What became of opening the page.
pub(crate) enum Opened {
    /// It is ours to fill in.
    Ours,
    /// Another copy of the module in this process has filled it in.
    Taken,
    /// The system has not even the memory for a page that nobody reads.
    NoMemory,
}

/// Opens the page of this process, which a launcher may have made.
pub(crate) fn open() -> Opened {
    let (page, shared) = match shared_page() {
        Some(page) => (page, true),
        None => (private_page(), false),
    };
    if page.is_null() {
        return Opened::NoMemory;
    }
    // SAFETY: the page is mapped for good, readable and writable, and all zeroes or a page that was
    // checked.
    let status = unsafe { &(*page).status };
    let claimed = status.state.compare_exchange(
        State::Empty as u32,
        State::Attaching as u32,
        Ordering::AcqRel,
        Ordering::Acquire,
    );
    if claimed.is_err() && shared {
        return Opened::Taken;
    }
    PAGE.store(page, Ordering::Release);
    // SAFETY: launchers only read these fields, and only once the state says more than Attaching.
    unsafe {
        let status = &raw mut (*page).status;
        (*status).module_version = module_version();
    }
    tell_mimalloc_version();
    Opened::Ours
}

/// Says which mimalloc it is; one that the process brings is known once it has started only. The
/// caller holds the loader's lock.
pub(crate) fn tell_mimalloc_version() {
    let page = PAGE.load(Ordering::Acquire);
    if !page.is_null() {
        // SAFETY: the page is open; launchers only read the field, and only once the state says
        // more than Attaching.
        unsafe { (*page).status.mimalloc_version = allograft_heap::version() };
    }
}

/// The section that others find by name. None if it cannot be had, or is not one of ours: left
/// over, or planted.
fn shared_page() -> Option<*mut Page> {
    let size = size_of::<Page>();
    // SAFETY: the name is NUL-terminated; the view is as long as the section, or the mapping fails.
    let (section, page, existed) = unsafe {
        let (name, _) = section_name(GetCurrentProcessId());
        let section = CreateFileMappingW(
            INVALID_HANDLE_VALUE,
            null(),
            PAGE_READWRITE,
            0,
            size as u32,
            name.as_ptr(),
        );
        let existed = GetLastError() == ERROR_ALREADY_EXISTS;
        if section.is_null() {
            return None;
        }
        (
            section,
            MapViewOfFile(section, FILE_MAP_ALL_ACCESS, 0, 0, size).Value.cast::<Page>(),
            existed,
        )
    };
    if page.is_null() {
        return None;
    }
    if !existed {
        // SAFETY: a fresh section is all zeroes, and ours.
        unsafe { fill_header(page, GetCurrentProcess(), GetCurrentProcessId()) };
        return Some(page);
    }
    // SAFETY: the view is as long as a page, and all its fields are plain data.
    let checked = unsafe { (*page).check(GetCurrentProcessId(), created(GetCurrentProcess())) };
    (checked.is_ok() && trust::made_by_the_trusted(section)).then_some(page)
}

/// A page that nobody else sees.
fn private_page() -> *mut Page {
    // SAFETY: asks for fresh memory, which is zero.
    unsafe {
        let memory =
            VirtualAlloc(null(), size_of::<Page>(), MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
        if !memory.is_null() {
            fill_header(memory.cast(), GetCurrentProcess(), GetCurrentProcessId());
        }
        memory.cast()
    }
}

/// Makes `page` that of the open process with the id `pid`.
///
/// # Safety
/// `page` can be written, and nobody else uses it yet.
pub(crate) unsafe fn fill_header(page: *mut Page, process: HANDLE, pid: u32) {
    // SAFETY: the caller's promise.
    unsafe {
        (*page).magic = MAGIC;
        (*page).version = VERSION;
        (*page).size = size_of::<Page>() as u32;
        (*page).pid = pid;
        (*page).process_created = created(process);
    }
}

/// When the process was created, as a `FILETIME`; 0 if the system does not tell.
fn created(process: HANDLE) -> u64 {
    let zero = FILETIME { dwLowDateTime: 0, dwHighDateTime: 0 };
    let (mut created, mut exited, mut kernel, mut user) = (zero, zero, zero, zero);
    // SAFETY: all four can be written.
    unsafe { GetProcessTimes(process, &mut created, &mut exited, &mut kernel, &mut user) };
    as_u64(created)
}

fn as_u64(time: FILETIME) -> u64 {
    u64::from(time.dwHighDateTime) << 32 | u64::from(time.dwLowDateTime)
}

fn module_version() -> [u16; 4] {
    let mut version = [0; 4];
    for (number, text) in version.iter_mut().zip(env!("CARGO_PKG_VERSION").split('.')) {
        *number = text.parse().unwrap_or(0);
    }
    version
}

/// What a launcher asks for.
pub(crate) fn options() -> &'static Options {
    // SAFETY: the page is open for as long as the process lives; a launcher has written the options
    // before it loads us.
    unsafe { &(*PAGE.load(Ordering::Acquire)).options }
}

/// The options of nobody: for a second copy of the module, which has no page.
pub(crate) fn no_options() -> &'static Options {
    static NOBODY: Options = Options {
        present: AtomicU32::new(0),
        disable: 0,
        count: 0,
        follow: 0,
        log: [0; PATH_UNITS],
        report: [0; PATH_UNITS],
    };
    &NOBODY
}

/// What others read. None before the page is open.
pub fn status() -> Option<&'static Status> {
    // SAFETY: as above. What is not atomic is written under the loader's lock, before what says
    // that it is there.
    unsafe { PAGE.load(Ordering::Acquire).as_ref().map(|page| &page.status) }
}

/// Where the engine counts.
pub(crate) fn counters(status: &'static Status) -> Counters {
    Counters {
        migrated_blocks: &status.migrated_blocks,
        migrated_bytes: &status.migrated_bytes,
        freed_blocks: &status.freed_blocks,
        freed_bytes: &status.freed_bytes,
        resized_blocks: &status.resized_blocks,
        now_and_then: update_figures,
    }
}

/// What the module is doing.
pub(crate) fn state() -> State {
    let number = status().map_or(0, |status| status.state.load(Ordering::Acquire));
    State::from_u32(number).unwrap_or(State::Empty)
}

/// Says what the module is doing, and with it that everything else in the page is true.
pub(crate) fn set_state(state: State) {
    if let Some(status) = status() {
        status.state.store(state as u32, Ordering::Release);
    }
}

/// Says why nothing was taken over.
pub(crate) fn set_message(text: core::fmt::Arguments<'_>) {
    let page = PAGE.load(Ordering::Acquire);
    if page.is_null() {
        return;
    }
    let mut message = Buffer::<1023>::new();
    let _ = message.write_fmt(text);
    let bytes = message.as_bytes();
    // SAFETY: the page is open, the message is shorter than its place, and written under the
    // loader's lock.
    unsafe {
        let place = (&raw mut (*page).status.message).cast::<u8>();
        place.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        place.add(bytes.len()).write(0);
    }
}

/// How many runtimes the page tells of. Others can write to the page: it is not taken at its word.
pub(crate) fn runtime_count(status: &Status) -> usize {
    (status.runtime_count.load(Ordering::Acquire) as usize).min(status.runtimes.len())
}

/// Adds a runtime that was taken over. Returns the index of its entry, none if there is no room for
/// it.
pub(crate) fn add_runtime(module: &Module, takeover: &Takeover) -> Option<usize> {
    let page = PAGE.load(Ordering::Acquire);
    let status = status()?;
    let count = runtime_count(status);
    // A runtime that was unloaded and loaded again keeps its entry.
    let same = |runtime: &Runtime| {
        let known = until_nul(&runtime.path);
        !known.is_empty() && module.path().starts_with(known)
    };
    let index = status.runtimes[..count].iter().position(same).unwrap_or(count);
    let runtime = status.runtimes.get(index)?;
    let (mut name, mut path) = (runtime.name, runtime.path);
    copy_wide(module.name(), &mut name);
    copy_wide(module.path(), &mut path);
    // SAFETY: the entry is only written under the loader's lock, and nobody in this process reads
    // its text while it is.
    unsafe {
        let entry = &raw mut (*page).status.runtimes[index];
        (&raw mut (*entry).name).write(name);
        (&raw mut (*entry).path).write(path);
        (&raw mut (*entry).version).write(module.file_version().unwrap_or_default());
    }
    runtime.functions.store(takeover.functions as u32, Ordering::Relaxed);
    runtime.skipped.store(takeover.skipped().count() as u32, Ordering::Relaxed);
    status.threads_stopped.fetch_max(takeover.threads_suspended as u32, Ordering::Relaxed);
    status.attach_nanoseconds.fetch_add(takeover.nanoseconds, Ordering::Relaxed);
    status.attached_at.store(now(), Ordering::Relaxed);
    status.runtime_count.store(count.max(index + 1) as u32, Ordering::Release);
    Some(index)
}

/// Adds words of import tables that were pointed at the replacements.
pub(crate) fn add_imports(count: usize) {
    if let Some(status) = status() {
        status.imports.fetch_add(count as u32, Ordering::Relaxed);
    }
}

/// Adds what the old heap of a runtime holds.
pub(crate) fn add_census(census: Census) {
    if let Some(status) = status() {
        status.old_blocks.fetch_add(census.blocks, Ordering::Relaxed);
        status.old_bytes.fetch_add(census.bytes, Ordering::Relaxed);
        status.old_known.store(1, Ordering::Release);
    }
}

/// Brings mimalloc's figures up to date.
pub(crate) fn update_figures() {
    if let Some(status) = status() {
        let figures = allograft_heap::figures();
        status.mimalloc_committed.store(figures.committed as u64, Ordering::Relaxed);
        status.mimalloc_committed_peak.store(figures.committed_peak as u64, Ordering::Relaxed);
        status.mimalloc_used.store(figures.used as u64, Ordering::Relaxed);
    }
}

fn now() -> u64 {
    let mut time = FILETIME { dwLowDateTime: 0, dwHighDateTime: 0 };
    // SAFETY: the structure can be written.
    unsafe { GetSystemTimeAsFileTime(&mut time) };
    as_u64(time)
}

/// The message of a failure, without its NUL.
pub(crate) fn message(status: &Status) -> &[u8] {
    let end = status.message.iter().position(|&byte| byte == 0).unwrap_or(0);
    &status.message[..end]
}

/// The message as the C interface gives it: NUL-terminated.
pub(crate) fn message_for_c() -> *const c_void {
    status().map_or(c"".as_ptr().cast(), |status| status.message.as_ptr().cast())
}
