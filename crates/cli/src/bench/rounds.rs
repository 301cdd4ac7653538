//! What is recorded of each run, and which runs may be compared.

use crate::output::size;
use serde::Serialize;

/// Which heap a run has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The program's own.
    Without,
    /// mimalloc.
    With,
}

/// What one run took. `None` is what the system did not report.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Measurement {
    /// From the program's first instruction to its end.
    pub wall_seconds: f64,
    /// Of all threads, in user and kernel mode.
    pub cpu_seconds: Option<f64>,
    pub peak_commit_bytes: Option<u64>,
    pub peak_working_set_bytes: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Metric {
    #[serde(rename = "wall_seconds")]
    WallTime,
    #[serde(rename = "cpu_seconds")]
    CpuTime,
    #[serde(rename = "peak_commit_bytes")]
    PeakCommit,
    #[serde(rename = "peak_working_set_bytes")]
    PeakWorkingSet,
}

/// The same for each [`Side`].
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Sides<T> {
    pub without: T,
    pub with: T,
}

/// One run of each side, next to each other in time.
pub type Round = Sides<Measurement>;

impl Side {
    pub const BOTH: [Side; 2] = [Side::Without, Side::With];

    /// The order of the two runs of a round. Every other round has the opposite order, so that what
    /// gets slower or faster over time, such as a warm processor, favours neither side.
    pub fn in_round(round: u32) -> [Side; 2] {
        let [first, second] = Side::BOTH;
        if round.is_multiple_of(2) { [first, second] } else { [second, first] }
    }

    pub fn name(self) -> &'static str {
        match self {
            Side::Without => "without",
            Side::With => "with",
        }
    }
}

impl<T> Sides<T> {
    pub fn get(&self, side: Side) -> &T {
        match side {
            Side::Without => &self.without,
            Side::With => &self.with,
        }
    }
}

impl Metric {
    /// In the order in which they are shown.
    pub const ALL: [Metric; 4] =
        [Metric::WallTime, Metric::CpuTime, Metric::PeakCommit, Metric::PeakWorkingSet];

    pub fn name(self) -> &'static str {
        match self {
            Metric::WallTime => "wall time",
            Metric::CpuTime => "CPU time",
            Metric::PeakCommit => "peak commit",
            Metric::PeakWorkingSet => "peak working set",
        }
    }

    /// Its value in `run`, in seconds or bytes.
    pub fn value(self, run: &Measurement) -> Option<f64> {
        match self {
            Metric::WallTime => Some(run.wall_seconds),
            Metric::CpuTime => run.cpu_seconds,
            Metric::PeakCommit => run.peak_commit_bytes.map(|bytes| bytes as f64),
            Metric::PeakWorkingSet => run.peak_working_set_bytes.map(|bytes| bytes as f64),
        }
    }

    /// Its values on one side, round by round. `None` if a run has none.
    pub fn values(self, rounds: &[Round], side: Side) -> Option<Vec<f64>> {
        rounds.iter().map(|round| self.value(round.get(side))).collect()
    }

    pub fn format(self, value: f64) -> String {
        match self {
            Metric::PeakCommit | Metric::PeakWorkingSet => size(value as u64),
            _ if value >= 100.0 => format!("{value:.1} s"),
            _ if value >= 1.0 => format!("{value:.2} s"),
            _ => format!("{:.1} ms", value * 1e3),
        }
    }
}

/// Why a run cannot be compared: it crashed, or ended with another exit code than the `first` run
/// and so did other work. `None` if it can.
pub fn objection(side: Side, code: u32, first: Option<u32>) -> Option<String> {
    let side = side.name();
    match first {
        None if is_crash(code) => {
            Some(format!("{side} mimalloc it ends with {}", describe_exit(code)))
        }
        Some(first) if first != code => Some(format!(
            "it ended with {} first, and {side} mimalloc with {}: \
             it does not do the same work in every run",
            describe_exit(first),
            describe_exit(code)
        )),
        _ => None,
    }
}

/// Whether `code` is an NTSTATUS of severity "error". An exit code such as -1 is not: it has all
/// upper bits set, which no facility of the system uses.
fn is_crash(code: u32) -> bool {
    (0xC000_0000..0xF000_0000).contains(&code)
}

fn describe_exit(code: u32) -> String {
    let meaning = match code {
        0xC000_0005 => " (a bad memory access)",
        0xC000_00FD => " (a stack overflow)",
        0xC000_0135 => " (a DLL that it needs was not found)",
        0xC000_013A => " (Ctrl+C)",
        0xC000_0142 => " (a DLL that it needs refused to start)",
        0xC000_0374 => " (a corrupted heap)",
        _ => "",
    };
    match is_crash(code) {
        true => format!("exit code 0x{code:08X}{meaning}"),
        false => format!("exit code {}", code.cast_signed()),
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Rounds in which mimalloc takes `time` times as long and `memory` times as much as without,
    /// which is 1 s and 8 MiB.
    pub fn rounds(count: u32, time: f64, memory: f64) -> Vec<Round> {
        let run = |round: u32, time: f64, memory: f64| Measurement {
            wall_seconds: time * (1.0 + f64::from(round % 3) * 0.001),
            cpu_seconds: None,
            peak_commit_bytes: Some((memory * f64::from(8 << 20)) as u64),
            peak_working_set_bytes: Some((memory * f64::from(4 << 20)) as u64),
        };
        (0..count)
            .map(|round| Round {
                without: run(round, 1.0, 1.0),
                with: run(round + 1, time, memory),
            })
            .collect()
    }

    #[test]
    fn neither_side_is_always_first() {
        let order: Vec<Side> = (0..2).flat_map(Side::in_round).collect();
        use Side::{With, Without};
        assert_eq!(order, [Without, With, With, Without]);
    }

    #[test]
    fn times_and_sizes_have_readable_units() {
        assert_eq!(Metric::WallTime.format(0.012_34), "12.3 ms");
        assert_eq!(Metric::CpuTime.format(1.234), "1.23 s");
        assert_eq!(Metric::WallTime.format(123.45), "123.5 s");
        assert_eq!(Metric::PeakCommit.format(1_572_864.0), "1.5 MiB");
    }

    #[test]
    fn what_the_system_did_not_report_has_no_value() {
        let run = Measurement { wall_seconds: 2.0, ..Measurement::default() };
        let values = Metric::ALL.map(|metric| metric.value(&run));
        assert_eq!(values, [Some(2.0), None, None, None]);
    }

    #[test]
    fn runs_are_compared_if_they_end_alike_and_do_not_crash() {
        for (side, code, first, words) in [
            (Side::Without, 3, None, None),
            (Side::With, 3, Some(3), None),
            (Side::Without, u32::MAX, None, None),
            (
                Side::Without,
                0xC000_0135,
                None,
                Some(
                    "without mimalloc it ends with exit code 0xC0000135 (a DLL that it needs was not found)",
                ),
            ),
            (
                Side::With,
                0xC000_0005,
                Some(u32::MAX),
                Some(
                    "it ended with exit code -1 first, and with mimalloc with exit code 0xC0000005 (a bad memory access): \
                     it does not do the same work in every run",
                ),
            ),
        ] {
            assert_eq!(objection(side, code, first).as_deref(), words);
        }
    }
}
