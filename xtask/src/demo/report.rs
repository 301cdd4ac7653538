//! The module's report, as far as the demonstration shows it.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

/// One report; fields that are missing read as empty.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Report {
    mimalloc_version: String,
    state: String,
    message: String,
    runtimes: Vec<Runtime>,
    attach_microseconds: f64,
    old_heap: Option<OldHeap>,
    foreign: Foreign,
    mimalloc: Mimalloc,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Runtime {
    name: String,
    version: String,
    functions: u64,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Foreign {
    migrated_blocks: u64,
    migrated_bytes: u64,
    freed_blocks: u64,
    freed_bytes: u64,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct OldHeap {
    blocks: u64,
    bytes: u64,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Mimalloc {
    peak_committed_bytes: u64,
}

impl Report {
    /// Reads the file that the module wrote; a module that was never loaded wrote none.
    pub fn read(file: &Path) -> Result<Report> {
        match fs::read(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Report {
                state: "not loaded".to_owned(),
                message: "the module wrote no report".to_owned(),
                ..Report::default()
            }),
            text => serde_json::from_slice(&text?)
                .with_context(|| format!("reading {}", file.display())),
        }
    }

    /// Whether a heap was taken over.
    pub fn is_active(&self) -> bool {
        self.state == "active"
    }

    /// What a person wants to know, as rows of a table.
    pub fn rows(&self) -> Vec<(&'static str, String)> {
        if !self.is_active() {
            return vec![(
                "took over",
                format!("NOTHING ({}) {}", self.state, self.message).trim_end().to_owned(),
            )];
        }
        let mut rows = Vec::new();
        for runtime in &self.runtimes {
            rows.push((
                "took over",
                format!("{} functions of {} {}", runtime.functions, runtime.name, runtime.version),
            ));
        }
        rows.push(("in", format!("{:.2} ms", self.attach_microseconds / 1000.0)));
        if let Some(old) = &self.old_heap {
            rows.push(("old heap held", blocks(old.blocks, old.bytes)));
        }
        let foreign = &self.foreign;
        rows.push(("blocks migrated", blocks(foreign.migrated_blocks, foreign.migrated_bytes)));
        rows.push(("old blocks freed", blocks(foreign.freed_blocks, foreign.freed_bytes)));
        rows.push((
            "heap since",
            format!(
                "mimalloc {}, at most {} committed",
                self.mimalloc_version,
                bytes(self.mimalloc.peak_committed_bytes)
            ),
        ));
        rows
    }
}

fn blocks(count: u64, size: u64) -> String {
    if count == 0 { "none".to_owned() } else { format!("{count} ({})", bytes(size)) }
}

/// A size as a person reads it.
fn bytes(size: u64) -> String {
    const UNITS: [&str; 4] = ["bytes", "KiB", "MiB", "GiB"];
    let mut unit = 0;
    let mut shown = size as f64;
    while shown >= 1024.0 && unit + 1 < UNITS.len() {
        shown /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{size} bytes") } else { format!("{shown:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(text: &str) -> Report {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_takeover_is_told_with_its_counts() {
        let report = report(
            r#"{"state": "active", "mimalloc_version": "3.3.2", "attach_microseconds": 1500.0, "old_heap": null,
                "runtimes": [{"name": "ucrtbase.dll", "version": "10.0.26100.1742", "functions": 41, "skipped": []}],
                "foreign": {"migrated_blocks": 3, "migrated_bytes": 2048}}"#,
        );
        assert!(report.is_active());
        let rows = report.rows();
        assert!(
            rows.contains(&(
                "took over",
                "41 functions of ucrtbase.dll 10.0.26100.1742".to_owned()
            ))
        );
        assert!(rows.contains(&("in", "1.50 ms".to_owned())));
        assert!(rows.contains(&("blocks migrated", "3 (2.0 KiB)".to_owned())));
        assert!(rows.contains(&("old blocks freed", "none".to_owned())));
    }

    #[test]
    fn a_failure_is_told_with_its_reason() {
        let report = report(r#"{"state": "failed", "message": "no memory near the runtime"}"#);
        assert!(!report.is_active());
        assert_eq!(
            report.rows(),
            [("took over", "NOTHING (failed) no memory near the runtime".to_owned())]
        );
    }

    #[test]
    fn a_module_that_wrote_no_report_was_not_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let report = Report::read(&folder.path().join("none.json")).unwrap();
        assert!(!report.is_active());
    }
}
