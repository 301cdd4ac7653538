//! The report: one JSON object that says what was taken over and what has become of the old heap.
//! It is written when the module attaches and again when the process ends, when nothing can be
//! allocated any more: hence the fixed buffer.

use core::cell::UnsafeCell;
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicUsize, Ordering};

use allograft_engine::{Skipped, Takeover};
use allograft_inject::{RuntimeRecord, State, Status};
use windows_sys::Win32::System::LibraryLoader::GetModuleFileNameW;
use windows_sys::Win32::System::Threading::GetCurrentProcessId;

use crate::config::Config;
use crate::file::File;
use crate::text::{Buffer, Wide, until_nul};
use crate::{log, page};

static FILE: File = File::none();

/// The text is put together here, by one thread at a time: the one that holds the loader's lock.
struct Shared<T>(UnsafeCell<T>);

// SAFETY: see the field's users: all of them hold the loader's lock.
unsafe impl<T> Sync for Shared<T> {}

static TEXT: Shared<Buffer<16384>> = Shared(UnsafeCell::new(Buffer::new()));

/// The names that were left alone, with the index of their runtime in the status page.
static SKIPPED: Shared<[Option<(usize, Skipped)>; 64]> = Shared(UnsafeCell::new([None; 64]));
static SKIPPED_COUNT: AtomicUsize = AtomicUsize::new(0);

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

/// Remembers what `takeover`, of the runtime at `index` in the status page, left alone.
pub(crate) fn keep_skipped(index: usize, takeover: &Takeover) {
    // SAFETY: the loader's lock is held.
    let list = unsafe { &mut *SKIPPED.0.get() };
    // A runtime that was loaded before has told of these already.
    if list.iter().flatten().any(|(known, _)| *known == index) {
        return;
    }
    for skipped in takeover.skipped() {
        let count = SKIPPED_COUNT.load(Ordering::Relaxed);
        if let Some(place) = list.get_mut(count) {
            *place = Some((index, *skipped));
            SKIPPED_COUNT.store(count + 1, Ordering::Relaxed);
        }
    }
}

/// Writes the report as things stand.
pub(crate) fn write() {
    page::update_figures();
    let Some(status) = page::status().filter(|_| FILE.is_open()) else {
        return;
    };
    // SAFETY: the loader's lock is held.
    let text = unsafe { &mut *TEXT.0.get() };
    text.clear();
    // Writing into a buffer cannot fail, and the buffer has room for as many runtimes as there can
    // be.
    let _ = write!(text, "{}", Report(status));
    FILE.replace(text.as_bytes());
}

/// Writes the report, and the closing line of the log, when the process ends.
pub(crate) fn at_exit() {
    write();
    if let Some(status) = page::status().filter(|_| page::state() == State::Active) {
        let count = |counter: &core::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        log::line(format_args!(
            "the process ends; of the old heap's blocks {} moved to mimalloc ({} bytes) and {} were freed ({} bytes)",
            count(&status.migrated_blocks),
            count(&status.migrated_bytes),
            count(&status.freed_blocks),
            count(&status.freed_bytes),
        ));
    }
}

