//! The contents of a status page, for the lines that `run`, `inject`, `bench` and `status` print,
//! and for `status --json`.
//!
//! The page belongs to another program: nothing in it is trusted to be well-formed, and no text
//! from it reaches a terminal before `printable`.

use crate::output::printable;
use allograft_image::FileVersion;
use allograft_inject::{
    HeapRecord, HeapState, MAX_RUNTIMES, Page, RuntimeProof, RuntimeRecord, State,
};
use serde::{Serialize, Serializer};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// The state of one process. Fields that the module's report has too bear the same names.
#[derive(Debug, Serialize)]
pub struct PageReading {
    pub pid: u32,
    pub name: String,
    /// None if the page holds a number that is no state.
    #[serde(serialize_with = "serialize_state")]
    pub state: Option<State>,
    /// Why the takeover failed; empty if it did not.
    pub message: String,
    pub module_version: String,
    /// Version of the mimalloc inside the module: `3.3.2`.
    pub mimalloc_version: String,
    /// When the last takeover was complete, in seconds since 1970.
    pub attached_at: Option<u64>,
    pub attach_microseconds: f64,
    /// The most threads that were suspended for one takeover.
    pub threads_stopped: u32,
    /// The C runtimes that the module found.
    pub runtimes: Vec<RuntimeReading>,
    pub process_heap: ProcessHeapReading,
    /// Whether the blocks of the C runtimes keep the sizes that were asked for.
    pub exact_sizes: bool,
    /// Mistakes of the program's that mimalloc found, if it checks every free.
    pub mistakes: Option<u32>,
    /// What the old heap held at the takeover, if it was counted.
    pub old_heap: Option<HeapBlocks>,
    /// Blocks of the old heap that a reallocation moved to mimalloc.
    pub migrated: HeapBlocks,
    /// Blocks of the old heap that the program freed.
    pub freed: HeapBlocks,
    /// What is left of `old_heap`: nothing if more went than was counted, since the program may
    /// have got blocks after the count.
    pub outstanding: Option<HeapBlocks>,
    /// Bytes that mimalloc had committed when the module last asked it.
    pub committed_bytes: u64,
    /// The peak of `committed_bytes`.
    pub peak_committed_bytes: u64,
    /// The part of `committed_bytes` that holds blocks or mimalloc's own tables.
    pub used_bytes: u64,
}

/// A number of blocks and the bytes in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct HeapBlocks {
    pub blocks: u64,
    pub bytes: u64,
}

#[derive(Debug, Serialize)]
pub struct RuntimeReading {
    pub name: String,
    /// File version; all zero if the file has none.
    pub version: FileVersion,
    pub functions: u32,
    /// None if the page holds a number that is none.
    #[serde(serialize_with = "serialize_proof")]
    pub proof: Option<RuntimeProof>,
}

/// The process's heap, which `HeapAlloc` and its kin serve.
#[derive(Debug, Serialize)]
pub struct ProcessHeapReading {
    /// None if the page holds a number that is no state.
    #[serde(serialize_with = "serialize_heap_state")]
    pub state: Option<HeapState>,
    /// Why it was left alone; empty if it was not.
    pub reason: String,
    /// Import slots whose calls allocate from mimalloc.
    pub slots_allocating: u32,
    /// Import slots whose calls free, resize or size blocks of mimalloc's too.
    pub slots_freeing: u32,
    /// Modules with slots of either kind.
    pub modules: u32,
    /// Exported names of the system's that lead to the replacements.
    pub exports: u32,
    /// Heaps of linked-in C runtimes that are served.
    pub private_heaps: u32,
    /// Blocks of the old heap that a reallocation moved to mimalloc.
    pub migrated: HeapBlocks,
    /// Blocks of the old heap that were freed, those of Windows' own DLLs among them.
    pub freed_blocks: u64,
    /// Blocks of mimalloc's that the original functions were given, if they are counted.
    pub escapes: Option<u64>,
}

impl ProcessHeapReading {
    /// Whether somebody's allocations come from mimalloc.
    pub fn is_served(&self) -> bool {
        self.state.is_some_and(HeapState::is_served) && self.slots_allocating > 0
    }
}

