//! Everything that a session measured, as it is kept in a file.

use allograft_measure::summary::Summary;
use serde::{Deserialize, Serialize};

use crate::configuration::{BASELINE, CRT};
use crate::workload::{self, Workload};

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Results {
    /// Versions, processors and system, in words.
    pub machine: String,
    pub rounds: usize,
    /// In the order in which they are shown.
    pub workloads: Vec<WorkloadResult>,
    pub takeovers: Vec<TakeoverCost>,
    pub entries: Vec<CallCost>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WorkloadResult {
    /// The name.
    pub workload: String,
    /// One for each configuration.
    pub series: Vec<Series>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Series {
    pub configuration: String,
    /// For each operation.
    pub nanoseconds: Vec<f64>,
    /// In bytes: committed memory of the bench's own programs, working set of others.
    pub peak_memory: Vec<f64>,
    /// In the configuration `late`: the bytes of the old heap's blocks that were gone after each
    /// repetition of the last round.
    pub old_bytes_gone: Vec<f64>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct TakeoverCost {
    pub threads: usize,
    /// Of the old heap.
    pub blocks: usize,
    /// The duration of the call that loads the module.
    pub load_microseconds: Vec<f64>,
    /// The part of it in which the functions were redirected.
    pub attach_microseconds: Vec<f64>,
    /// Suspending and resuming the other threads, without anything else.
    #[serde(default)]
    pub stop_microseconds: Vec<f64>,
    /// Bytes by which committed memory grew.
    pub committed: Vec<f64>,
    /// Bytes by which the working set grew.
    pub resident: Vec<f64>,
}

/// The instructions of one call of a heap function; the same on a busy machine and an idle one.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct CallCost {
    pub entry: String,
    /// `None` where the baseline has no such case.
    pub baseline: Option<u64>,
    /// From the program's call to its return.
    pub allograft: u64,
}

impl WorkloadResult {
    /// The workload, unless an earlier version of the bench had it.
    pub fn workload(&self) -> Option<&'static Workload> {
        workload::named(&self.workload)
    }

    pub fn is_own(&self) -> bool {
        self.workload().is_none_or(Workload::is_own)
    }

    /// The series of this configuration, if it has one that is not empty.
    pub fn in_configuration(&self, name: &str) -> Option<&Series> {
        let mut series = self.series.iter();
        series.find(|series| series.configuration == name && !series.nanoseconds.is_empty())
    }

    /// What the ratios refer to: the baseline, or the C runtime's own heap for a program that
    /// cannot be linked with mimalloc.
    pub fn base(&self) -> Option<&Series> {
        self.in_configuration(BASELINE).or_else(|| self.in_configuration(CRT))
    }

    /// The times in this configuration, each divided by the base's in the same round.
    pub fn time_ratio(&self, configuration: &str) -> Option<Summary> {
        let series = self.in_configuration(configuration)?;
        Summary::from_ratios(&series.nanoseconds, &self.base()?.nanoseconds)
    }

    /// As [`WorkloadResult::time_ratio`], of the peaks of memory.
    pub fn memory_ratio(&self, configuration: &str) -> Option<Summary> {
        let series = self.in_configuration(configuration)?;
        Summary::from_ratios(&series.peak_memory, &self.base()?.peak_memory)
    }
}

impl TakeoverCost {
    /// The process that was taken over, in words.
    pub fn process(&self) -> String {
        let threads =
            format!("{} thread{}", self.threads, if self.threads == 1 { "" } else { "s" });
        if self.blocks == 0 { threads } else { format!("{threads} and {} blocks", self.blocks) }
    }
}

impl Results {
    /// The names of the configurations, in the order in which they ran.
    pub fn configurations(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for series in self.workloads.iter().flat_map(|result| &result.series) {
            if !names.contains(&series.configuration.as_str()) {
                names.push(&series.configuration);
            }
        }
        names
    }
}
