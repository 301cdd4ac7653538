//! Everything that a session measured, as it is kept in a file.

use allograft_measure::statistics::{Summary, paired_ratio};
use serde::{Deserialize, Serialize};

use crate::configuration::{LIMIT, UNTOUCHED};

/// What one session measured.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Results {
    /// What it ran on, in words.
    pub machine: String,
    /// How often every workload ran in every configuration.
    pub rounds: usize,
    /// What was measured of each workload.
    pub workloads: Vec<Measured>,
    /// What was measured of the takeover itself.
    pub takeovers: Vec<Takeover>,
    /// Instructions of one call of each heap function.
    pub entries: Vec<Entry>,
}

/// What was measured of one workload.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Measured {
    /// Its name.
    pub workload: String,
    /// One series for each configuration.
    pub series: Vec<Series>,
}

/// One workload in one configuration, round by round.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Series {
    /// The configuration's name.
    pub configuration: String,
    /// Nanoseconds for each operation.
    pub nanoseconds: Vec<f64>,
    /// The most memory that the program had, in bytes: committed if it is one of the bench's own,
    /// else resident.
    pub peak_memory: Vec<f64>,
    /// Where the module came late: the bytes of the old heap's blocks that were gone after each
    /// repetition of the last round.
    pub old_bytes_gone: Vec<f64>,
}

/// The takeover of a process, round by round.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Takeover {
    /// Threads of the process.
    pub threads: usize,
    /// Blocks of its old heap.
    pub blocks: usize,
    /// Microseconds from the call that loads the module to its return.
    pub load_microseconds: Vec<f64>,
    /// Microseconds of these in which the functions were redirected.
    pub attach_microseconds: Vec<f64>,
    /// Microseconds for stopping the other threads and letting them go, without anything else.
    #[serde(default)]
    pub stop_microseconds: Vec<f64>,
    /// Bytes by which committed memory grew.
    pub committed: Vec<f64>,
    /// Bytes by which resident memory grew.
    pub resident: Vec<f64>,
}

/// A heap function's cost, the same on a busy machine and on an idle one.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct Entry {
    /// What is called, with which size.
    pub entry: String,
    /// Instructions of mimalloc, linked in and called directly; none where it has no such case.
    pub limit: Option<u64>,
    /// Instructions from the program's call to its return, with allograft.
    pub allograft: u64,
}

impl Measured {
    /// The series of this configuration, if it ran in it.
    pub fn of(&self, configuration: &str) -> Option<&Series> {
        let is_it = |series: &&Series| {
            series.configuration == configuration && !series.nanoseconds.is_empty()
        };
        self.series.iter().find(is_it)
    }

    /// What the others are divided by: the limit, or the C runtime's own heap for a program that
    /// cannot be linked with mimalloc.
    pub fn base(&self) -> Option<&Series> {
        self.of(LIMIT).or_else(|| self.of(UNTOUCHED))
    }

    /// The times in this configuration, each divided by the base's in the same round.
    pub fn time_ratio(&self, configuration: &str) -> Option<Summary> {
        paired_ratio(&self.of(configuration)?.nanoseconds, &self.base()?.nanoseconds)
    }

    /// The peaks of memory in this configuration, each divided by the base's in the same round.
    pub fn memory_ratio(&self, configuration: &str) -> Option<Summary> {
        paired_ratio(&self.of(configuration)?.peak_memory, &self.base()?.peak_memory)
    }
}

impl Results {
    /// The names of the configurations, in the order in which they were run.
    pub fn configurations(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for series in self.workloads.iter().flat_map(|measured| &measured.series) {
            if !names.contains(&series.configuration.as_str()) {
                names.push(&series.configuration);
            }
        }
        names
    }
}
