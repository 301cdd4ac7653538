//! The report that the module writes at the takeover and when the program ends.

use std::path::Path;

use serde::Deserialize;

/// The fields of the module's report that the scenarios, the benches, the demo and `allograft
/// verify` look at.
#[derive(Deserialize, Debug, Clone)]
pub struct ModuleReport {
    /// `active`, `no-runtime`, `failed` or `disabled`.
    pub state: String,
    /// Why the takeover failed; empty if it did not.
    #[serde(default)]
    pub message: String,
    /// Version of the mimalloc inside the module.
    pub mimalloc_version: String,
    /// The C runtimes that were taken over.
    #[serde(default)]
    pub runtimes: Vec<RuntimeReport>,
    /// What became of the process's heap.
    pub process_heap: ProcessHeapReport,
    /// Whether the blocks of the C runtimes keep the sizes that were asked for.
    pub exact_sizes: bool,
    /// Threads that were suspended for the takeover.
    #[serde(default)]
    pub threads_stopped: u32,
    /// What the old heap held at the takeover, if blocks were to be counted.
    #[serde(default)]
    pub old_heap: Option<OldHeap>,
    /// Mistakes of the program's, if every free was checked.
    #[serde(default)]
    pub mistakes: Option<u32>,
    /// What became of the old heap's blocks.
    pub foreign: Foreign,
    /// Duration of the takeover in microseconds.
    #[serde(default)]
    pub attach_microseconds: f64,
    /// mimalloc's statistics.
    #[serde(default)]
    pub mimalloc: MimallocFigures,
}

/// One C runtime of the process.
#[derive(Deserialize, Debug, Clone)]
pub struct RuntimeReport {
    /// File name, as `ucrtbase.dll`.
    pub name: String,
    /// File version.
    #[serde(default)]
    pub version: Option<String>,
    /// How many functions were redirected.
    pub functions: u32,
    /// Why none of its blocks reaches the system's heap: `redirected`, `scanned`, `wine`, or
    /// `unproved`.
    #[serde(default)]
    pub proof: String,
}

/// The process's heap, on which `HeapAlloc` and its kin work.
#[derive(Deserialize, Debug, Clone)]
pub struct ProcessHeapReport {
    /// `program` or `all` if it is served, else `free-side`, `off`, `left-alone` or `untouched`.
    pub state: String,
    /// Why it was left alone; empty if it was not.
    pub reason: String,
    /// Import slots whose calls allocate from mimalloc.
    pub slots_allocating: u32,
    /// Import slots whose calls free, resize or size blocks of mimalloc's too.
    pub slots_freeing: u32,
    /// Modules with slots of either kind.
    pub modules: u32,
    /// Exports of the system's that lead to the replacements.
    pub exports: u32,
    /// Heaps of linked-in runtimes that are served.
    pub private_heaps: u32,
    /// Blocks of the old heap moved to mimalloc.
    pub migrated_blocks: u64,
    /// Blocks of the old heap freed.
    pub freed_blocks: u64,
    /// Blocks of mimalloc's that reached the system's heap, if the module counts them.
    pub escapes: Option<u64>,
}

/// Contents of the old heap.
#[derive(Deserialize, Debug, Clone)]
pub struct OldHeap {
    /// Blocks in use.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Counters of blocks that the old heap made.
#[derive(Deserialize, Debug, Clone)]
pub struct Foreign {
    /// Blocks moved to mimalloc by a reallocation.
    pub migrated_blocks: u64,
    /// The sizes that they had, in bytes.
    pub migrated_bytes: u64,
    /// Blocks freed.
    pub freed_blocks: u64,
    /// The sizes that they had, in bytes.
    pub freed_bytes: u64,
}

/// mimalloc's statistics.
#[derive(Deserialize, Debug, Clone, Default)]
#[serde(default)]
pub struct MimallocFigures {
    /// The most memory that was committed at a time, in bytes.
    pub peak_committed_bytes: u64,
}

impl ModuleReport {
    /// Reads the report at `path`. The error is one line for a person.
    pub fn read(path: &Path) -> Result<ModuleReport, String> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("no report was written to {}: {error}", path.display()))?;
        serde_json::from_str(&text)
            .map_err(|error| format!("the report cannot be read ({error}): {text}"))
    }

    /// Whether a heap was taken over.
    pub fn is_active(&self) -> bool {
        self.state == "active" && (!self.runtimes.is_empty() || self.process_heap.is_served())
    }
}

impl ProcessHeapReport {
    /// Whether somebody's allocations come from mimalloc.
    pub fn is_served(&self) -> bool {
        ["program", "all"].contains(&&*self.state) && self.slots_allocating > 0
    }
}
