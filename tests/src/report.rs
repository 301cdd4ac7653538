//! Reads the report that the module writes when the program ends.

use std::path::Path;

use serde::Deserialize;

/// The fields of the module's report that the scenarios, the benches and the demo look at.
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
    /// Threads that were suspended for the takeover.
    #[serde(default)]
    pub threads_stopped: u32,
    /// What the old heap held at the takeover, if blocks were to be counted.
    #[serde(default)]
    pub old_heap: Option<OldHeap>,
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
        self.state == "active" && !self.runtimes.is_empty()
    }
}
