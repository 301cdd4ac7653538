//! The status page of this process, as the module fills it in for launchers and `allograft status`.
//!
//! Launchers only read the status, and only once its state is more than `Attaching`. What is not
//! atomic in it is written with the loader's lock held, before the state that announces it.

use core::ffi::c_void;
use core::fmt::Write;
use core::ptr::{null, null_mut};
use core::sync::atomic::{AtomicPtr, Ordering};

use allograft_engine::heap_api::{HeapObstacle, HeapSlots, HeapTakeover};
use allograft_engine::{Census, Counters, Module, Proof, Takeover};
use allograft_inject::{
    HeapState, OptionValues, Page, RuntimeProof, RuntimeRecord, State, Status, StatusPage, Windows,
    until_nul,
};
use windows_sys::Win32::Foundation::FILETIME;
use windows_sys::Win32::System::Memory::{MEM_COMMIT, MEM_RESERVE, PAGE_READWRITE, VirtualAlloc};
use windows_sys::Win32::System::SystemInformation::GetSystemTimeAsFileTime;

use crate::text::{Buffer, copy_wide};

/// The page, once it is open. It stays mapped as long as the process lives.
static PAGE: AtomicPtr<Page> = AtomicPtr::new(null_mut());

/// What became of opening the page.
pub(crate) enum Opened {
    /// It is this module's to fill in.
    Ours,
    /// Another copy of the module in this process has filled it in.
    Taken,
    /// The system has not even the memory for a page that nobody reads.
    NoMemory,
}

/// Opens the page of this process, which a launcher may have made. If that is not possible, or must
/// not be trusted, the module works with a page that nobody else sees.
pub(crate) fn open() -> Opened {
    let shared = StatusPage::for_own_process(&Windows).ok().map(StatusPage::leak);
    let page = shared.map_or_else(private_page, |page| page.as_ptr());
    if page.is_null() {
        return Opened::NoMemory;
    }
    // SAFETY: the page is mapped for good and writable, and any bytes are valid in it.
    let status = unsafe { &(*page).status };
    let claimed = status.state.compare_exchange(
        State::Empty as u32,
        State::Attaching as u32,
        Ordering::AcqRel,
        Ordering::Acquire,
    );
    if claimed.is_err() && shared.is_some() {
        return Opened::Taken;
    }
    PAGE.store(page, Ordering::Release);
    // SAFETY: the state is `Attaching`, so nobody reads the field yet.
    unsafe { (&raw mut (*page).status.module_version).write(module_version()) };
    tell_mimalloc_version();
    Opened::Ours
}

/// Writes which mimalloc it is; of one that the process brings, that is known only once it has
/// started. The caller holds the loader's lock.
pub(crate) fn tell_mimalloc_version() {
    let page = PAGE.load(Ordering::Acquire);
    if !page.is_null() {
        // SAFETY: an open page stays mapped, and nobody reads the field yet.
        unsafe { (*page).status.mimalloc_version = allograft_heap::version() };
    }
}

/// A page that nobody else sees; null if there is no memory.
fn private_page() -> *mut Page {
    // SAFETY: new memory overlaps nothing; it is zero, which is an empty page.
    unsafe { VirtualAlloc(null(), size_of::<Page>(), MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE) }
        .cast()
}

fn module_version() -> [u16; 4] {
    let mut version = [0; 4];
    for (number, text) in version.iter_mut().zip(env!("CARGO_PKG_VERSION").split('.')) {
        *number = text.parse().unwrap_or(0);
    }
    version
}

/// What a launcher asks for, if one does.
pub(crate) fn options() -> Option<OptionValues<'static>> {
    // SAFETY: an open page stays mapped, and a launcher writes the options before it loads the
    // module.
    unsafe { PAGE.load(Ordering::Acquire).as_ref() }?.options.values()
}

/// What others read. None before the page is open.
pub fn status() -> Option<&'static Status> {
    // SAFETY: an open page stays mapped.
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
        heap_migrated_blocks: &status.heap.migrated_blocks,
        heap_migrated_bytes: &status.heap.migrated_bytes,
        heap_freed_blocks: &status.heap.freed_blocks,
        now_and_then: update_figures,
    }
}

/// What the module is doing; `Empty` before the page is open.
pub fn state() -> State {
    let number = status().map_or(0, |status| status.state.load(Ordering::Acquire));
    State::from_u32(number).unwrap_or(State::Empty)
}

/// Sets what the module is doing, after everything else in the page that belongs to it.
pub(crate) fn set_state(state: State) {
    if let Some(status) = status() {
        status.state.store(state as u32, Ordering::Release);
    }
}

/// Sets why nothing was taken over, or what else is not as it was asked for.
pub(crate) fn set_message(text: core::fmt::Arguments<'_>) {
    let page = PAGE.load(Ordering::Acquire);
    if !page.is_null() {
        // SAFETY: an open page stays mapped, and the field is one byte longer.
        unsafe { write_text::<1023>((&raw mut (*page).status.message).cast(), text) };
    }
}

/// Writes `text`, NUL-terminated, cut at `ROOM` bytes.
///
/// # Safety
/// The field has room for a NUL more, and nobody else in this process uses it meanwhile.
unsafe fn write_text<const ROOM: usize>(field: *mut u8, text: core::fmt::Arguments<'_>) {
    let mut buffer = Buffer::<ROOM>::new();
    // Writing into a buffer cannot fail.
    let _ = buffer.write_fmt(text);
    let bytes = buffer.as_bytes();
    // SAFETY: by the contract, and no buffer holds more than its room.
    unsafe {
        field.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        field.add(bytes.len()).write(0);
    }
}