impl PageReading {
    /// Reads `page`, whose process runs the file `program`.
    pub fn new(page: &Page, program: &str) -> PageReading {
        let status = &page.status;
        let blocks = |blocks: &AtomicU64, bytes: &AtomicU64| HeapBlocks {
            blocks: blocks.load(Relaxed),
            bytes: bytes.load(Relaxed),
        };
        let old_heap = (status.old_known.load(Relaxed) == 1)
            .then(|| blocks(&status.old_blocks, &status.old_bytes));
        let migrated = blocks(&status.migrated_blocks, &status.migrated_bytes);
        let freed = blocks(&status.freed_blocks, &status.freed_bytes);
        let runtime_count = (status.runtime_count.load(Relaxed) as usize).min(MAX_RUNTIMES);
        let [major, minor, patch, _] = status.module_version;
        let mimalloc = status.mimalloc_version;
        PageReading {
            pid: page.header.pid,
            name: printable(program),
            state: State::from_u32(status.state.load(Relaxed)),
            message: text(&status.message),
            module_version: format!("{major}.{minor}.{patch}"),
            mimalloc_version: format!(
                "{}.{}.{}",
                mimalloc / 10_000,
                mimalloc / 100 % 100,
                mimalloc % 100
            ),
            attached_at: seconds_since_1970(status.attached_at.load(Relaxed)),
            attach_microseconds: status.attach_nanoseconds.load(Relaxed) as f64 / 1e3,
            threads_stopped: status.threads_stopped.load(Relaxed),
            runtimes: status.runtimes[..runtime_count].iter().map(runtime_reading).collect(),
            process_heap: process_heap_reading(&status.heap),
            exact_sizes: status.heap.exact_sizes.load(Relaxed) != 0,
            mistakes: (status.checks_frees.load(Relaxed) == 1)
                .then(|| status.heap_mistakes.load(Relaxed)),
            old_heap,
            migrated,
            freed,
            outstanding: old_heap.map(|old| HeapBlocks {
                blocks: old.blocks.saturating_sub(migrated.blocks).saturating_sub(freed.blocks),
                bytes: old.bytes.saturating_sub(migrated.bytes).saturating_sub(freed.bytes),
            }),
            committed_bytes: status.mimalloc_committed.load(Relaxed),
            peak_committed_bytes: status.mimalloc_committed_peak.load(Relaxed),
            used_bytes: status.mimalloc_used.load(Relaxed),
        }
    }

    /// Whether the program is on mimalloc. The takeover of `msvcrt.dll` alone proves nothing:
    /// Windows' own DLLs bring it into nearly every process.
    pub fn is_on_mimalloc(&self) -> bool {
        let is_own = |runtime: &RuntimeReading| {
            runtime.functions > 0 && !runtime.name.eq_ignore_ascii_case("msvcrt.dll")
        };
        self.state == Some(State::Active)
            && (self.runtimes.iter().any(is_own) || self.process_heap.is_served())
    }
}

fn process_heap_reading(heap: &HeapRecord) -> ProcessHeapReading {
    ProcessHeapReading {
        state: HeapState::from_u32(heap.state.load(Relaxed)),
        reason: text(&heap.obstacle),
        slots_allocating: heap.slots_allocating.load(Relaxed),
        slots_freeing: heap.slots_freeing.load(Relaxed),
        modules: heap.modules.load(Relaxed),
        exports: heap.exports.load(Relaxed),
        private_heaps: heap.private_heaps.load(Relaxed),
        migrated: HeapBlocks {
            blocks: heap.migrated_blocks.load(Relaxed),
            bytes: heap.migrated_bytes.load(Relaxed),
        },
        freed_blocks: heap.freed_blocks.load(Relaxed),
        escapes: (heap.escapes_known.load(Relaxed) == 1).then(|| heap.escapes.load(Relaxed)),
    }
}

/// Text of the page, as far as its NUL.
fn text(bytes: &[u8]) -> String {
    let text = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
    printable(String::from_utf8_lossy(text).trim())
}

