//! The report as text: one JSON object that says what was taken over and what has become of the old
//! heap. It is written by hand, since nothing may be allocated when the process ends. Nothing here
//! calls the system.

use core::ffi::CStr;
use core::fmt::{self, Write};
use core::sync::atomic::Ordering;

use allograft_engine::SKIP_REASON;
use allograft_heap::HeapFigures;
use allograft_inject::{
    HeapRecord, HeapState, RuntimeProof, RuntimeRecord, State, Status, until_nul,
};

use crate::text::Wide;

/// The report. Displayed, it is one JSON object.
pub(crate) struct ReportText<'a> {
    pub(crate) process: u32,
    /// The full path of the program.
    pub(crate) path: &'a [u16],
    pub(crate) state: State,
    pub(crate) message: &'a str,
    pub(crate) status: &'a Status,
    pub(crate) runtimes: &'a [RuntimeRecord],
    /// The names that were left alone, with the index of their runtime.
    pub(crate) skipped: &'a [Option<(usize, &'static CStr)>],
    /// Why the process's heap was left alone.
    pub(crate) heap_obstacle: &'a str,
    pub(crate) figures: HeapFigures,
}

impl fmt::Display for ReportText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ReportText { process, path, message, status, figures, .. } = self;
        let load = |counter: &core::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let mimalloc = status.mimalloc_version;

        writeln!(f, "{{")?;
        writeln!(f, "  \"module_version\": \"{}\",", env!("CARGO_PKG_VERSION"))?;
        writeln!(
            f,
            "  \"mimalloc_version\": \"{}.{}.{}\",",
            mimalloc / 10000,
            mimalloc / 100 % 100,
            mimalloc % 100
        )?;
        writeln!(f, "  \"process\": {{\"pid\": {process}, \"path\": {}}},", Json(Wide(path)))?;
        writeln!(f, "  \"state\": \"{}\",", state_name(self.state))?;
        writeln!(f, "  \"message\": {},", Json(message))?;
        writeln!(f, "  \"runtimes\": [{}],", RuntimeList(self))?;
        let heap = ProcessHeap { record: &status.heap, obstacle: self.heap_obstacle };
        writeln!(f, "  \"process_heap\": {heap},")?;
        let exact_sizes = status.heap.exact_sizes.load(Ordering::Relaxed) != 0;
        writeln!(f, "  \"exact_sizes\": {exact_sizes},")?;
        match status.checks_frees.load(Ordering::Acquire) {
            0 => writeln!(f, "  \"mistakes\": null,")?,
            _ => {
                let mistakes = status.heap_mistakes.load(Ordering::Relaxed);
                writeln!(f, "  \"mistakes\": {mistakes},")?;
            }
        }
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

/// The process's heap as a JSON object.
struct ProcessHeap<'a> {
    record: &'a HeapRecord,
    obstacle: &'a str,
}

impl fmt::Display for ProcessHeap<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let record = self.record;
        let state = HeapState::from_u32(record.state.load(Ordering::Acquire));
        write!(
            f,
            "{{\"state\": \"{}\", \"reason\": {},",
            state.map_or("unknown", HeapState::name),
            Json(self.obstacle)
        )?;
        for (name, count) in [
            ("slots_allocating", &record.slots_allocating),
            ("slots_freeing", &record.slots_freeing),
            ("modules", &record.modules),
            ("exports", &record.exports),
            ("private_heaps", &record.private_heaps),
        ] {
            write!(f, " \"{name}\": {},", count.load(Ordering::Relaxed))?;
        }
        for (name, count) in [
            ("migrated_blocks", &record.migrated_blocks),
            ("migrated_bytes", &record.migrated_bytes),
            ("freed_blocks", &record.freed_blocks),
        ] {
            write!(f, " \"{name}\": {},", count.load(Ordering::Relaxed))?;
        }
        f.write_str(" \"escapes\": ")?;
        match record.escapes_known.load(Ordering::Acquire) {
            0 => f.write_str("null}"),
            _ => write!(f, "{}}}", record.escapes.load(Ordering::Relaxed)),
        }
    }
}

