//! What the measurements amount to.

use super::measure::{Measure, Measurement};
use super::order::Side;
use allograft_measure::statistics::{Comparison, Summary, compare};
use serde::Serialize;

/// One run of each side, next to each other.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Round {
    /// The run on the program's own heap.
    pub without: Measurement,
    /// The run on mimalloc.
    pub with: Measurement,
}

impl Round {
    /// The run of one side.
    pub fn of(&self, side: Side) -> &Measurement {
        match side {
            Side::Without => &self.without,
            Side::With => &self.with,
        }
    }
}

/// A measure over all rounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Finding {
    /// Which.
    pub measure: Measure,
    /// The runs on the program's own heap.
    pub without: Summary,
    /// The runs on mimalloc.
    pub with: Summary,
    /// How they differ.
    pub comparison: Comparison,
}

impl Finding {
    /// The summary of one side.
    pub fn of(&self, side: Side) -> &Summary {
        match side {
            Side::Without => &self.without,
            Side::With => &self.with,
        }
    }
}

/// The finding about `measure`; nothing unless every run has a value that is above zero.
pub fn finding(measure: Measure, rounds: &[Round]) -> Option<Finding> {
    let without = values(measure, rounds, Side::Without)?;
    let with = values(measure, rounds, Side::With)?;
    Some(Finding {
        measure,
        without: Summary::of(&without)?,
        with: Summary::of(&with)?,
        comparison: compare(&without, &with)?,
    })
}

/// The findings about all measures that have one, in their order.
pub fn findings(rounds: &[Round]) -> Vec<Finding> {
    Measure::ALL.into_iter().filter_map(|measure| finding(measure, rounds)).collect()
}

/// The values of `measure` on one side, round by round; nothing if a run has none.
pub fn values(measure: Measure, rounds: &[Round], side: Side) -> Option<Vec<f64>> {
    rounds.iter().map(|round| measure.of(round.of(side))).collect()
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use allograft_measure::statistics::Verdict;

    /// So many rounds in which mimalloc takes `time` times as long and `memory` times as much, of 1
    /// s and 8 MiB.
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
    fn nothing_is_found_of_a_measure_that_one_run_lacks() {
        let mut rounds = rounds(8, 0.9, 1.0);
        let measures = |rounds: &[Round]| -> Vec<Measure> {
            findings(rounds).iter().map(|finding| finding.measure).collect()
        };
        use Measure::{PeakCommit, PeakWorkingSet, WallTime};
        assert_eq!(measures(&rounds), [WallTime, PeakCommit, PeakWorkingSet]);
        rounds[3].with.peak_commit_bytes = None;
        assert_eq!(measures(&rounds), [WallTime, PeakWorkingSet]);
    }

    #[test]
    fn sides_are_not_mixed_up() {
        let finding = finding(Measure::PeakCommit, &rounds(8, 1.0, 2.0)).unwrap();
        assert_eq!(finding.of(Side::Without).median, f64::from(8 << 20));
        assert_eq!(finding.of(Side::With).median, f64::from(16 << 20));
        assert_eq!(finding.comparison.verdict(), Verdict::Higher);
    }
}
