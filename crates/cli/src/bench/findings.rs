//! How the two sides differ, and the verdict in plain words.

use super::rounds::{Metric, Round, Side, Sides};
use allograft_measure::comparison::{Comparison, MINIMUM_ROUNDS, Significance, compare};
use allograft_measure::summary::Summary;
use serde::Serialize;

/// The metrics of the verdict; the working set is in the table only.
const IN_VERDICT: [Metric; 3] = [Metric::WallTime, Metric::CpuTime, Metric::PeakCommit];

const UNCLEAR: &str = "no difference that this run can show";

/// A metric over all rounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Finding {
    #[serde(rename = "measure")]
    pub metric: Metric,
    #[serde(flatten)]
    pub summaries: Sides<Summary>,
    pub comparison: Comparison,
    #[serde(rename = "verdict")]
    pub significance: Significance,
}

impl Finding {
    /// `None` unless every run has a value above zero.
    fn new(metric: Metric, rounds: &[Round]) -> Option<Finding> {
        let without = metric.values(rounds, Side::Without)?;
        let with = metric.values(rounds, Side::With)?;
        let comparison = compare(&without, &with)?;
        Some(Finding {
            metric,
            summaries: Sides { without: Summary::new(&without)?, with: Summary::new(&with)? },
            comparison,
            significance: comparison.significance(),
        })
    }
}

pub fn findings(rounds: &[Round]) -> Vec<Finding> {
    Metric::ALL.into_iter().filter_map(|metric| Finding::new(metric, rounds)).collect()
}

/// What the findings show, in one or two sentences.
pub fn verdict(findings: &[Finding]) -> String {
    let findings = || findings.iter().filter(|finding| IN_VERDICT.contains(&finding.metric));
    if findings().any(|finding| finding.significance == Significance::TooFewRounds) {
        return format!(
            "{UNCLEAR}: it takes {MINIMUM_ROUNDS} rounds at least to tell one from the noise"
        );
    }
    let clear: Vec<String> = findings().filter_map(difference).collect();
    let noise = match clear.len() {
        0 => return UNCLEAR.to_owned(),
        1 => "the difference is larger than the noise",
        _ => "the differences are larger than the noise",
    };
    let unclear: Vec<&str> = findings()
        .filter(|finding| finding.significance == Significance::NoDifference)
        .map(|finding| match finding.metric {
            Metric::WallTime => "time",
            Metric::CpuTime => "CPU time",
            Metric::PeakCommit | Metric::PeakWorkingSet => "memory",
        })
        .collect();
    let rest = match unclear.is_empty() {
        true => String::new(),
        false => format!("; {}: {UNCLEAR}", unclear.join(" and ")),
    };
    format!("{}; {noise}{rest}", clear.join(", "))
}

/// `8% faster`, if it is clear.
fn difference(finding: &Finding) -> Option<String> {
    let is_less = match finding.significance {
        Significance::Lower => true,
        Significance::Higher => false,
        Significance::NoDifference | Significance::TooFewRounds => return None,
    };
    let words = match (finding.metric, is_less) {
        (Metric::WallTime, true) => "faster",
        (Metric::WallTime, false) => "slower",
        (Metric::CpuTime, true) => "less CPU time",
        (Metric::CpuTime, false) => "more CPU time",
        (_, true) => "less memory",
        (_, false) => "more memory",
    };
    Some(format!("{} {words}", magnitude(finding.comparison.percent)))
}

/// A percentage without its sign, and with two significant digits at least.
fn magnitude(percent: f64) -> String {
    match percent.abs() {
        tiny if tiny < 0.1 => "less than 0.1%".to_owned(),
        small if small < 9.95 => format!("{small:.1}%"),
        large => format!("{large:.0}%"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::rounds::tests::rounds;
    use super::*;

    #[test]
    fn nothing_is_found_about_a_metric_that_one_run_lacks() {
        let mut rounds = rounds(8, 0.9, 1.0);
        let metrics = |rounds: &[Round]| -> Vec<Metric> {
            findings(rounds).iter().map(|finding| finding.metric).collect()
        };
        use Metric::{PeakCommit, PeakWorkingSet, WallTime};
        assert_eq!(metrics(&rounds), [WallTime, PeakCommit, PeakWorkingSet]);
        rounds[3].with.peak_commit_bytes = None;
        assert_eq!(metrics(&rounds), [WallTime, PeakWorkingSet]);
    }

    #[test]
    fn sides_are_not_mixed_up() {
        let finding = Finding::new(Metric::PeakCommit, &rounds(8, 1.0, 2.0)).unwrap();
        assert_eq!(finding.summaries.get(Side::Without).median, f64::from(8 << 20));
        assert_eq!(finding.summaries.get(Side::With).median, f64::from(16 << 20));
        assert_eq!(finding.significance, Significance::Higher);
    }

    #[test]
    fn a_verdict_lists_what_is_clear_before_what_is_not() {
        for (rounds, words) in [
            (
                rounds(9, 0.92, 1.05),
                "8.0% faster, 5.0% more memory; the differences are larger than the noise",
            ),
            (
                rounds(9, 1.5, 0.5),
                "50% slower, 50% less memory; the differences are larger than the noise",
            ),
            (
                rounds(9, 0.8, 1.0),
                "20% faster; the difference is larger than the noise; \
                 memory: no difference that this run can show",
            ),
            (
                rounds(9, 1.0, 2.0),
                "100% more memory; the difference is larger than the noise; \
                 time: no difference that this run can show",
            ),
            (rounds(9, 1.0, 1.0), "no difference that this run can show"),
            (
                rounds(3, 0.5, 1.0),
                "no difference that this run can show: it takes 6 rounds at least to tell one from the noise",
            ),
        ] {
            assert_eq!(verdict(&findings(&rounds)), words);
        }
    }

    #[test]
    fn a_difference_has_no_more_digits_than_are_significant() {
        let magnitudes = [0.04, -0.12, 9.94, -9.96, 123.4].map(magnitude);
        assert_eq!(magnitudes, ["less than 0.1%", "0.1%", "9.9%", "10%", "123%"]);
    }
}