fn runtime_reading(runtime: &RuntimeRecord) -> RuntimeReading {
    let name = runtime.name.split(|&unit| unit == 0).next().unwrap_or_default();
    RuntimeReading {
        name: printable(&String::from_utf16_lossy(name)),
        version: FileVersion(runtime.version),
        functions: runtime.functions.load(Relaxed),
        proof: RuntimeProof::from_u32(runtime.proof.load(Relaxed)),
    }
}

fn serialize_proof<S: Serializer>(proof: &Option<RuntimeProof>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(proof.map_or("unknown", RuntimeProof::name))
}

fn serialize_state<S: Serializer>(state: &Option<State>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(match state {
        Some(State::Empty | State::Attaching) => "attaching",
        Some(State::Active) => "active",
        Some(State::NoRuntime) => "no-runtime",
        Some(State::Failed) => "failed",
        Some(State::Disabled) => "disabled",
        None => "unknown",
    })
}

fn serialize_heap_state<S: Serializer>(
    state: &Option<HeapState>,
    to: S,
) -> Result<S::Ok, S::Error> {
    to.serialize_str(state.map_or("unknown", HeapState::name))
}

/// A `FILETIME` (100 ns since 1601) in whole seconds since 1970. None for 0, which means never.
fn seconds_since_1970(filetime: u64) -> Option<u64> {
    const SECONDS_FROM_1601_TO_1970: u64 = 11_644_473_600;
    (filetime != 0).then(|| (filetime / 10_000_000).saturating_sub(SECONDS_FROM_1601_TO_1970))
}

/// Status pages for tests.
#[cfg(test)]
pub mod sample {
    use super::*;

    /// A page of the process 42 in this state, zero otherwise.
    pub fn page(state: State) -> Box<Page> {
        // SAFETY: every field is an integer or an array of integers, which may be zero.
        let mut page: Box<Page> = unsafe { Box::new_zeroed().assume_init() };
        *page.status.state.get_mut() = state as u32;
        page.header.pid = 42;
        page
    }

    pub fn add_runtime(page: &mut Page, name: &str, version: [u16; 4], functions: u32) {
        let count = page.status.runtime_count.get_mut();
        let runtime = &mut page.status.runtimes[*count as usize];
        *count += 1;
        for (to, from) in runtime.name.iter_mut().zip(name.encode_utf16()) {
            *to = from;
        }
        runtime.version = version;
        *runtime.functions.get_mut() = functions;
    }

    pub fn serve_heap(page: &mut Page, state: HeapState) {
        let heap = &mut page.status.heap;
        *heap.state.get_mut() = state as u32;
        *heap.slots_allocating.get_mut() = if state.is_served() { 2 } else { 0 };
        (*heap.slots_freeing.get_mut(), *heap.modules.get_mut()) = (131, 23);
        *heap.exports.get_mut() = 9;
    }

    pub fn leave_heap_alone(page: &mut Page, reason: &str) {
        let heap = &mut page.status.heap;
        *heap.state.get_mut() = HeapState::LeftAlone as u32;
        heap.obstacle[..reason.len()].copy_from_slice(reason.as_bytes());
    }

