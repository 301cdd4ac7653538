//! Writing the report: when the module attaches, when a runtime is loaded later, and when the
//! process ends. Nothing can be allocated then, hence the fixed buffers. All functions here are
//! called with the loader's lock held.

use core::cell::UnsafeCell;
use core::ffi::CStr;
use core::fmt::Write;
use core::ptr::null_mut;
use core::sync::atomic::Ordering;

use allograft_engine::Takeover;
use allograft_inject::{HeapState, State};
use windows_sys::Win32::System::LibraryLoader::GetModuleFileNameW;
use windows_sys::Win32::System::Threading::GetCurrentProcessId;

use crate::config::Config;
use crate::file::File;
use crate::report_text::ReportText;
use crate::text::Buffer;
use crate::{log, page};

static FILE: File = File::closed();

/// The buffers, which the thread with the loader's lock uses.
struct Buffers {
    text: Buffer<16384>,
    /// The names that were left alone, with the index of their runtime in the status page.
    skipped: [Option<(usize, &'static CStr)>; 64],
    skipped_count: usize,
}

struct Locked<T>(UnsafeCell<T>);

// SAFETY: only `buffers` accesses it.
unsafe impl<T> Sync for Locked<T> {}

/// The buffers, for the caller alone.
///
/// # Safety
/// The caller holds the loader's lock, and has no other reference to the buffers.
unsafe fn buffers() -> &'static mut Buffers {
    static BUFFERS: Locked<Buffers> = Locked(UnsafeCell::new(Buffers {
        text: Buffer::new(),
        skipped: [None; 64],
        skipped_count: 0,
    }));
    // SAFETY: by the contract no other thread and no other code of this one uses them.
    unsafe { &mut *BUFFERS.0.get() }
}

/// Opens the report that `config` asks for.
pub(crate) fn open(config: &Config) {
    if let Some(path) = config.report()
        && let Err(code) = FILE.open_to_replace(path)
    {
        log::line(format_args!(
            "cannot open the report: system error {code}; check ALLOGRAFT_REPORT"
        ));
    }
}

/// Keeps the names that `takeover`, of the runtime at `index` in the status page, left alone.
pub(crate) fn keep_skipped(index: usize, takeover: &Takeover) {
    // SAFETY: the loader's lock is held, and nothing below calls back.
    let buffers = unsafe { buffers() };
    // A runtime that was unloaded and loaded again is in the list already.
    if buffers.skipped.iter().flatten().any(|(known, _)| *known == index) {
        return;
    }
    for skipped in takeover.skipped() {
        if let Some(place) = buffers.skipped.get_mut(buffers.skipped_count) {
            *place = Some((index, skipped));
            buffers.skipped_count += 1;
        }
    }
}

/// Writes the report of the present state.
pub(crate) fn write() {
    page::update_figures();
    let Some(status) = page::status().filter(|_| FILE.is_open()) else {
        return;
    };
    let mut path = [0u16; 1024];
    // SAFETY: the buffer has as many units; no module means the program.
    let length = unsafe { GetModuleFileNameW(null_mut(), path.as_mut_ptr(), 1024) } as usize;
    // SAFETY: the loader's lock is held, and nothing below calls back.
    let buffers = unsafe { buffers() };
    buffers.text.clear();
    // Writing into a buffer cannot fail, and this one has room for all slots.
    let _ = write!(
        buffers.text,
        "{}",
        ReportText {
            // SAFETY: the call only reads the TEB.
            process: unsafe { GetCurrentProcessId() },
            path: &path[..length],
            state: page::state(),
            message: str::from_utf8(page::message(status)).unwrap_or_default(),
            status,
            runtimes: &status.runtimes[..page::runtime_count(status)],
            skipped: &buffers.skipped,
            heap_obstacle: str::from_utf8(page::heap_obstacle(status)).unwrap_or_default(),
            figures: allograft_heap::figures(),
        }
    );
    FILE.replace(buffers.text.as_bytes());
}

/// Writes the report, and the closing line of the log, when the process ends.
pub(crate) fn at_exit() {
    write();
    let Some(status) = page::status().filter(|_| page::state() == State::Active) else {
        return;
    };
    let count = |counter: &core::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    log::line(format_args!(
        "the process ends; of the old heap's blocks {} moved to mimalloc ({} bytes) and {} were freed ({} bytes)",
        count(&status.migrated_blocks),
        count(&status.migrated_bytes),
        count(&status.freed_blocks),
        count(&status.freed_bytes),
    ));
    if page::heap_state(status).is_some_and(HeapState::is_served) {
        log::line(format_args!(
            "of the blocks of the process's own heap {} moved to mimalloc ({} bytes) and {} were freed",
            count(&status.heap.migrated_blocks),
            count(&status.heap.migrated_bytes),
            count(&status.heap.freed_blocks),
        ));
    }
}