/// The report as JSON.
struct Report(&'static Status);

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.0;
        let load = |counter: &core::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let mut path = [0u16; 1024];
        // SAFETY: the buffer is as long; no module means the program.
        let length =
            unsafe { GetModuleFileNameW(core::ptr::null_mut(), path.as_mut_ptr(), 1024) } as usize;
        // SAFETY: has no preconditions.
        let pid = unsafe { GetCurrentProcessId() };
        let message = str::from_utf8(page::message(status)).unwrap_or_default();
        let mimalloc = status.mimalloc_version;
        let figures = allograft_heap::figures();

        writeln!(f, "{{")?;
        writeln!(f, "  \"module_version\": \"{}\",", env!("CARGO_PKG_VERSION"))?;
        writeln!(
            f,
            "  \"mimalloc_version\": \"{}.{}.{}\",",
            mimalloc / 10000,
            mimalloc / 100 % 100,
            mimalloc % 100
        )?;
        writeln!(
            f,
            "  \"process\": {{\"pid\": {pid}, \"path\": {}}},",
            Json(Wide(&path[..length]))
        )?;
        writeln!(f, "  \"state\": \"{}\",", state_name(page::state()))?;
        writeln!(f, "  \"message\": {},", Json(message))?;
        writeln!(f, "  \"runtimes\": [{}],", Runtimes(status))?;
        let microseconds = load(&status.attach_nanoseconds) as f64 / 1000.0;
        writeln!(f, "  \"attach_microseconds\": {microseconds:.1},")?;
        let stopped = status.threads_stopped.load(Ordering::Relaxed);
        writeln!(f, "  \"threads_stopped\": {stopped},")?;
        let imports = status.imports.load(Ordering::Relaxed);
        writeln!(f, "  \"imports_redirected\": {imports},")?;
        if status.old_known.load(Ordering::Acquire) != 0 {
            let (blocks, bytes) = (load(&status.old_blocks), load(&status.old_bytes));
            writeln!(f, "  \"old_heap\": {{\"blocks\": {blocks}, \"bytes\": {bytes}}},")?;
        } else {
            writeln!(f, "  \"old_heap\": null,")?;
        }
        writeln!(
            f,
            "  \"foreign\": {{\"migrated_blocks\": {}, \"migrated_bytes\": {}, \"freed_blocks\": {}, \
             \"freed_bytes\": {}, \"resized_blocks\": {}}},",
            load(&status.migrated_blocks),
            load(&status.migrated_bytes),
            load(&status.freed_blocks),
            load(&status.freed_bytes),
            load(&status.resized_blocks),
        )?;
        writeln!(
            f,
            "  \"mimalloc\": {{\"committed_bytes\": {}, \"peak_committed_bytes\": {}, \"used_bytes\": {}, \"reserved_bytes\": {}, \
             \"peak_reserved_bytes\": {}, \"threads\": {}}}",
            figures.committed,
            figures.committed_peak,
            figures.used,
            figures.reserved,
            figures.reserved_peak,
            figures.threads,
        )?;
        writeln!(f, "}}")
    }
}

fn state_name(state: State) -> &'static str {
    match state {
        State::Empty | State::Attaching => "attaching",
        State::Active => "active",
        State::NoRuntime => "no-runtime",
        State::Failed => "failed",
        State::Disabled => "disabled",
    }
}

/// The runtimes as the elements of a JSON array.
struct Runtimes<'a>(&'a Status);

impl fmt::Display for Runtimes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = page::runtime_count(self.0);
        for (index, runtime) in self.0.runtimes[..count].iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            write!(f, "{separator}\n    ")?;
            self.write_one(f, index, runtime)?;
        }
        if count > 0 { f.write_str("\n  ") } else { Ok(()) }
    }
}

impl Runtimes<'_> {
    fn write_one(
        &self,
        f: &mut fmt::Formatter<'_>,
        index: usize,
        runtime: &RuntimeRecord,
    ) -> fmt::Result {
        let [major, minor, build, revision] = runtime.version;
        write!(
            f,
            "{{\"name\": {}, \"path\": {}, \"version\": \"{major}.{minor}.{build}.{revision}\", \
             \"functions\": {}, \"skipped\": [",
            Json(Wide(until_nul(&runtime.name))),
            Json(Wide(until_nul(&runtime.path))),
            runtime.functions.load(Ordering::Relaxed),
        )?;
        // SAFETY: the loader's lock is held.
        let list = unsafe { &*SKIPPED.0.get() };
        let mut separator = "";
        for (_, skipped) in list.iter().flatten().filter(|(runtime, _)| *runtime == index) {
            let name = skipped.name.to_str().unwrap_or("?");
            let reason = skipped.reason.text();
            write!(f, "{separator}{{\"name\": {}, \"reason\": {}}}", Json(name), Json(reason))?;
            separator = ", ";
        }
        f.write_str("]}")
    }
}

/// Text as a JSON string.
struct Json<T>(T);

impl<T: fmt::Display> fmt::Display for Json<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        write!(Escaping(f), "{}", self.0)?;
        f.write_char('"')
    }
}

/// Passes text on with what JSON does not allow in a string escaped.
struct Escaping<'a, 'f>(&'a mut fmt::Formatter<'f>);

impl fmt::Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            match character {
                '"' | '\\' => write!(self.0, "\\{character}")?,
                '\0'..='\x1F' => write!(self.0, "\\u{:04x}", character as u32)?,
                _ => self.0.write_char(character)?,
            }
        }
        Ok(())
    }
}