/// The runtimes as the elements of a JSON array.
struct RuntimeList<'a>(&'a ReportText<'a>);

impl fmt::Display for RuntimeList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, runtime) in self.0.runtimes.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            write!(f, "{separator}\n    ")?;
            self.write_one(f, index, runtime)?;
        }
        if self.0.runtimes.is_empty() { Ok(()) } else { f.write_str("\n  ") }
    }
}

impl RuntimeList<'_> {
    fn write_one(
        &self,
        f: &mut fmt::Formatter<'_>,
        index: usize,
        runtime: &RuntimeRecord,
    ) -> fmt::Result {
        let [major, minor, build, revision] = runtime.version;
        let proof = RuntimeProof::from_u32(runtime.proof.load(Ordering::Relaxed));
        write!(
            f,
            "{{\"name\": {}, \"path\": {}, \"version\": \"{major}.{minor}.{build}.{revision}\", \
             \"functions\": {}, \"proof\": \"{}\", \"skipped\": [",
            Json(Wide(until_nul(&runtime.name))),
            Json(Wide(until_nul(&runtime.path))),
            runtime.functions.load(Ordering::Relaxed),
            proof.map_or("unknown", RuntimeProof::name),
        )?;
        let mut separator = "";
        for (_, skipped) in self.0.skipped.iter().flatten().filter(|(runtime, _)| *runtime == index)
        {
            let (name, reason) = (skipped.to_str().unwrap_or("?"), SKIP_REASON);
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

#[cfg(test)]
mod tests {
    use core::sync::atomic::{AtomicU32, AtomicU64};

    use serde_json::{Value, json};

    use super::*;
    use crate::text::copy_wide;

    fn wide(text: &str) -> Vec<u16> {
        text.encode_utf16().collect()
    }

    fn status() -> Box<Status> {
        // SAFETY: zeroes are a value of every field.
        let mut status: Box<Status> = unsafe { Box::new_zeroed().assume_init() };
        status.mimalloc_version = 30302;
        status.attach_nanoseconds = AtomicU64::new(1_234_567);
        status.threads_stopped = AtomicU32::new(3);
        status.imports = AtomicU32::new(9);
        status.migrated_blocks = AtomicU64::new(4);
        status.freed_bytes = AtomicU64::new(u64::MAX);
        for (index, name) in ["ucrtbase.dll", "msvcrt.dll"].into_iter().enumerate() {
            let runtime = &mut status.runtimes[index];
            copy_wide(&wide(name), &mut runtime.name);
            copy_wide(&wide(&format!(r"C:\Windows\{name}")), &mut runtime.path);
            runtime.version = [10, 0, 19041, 3636];
            runtime.functions = AtomicU32::new(40 + index as u32);
            runtime.proof = AtomicU32::new(3 * index as u32);
        }
        status
    }

    fn report(
        status: &Status,
        runtimes: usize,
        skipped: &[Option<(usize, &'static CStr)>],
    ) -> Value {
        let text = ReportText {
            process: 42,
            path: &wide("C:\\a \"quoted\" n\u{e4}me\\\u{1}.exe"),
            state: State::Active,
            message: "line\nbreak",
            status,
            runtimes: &status.runtimes[..runtimes],
            skipped,
            heap_obstacle: "a \"reason\"",
            figures: HeapFigures { committed: 1, used: 2, threads: 5, ..HeapFigures::default() },
        };
        let text = text.to_string();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    #[test]
    fn the_report_is_json_whatever_stands_in_paths_and_messages() {
        let report = report(&status(), 0, &[]);
        assert_eq!(report["process"]["path"], "C:\\a \"quoted\" n\u{e4}me\\\u{1}.exe");
        assert_eq!(report["process"]["pid"], 42);
        assert_eq!(report["message"], "line\nbreak");
        assert_eq!(report["runtimes"], json!([]));
        assert_eq!(report["module_version"], env!("CARGO_PKG_VERSION"));
    }

    #[test]
    fn every_figure_is_under_its_name() {
        let status = status();
        let text = report(&status, 2, &[]);
        assert_eq!(text["state"], "active");
        assert_eq!(text["mimalloc_version"], "3.3.2");
        assert_eq!(text["attach_microseconds"], 1234.6);
        assert_eq!(text["threads_stopped"], 3);
        assert_eq!(text["imports_redirected"], 9);
        assert_eq!(text["foreign"]["migrated_blocks"], 4);
        assert_eq!(text["foreign"]["freed_bytes"], u64::MAX);
        assert_eq!(text["mimalloc"]["committed_bytes"], 1);
        assert_eq!(text["mimalloc"]["used_bytes"], 2);
        assert_eq!(text["mimalloc"]["threads"], 5);
        assert_eq!(text["old_heap"], Value::Null, "it was not counted");
        assert_eq!(text["mistakes"], Value::Null, "nothing was checked");
        status.checks_frees.store(1, Ordering::Relaxed);
        status.heap_mistakes.store(2, Ordering::Relaxed);
        assert_eq!(report(&status, 0, &[])["mistakes"], 2);
        status.old_known.store(1, Ordering::Relaxed);
        status.old_blocks.store(7, Ordering::Relaxed);
        assert_eq!(report(&status, 0, &[])["old_heap"], json!({"blocks": 7, "bytes": 0}));
    }

    #[test]
    fn the_process_heap_has_its_state_and_every_figure() {
        let status = status();
        assert_eq!(report(&status, 0, &[])["process_heap"]["state"], "untouched");
        status.heap.state.store(HeapState::Program as u32, Ordering::Relaxed);
        status.heap.slots_allocating.store(2, Ordering::Relaxed);
        status.heap.slots_freeing.store(131, Ordering::Relaxed);
        status.heap.modules.store(23, Ordering::Relaxed);
        status.heap.exports.store(9, Ordering::Relaxed);
        status.heap.private_heaps.store(1, Ordering::Relaxed);
        status.heap.migrated_blocks.store(4, Ordering::Relaxed);
        status.heap.migrated_bytes.store(64, Ordering::Relaxed);
        status.heap.freed_blocks.store(u64::MAX, Ordering::Relaxed);
        let mut expected = json!({
            "state": "program", "reason": "a \"reason\"", "slots_allocating": 2,
            "slots_freeing": 131, "modules": 23, "exports": 9, "private_heaps": 1,
            "migrated_blocks": 4, "migrated_bytes": 64, "freed_blocks": u64::MAX, "escapes": null,
        });
        assert_eq!(report(&status, 0, &[])["process_heap"], expected);
        status.heap.escapes_known.store(1, Ordering::Relaxed);
        expected["escapes"] = 0.into();
        assert_eq!(report(&status, 0, &[])["process_heap"], expected);
        assert_eq!(report(&status, 0, &[])["exact_sizes"], false);
        status.heap.exact_sizes.store(1, Ordering::Relaxed);
        assert_eq!(report(&status, 0, &[])["exact_sizes"], true);
    }

    #[test]
    fn each_runtime_has_the_names_that_were_left_alone_in_it() {
        let skipped = [Some((1, c"_expand")), None, Some((1, c"_msize"))];
        let report = report(&status(), 2, &skipped);
        let runtimes = report["runtimes"].as_array().unwrap();
        assert_eq!(runtimes[0]["name"], "ucrtbase.dll");
        assert_eq!(runtimes[0]["version"], "10.0.19041.3636");
        assert_eq!(runtimes[0]["skipped"], json!([]));
        assert_eq!(runtimes[1]["path"], r"C:\Windows\msvcrt.dll");
        assert_eq!(runtimes[1]["functions"], 41);
        assert_eq!(runtimes[0]["proof"], "redirected");
        assert_eq!(runtimes[1]["proof"], "unproved");
        let expected =
            ["_expand", "_msize"].map(|name| json!({"name": name, "reason": SKIP_REASON}));
        assert_eq!(runtimes[1]["skipped"], json!(expected));
    }
}