    pub fn count_old_heap(page: &mut Page, blocks: u64, bytes: u64) {
        *page.status.old_known.get_mut() = 1;
        *page.status.old_blocks.get_mut() = blocks;
        *page.status.old_bytes.get_mut() = bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::sample::{add_runtime, count_old_heap, leave_heap_alone, page, serve_heap};
    use super::*;

    #[test]
    fn what_is_left_is_the_count_less_what_went() {
        let mut page = page(State::Active);
        count_old_heap(&mut page, 10, 1000);
        let status = &mut page.status;
        (*status.migrated_blocks.get_mut(), *status.migrated_bytes.get_mut()) = (3, 300);
        (*status.freed_blocks.get_mut(), *status.freed_bytes.get_mut()) = (2, 100);
        let left = PageReading::new(&page, "a").outstanding;
        assert_eq!(left, Some(HeapBlocks { blocks: 5, bytes: 600 }));
        *page.status.freed_blocks.get_mut() = u64::MAX;
        let left = PageReading::new(&page, "a").outstanding;
        assert_eq!(left, Some(HeapBlocks { blocks: 0, bytes: 600 }));
    }

    #[test]
    fn what_was_not_counted_is_unknown() {
        let reading = PageReading::new(&page(State::Empty), "a");
        assert_eq!((reading.old_heap, reading.outstanding), (None, None));
        assert_eq!(reading.attached_at, None);
        assert_eq!(serde_json::to_value(&reading).unwrap()["state"], "attaching");
    }

    #[test]
    fn a_page_full_of_nonsense_does_no_harm() {
        const UNKNOWN: &str = "unknown";
        let mut page = page(State::Empty);
        let status = &mut page.status;
        *status.state.get_mut() = 99;
        *status.runtime_count.get_mut() = u32::MAX;
        *status.attached_at.get_mut() = u64::MAX;
        status.message = [0x1B; 1024];
        status.runtimes[0].name = [0xD800; 32];
        *status.heap.state.get_mut() = 99;
        status.heap.obstacle = [0x1B; 256];
        let reading = PageReading::new(&page, "a\x1b[2J");
        assert_eq!(reading.state, None);
        assert_eq!(reading.runtimes.len(), MAX_RUNTIMES);
        let text = format!("{reading:?}");
        assert!(!text.contains('\x1b'), "{text}");
        let json = serde_json::to_value(&reading).unwrap();
        assert_eq!(
            (&json["state"], &json["process_heap"]["state"]),
            (&UNKNOWN.into(), &UNKNOWN.into())
        );
    }

    #[test]
    fn a_program_is_on_mimalloc_if_a_runtime_of_its_own_was_taken_over() {
        let mut page = page(State::Active);
        add_runtime(&mut page, "MSVCRT.dll", [7, 0, 1, 2], 40);
        add_runtime(&mut page, "ucrtbase.dll", [10, 0, 1, 2], 0);
        assert!(!PageReading::new(&page, "a").is_on_mimalloc());
        add_runtime(&mut page, "ucrtbased.dll", [10, 0, 1, 2], 41);
        assert!(PageReading::new(&page, "a").is_on_mimalloc());
        *page.status.state.get_mut() = State::Failed as u32;
        assert!(!PageReading::new(&page, "a").is_on_mimalloc());
    }

    #[test]
    fn a_program_is_on_mimalloc_if_its_allocations_from_the_process_heap_are_served() {
        for (state, served) in [
            (HeapState::Off, false),
            (HeapState::FreeSide, false),
            (HeapState::Program, true),
            (HeapState::All, true),
        ] {
            let mut page = page(State::Active);
            add_runtime(&mut page, "msvcrt.dll", [7, 0, 1, 2], 40);
            serve_heap(&mut page, state);
            assert_eq!(PageReading::new(&page, "a").is_on_mimalloc(), served, "{state:?}");
            *page.status.heap.slots_allocating.get_mut() = 0;
            assert!(!PageReading::new(&page, "a").is_on_mimalloc(), "nobody allocates");
        }
        let mut page = page(State::Active);
        leave_heap_alone(&mut page, "page heap");
        assert!(!PageReading::new(&page, "a").is_on_mimalloc());
    }

    #[test]
    fn the_process_heap_is_in_the_json_with_its_reason_and_what_is_known() {
        let mut page = page(State::Active);
        leave_heap_alone(&mut page, "page heap");
        *page.status.heap.migrated_bytes.get_mut() = 7;
        let json = |page: &Page| serde_json::to_value(PageReading::new(page, "a")).unwrap();
        let heap = &json(&page)["process_heap"];
        assert_eq!((&heap["state"], &heap["reason"]), (&"left-alone".into(), &"page heap".into()));
        assert_eq!(heap["migrated"]["bytes"], 7);
        assert_eq!(heap["escapes"], serde_json::Value::Null, "they are not counted");
        *page.status.heap.escapes_known.get_mut() = 1;
        assert_eq!(json(&page)["process_heap"]["escapes"], 0);
    }

    #[test]
    fn file_times_become_seconds_since_1970() {
        assert_eq!(seconds_since_1970(116_444_736_000_000_000), Some(0));
        assert_eq!(seconds_since_1970(133_000_000_000_000_000), Some(1_655_526_400));
        assert_eq!(seconds_since_1970(1), Some(0));
    }
}
