//! The report that the module writes.

use std::path::Path;

use serde::Deserialize;

/// The fields of the module's report that the scenarios look at.
#[derive(Deserialize, Debug, Clone)]
pub struct Report {
    /// `active`, `no-runtime`, `failed` or `disabled`.
    pub state: String,
    /// Why the takeover failed; empty if it did not.
    #[serde(default)]
    pub message: String,
    /// Version of the module.
    pub module_version: String,
    /// Version of the mimalloc inside it.
    pub mimalloc_version: String,
    /// The C runtimes that were taken over.
    #[serde(default)]
    pub runtimes: Vec<Runtime>,
    /// Threads that were stopped during the takeover.
    #[serde(default)]
    pub threads_stopped: u32,
    /// What the old heap held when it was taken over, where the system tells that.
    #[serde(default)]
    pub old_heap: Option<OldHeap>,
    /// What became of the old heap's blocks.
    pub foreign: Foreign,
    /// Duration of the takeover in microseconds.
    #[serde(default)]
    pub attach_microseconds: f64,
    /// mimalloc's own figures.
    #[serde(default)]
    pub mimalloc: serde_json::Value,
}

/// One C runtime of the process.
#[derive(Deserialize, Debug, Clone)]
pub struct Runtime {
    /// File name, as `ucrtbase.dll`.
    pub name: String,
    /// File version.
    #[serde(default)]
    pub version: Option<String>,
    /// Entries that were redirected.
    pub functions: u32,
    /// Entries that were left alone, and why.
    #[serde(default)]
    pub skipped: Vec<serde_json::Value>,
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
    /// Blocks resized where they lay.
    pub resized_blocks: u64,
}

impl Report {
    /// Reads the report at `path`. The error is one line for a person.
    pub fn read(path: &Path) -> Result<Report, String> {
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