/// Sets what has become of the process's heap, after everything else in its record.
pub(crate) fn set_heap_state(state: HeapState) {
    if let Some(status) = status() {
        status.heap.state.store(state as u32, Ordering::Release);
    }
}

/// Writes that the blocks of the C runtimes keep the sizes that were asked for.
pub(crate) fn set_exact_sizes() {
    if let Some(status) = status() {
        status.heap.exact_sizes.store(1, Ordering::Relaxed);
    }
}

/// What has become of the process's heap; none if somebody has written nonsense.
pub(crate) fn heap_state(status: &Status) -> Option<HeapState> {
    HeapState::from_u32(status.heap.state.load(Ordering::Acquire))
}

/// Adds what was redirected for the process's heap.
pub(crate) fn add_heap(takeover: &HeapTakeover) {
    if let Some(status) = status() {
        add_heap_slots(takeover.slots, takeover.modules);
        status.heap.exports.store(takeover.exports as u32, Ordering::Relaxed);
        status.heap.private_heaps.store(takeover.private_heap.into(), Ordering::Relaxed);
        add_time(status, takeover.nanoseconds);
    }
}

/// Sets why the process's heap, or the program's use of it, is left alone.
pub(crate) fn set_heap_obstacle(obstacle: &HeapObstacle) {
    let page = PAGE.load(Ordering::Acquire);
    if !page.is_null() {
        let text = format_args!("{obstacle}");
        // SAFETY: an open page stays mapped, and the field is one byte longer.
        unsafe { write_text::<255>((&raw mut (*page).status.heap.obstacle).cast(), text) };
    }
}

/// Why the process's heap was left alone, without its NUL.
pub(crate) fn heap_obstacle(status: &Status) -> &[u8] {
    before_nul(&status.heap.obstacle)
}

/// Adds import slots of the heap API that were redirected in so many modules.
pub(crate) fn add_heap_slots(slots: HeapSlots, modules: usize) {
    if let Some(Status { heap, .. }) = status() {
        heap.slots_allocating.fetch_add(slots.allocating as u32, Ordering::Relaxed);
        heap.slots_freeing.fetch_add(slots.freeing as u32, Ordering::Relaxed);
        heap.modules.fetch_add(modules as u32, Ordering::Relaxed);
    }
}

/// Adds the time that a takeover took, which is complete now.
fn add_time(status: &Status, nanoseconds: u64) {
    status.attach_nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    status.attached_at.store(now(), Ordering::Relaxed);
}

/// How many runtimes are in the page. Others can write to the page, so the number is checked.
pub(crate) fn runtime_count(status: &Status) -> usize {
    (status.runtime_count.load(Ordering::Acquire) as usize).min(status.runtimes.len())
}

/// Adds a runtime that was taken over, and returns the index of its entry; none if there is no
/// room.
pub(crate) fn add_runtime(module: &Module, takeover: &Takeover) -> Option<usize> {
    let page = PAGE.load(Ordering::Acquire);
    let status = status()?;
    let count = runtime_count(status);
    // A runtime that was unloaded and loaded again keeps its entry.
    let same = |runtime: &RuntimeRecord| {
        let known = until_nul(&runtime.path);
        !known.is_empty() && module.path().starts_with(known)
    };
    let index = status.runtimes[..count].iter().position(same).unwrap_or(count);
    let runtime = status.runtimes.get(index)?;
    let (mut name, mut path) = (runtime.name, runtime.path);
    copy_wide(module.name(), &mut name);
    copy_wide(module.path(), &mut path);
    // SAFETY: the entry is in the page; with the loader's lock held nobody else in this process
    // uses its text.
    unsafe {
        let entry = &raw mut (*page).status.runtimes[index];
        (&raw mut (*entry).name).write(name);
        (&raw mut (*entry).path).write(path);
        (&raw mut (*entry).version).write(module.file_version().unwrap_or_default());
    }
    runtime.functions.store(takeover.functions as u32, Ordering::Relaxed);
    runtime.skipped.store(takeover.skipped().count() as u32, Ordering::Relaxed);
    runtime.proof.store(proof_of(takeover) as u32, Ordering::Relaxed);
    status.threads_stopped.fetch_max(takeover.threads_suspended as u32, Ordering::Relaxed);
    add_time(status, takeover.nanoseconds);
    status.runtime_count.store(count.max(index + 1) as u32, Ordering::Release);
    Some(index)
}

fn proof_of(takeover: &Takeover) -> RuntimeProof {
    match takeover.proof {
        Proof::Redirected => RuntimeProof::Redirected,
        Proof::Scanned => RuntimeProof::Scanned,
        Proof::Wine => RuntimeProof::Wine,
        Proof::Missing(_) => RuntimeProof::Missing,
    }
}

/// Adds to the number of import table entries that lead straight to mimalloc.
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
    // SAFETY: `time` can be written.
    unsafe { GetSystemTimeAsFileTime(&mut time) };
    u64::from(time.dwHighDateTime) << 32 | u64::from(time.dwLowDateTime)
}

/// The message of a failure, without its NUL.
pub fn message(status: &Status) -> &[u8] {
    before_nul(&status.message)
}

fn before_nul(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|&byte| byte == 0).unwrap_or(0);
    &text[..end]
}

/// The message as the C interface gives it: NUL-terminated.
pub(crate) fn message_for_c() -> *const c_void {
    status().map_or(c"".as_ptr().cast(), |status| status.message.as_ptr().cast())
}
