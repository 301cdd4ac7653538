//! What is measured of a run.

use crate::output::size;
use serde::Serialize;

/// What one run took. What the system did not tell is not there.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Measurement {
    /// From the program's first instruction to its end.
    pub wall_seconds: f64,
    /// What its threads ran, in the program and in the system.
    pub cpu_seconds: Option<f64>,
    /// The most memory that it had committed at a time.
    pub peak_commit_bytes: Option<u64>,
    /// The most of its memory that was in use at a time.
    pub peak_working_set_bytes: Option<u64>,
}

/// One of the things that are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Measure {
    /// [`Measurement::wall_seconds`].
    #[serde(rename = "wall_seconds")]
    WallTime,
    /// [`Measurement::cpu_seconds`].
    #[serde(rename = "cpu_seconds")]
    CpuTime,
    /// [`Measurement::peak_commit_bytes`].
    #[serde(rename = "peak_commit_bytes")]
    PeakCommit,
    /// [`Measurement::peak_working_set_bytes`].
    #[serde(rename = "peak_working_set_bytes")]
    PeakWorkingSet,
}

impl Measure {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Measure; 4] =
        [Measure::WallTime, Measure::CpuTime, Measure::PeakCommit, Measure::PeakWorkingSet];

    /// How it is called.
    pub fn name(self) -> &'static str {
        match self {
            Measure::WallTime => "wall time",
            Measure::CpuTime => "CPU time",
            Measure::PeakCommit => "peak commit",
            Measure::PeakWorkingSet => "peak working set",
        }
    }

    /// Its value in `run`, in seconds or bytes; nothing if the system did not tell it.
    pub fn of(self, run: &Measurement) -> Option<f64> {
        match self {
            Measure::WallTime => Some(run.wall_seconds),
            Measure::CpuTime => run.cpu_seconds,
            Measure::PeakCommit => run.peak_commit_bytes.map(|bytes| bytes as f64),
            Measure::PeakWorkingSet => run.peak_working_set_bytes.map(|bytes| bytes as f64),
        }
    }

    /// A value of it for a person.
    pub fn shown(self, value: f64) -> String {
        match self {
            Measure::WallTime | Measure::CpuTime => duration(value),
            Measure::PeakCommit | Measure::PeakWorkingSet => size(value as u64),
        }
    }
}

/// A time of so many seconds for a person.
fn duration(seconds: f64) -> String {
    match seconds {
        long if long >= 100.0 => format!("{seconds:.1} s"),
        long if long >= 1.0 => format!("{seconds:.2} s"),
        _ => format!("{:.1} ms", seconds * 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_read_like_a_persons() {
        assert_eq!(Measure::WallTime.shown(0.012_34), "12.3 ms");
        assert_eq!(Measure::CpuTime.shown(1.234), "1.23 s");
        assert_eq!(Measure::WallTime.shown(123.45), "123.5 s");
        assert_eq!(Measure::PeakCommit.shown(1_572_864.0), "1.5 MiB");
    }

    #[test]
    fn what_the_system_did_not_tell_has_no_value() {
        let run = Measurement { wall_seconds: 2.0, ..Measurement::default() };
        let values = Measure::ALL.map(|measure| measure.of(&run));
        assert_eq!(values, [Some(2.0), None, None, None]);
    }
}
