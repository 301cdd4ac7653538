//! The verdict in plain words.

use super::findings::Finding;
use super::measure::Measure;
use allograft_measure::statistics::{MINIMUM_ROUNDS, Verdict};

/// What of the findings a person wants to be told; the working set is in the table.
const TOLD: [Measure; 3] = [Measure::WallTime, Measure::CpuTime, Measure::PeakCommit];

/// What the findings show, as one or two sentences.
pub fn verdict(findings: &[Finding]) -> String {
    let told = || findings.iter().filter(|finding| TOLD.contains(&finding.measure));
    let clear: Vec<String> = told().filter_map(difference).collect();
    let is = |wanted: Verdict| told().any(|finding| finding.comparison.verdict() == wanted);
    if is(Verdict::TooFewRounds) {
        return format!(
            "no difference that this run can show: it takes {MINIMUM_ROUNDS} rounds at least to tell one from the noise"
        );
    }
    if clear.is_empty() {
        return "no difference that this run can show".to_owned();
    }
    let noise = match clear.len() {
        1 => "the difference is larger than the noise",
        _ => "the differences are larger than the noise",
    };
    let unclear: Vec<&str> = told()
        .filter(|finding| finding.comparison.verdict() == Verdict::NoDifference)
        .map(|finding| subject(finding.measure))
        .collect();
    let rest = if unclear.is_empty() {
        String::new()
    } else {
        format!("; {}: no difference that this run can show", unclear.join(" and "))
    };
    format!("{}; {noise}{rest}", clear.join(", "))
}

/// `8% faster`, if it is clear.
fn difference(finding: &Finding) -> Option<String> {
    let is_less = match finding.comparison.verdict() {
        Verdict::Lower => true,
        Verdict::Higher => false,
        Verdict::NoDifference | Verdict::TooFewRounds => return None,
    };
    let words = match (finding.measure, is_less) {
        (Measure::WallTime, true) => "faster",
        (Measure::WallTime, false) => "slower",
        (Measure::CpuTime, true) => "less CPU time",
        (Measure::CpuTime, false) => "more CPU time",
        (_, true) => "less memory",
        (_, false) => "more memory",
    };
    Some(format!("{} {words}", amount(finding.comparison.percent)))
}

/// So many percent without their sign, and with no more digits than count.
fn amount(percent: f64) -> String {
    match percent.abs() {
        tiny if tiny < 0.1 => "less than 0.1%".to_owned(),
        small if small < 9.95 => format!("{small:.1}%"),
        large => format!("{large:.0}%"),
    }
}

fn subject(measure: Measure) -> &'static str {
    match measure {
        Measure::WallTime => "time",
        Measure::CpuTime => "CPU time",
        Measure::PeakCommit | Measure::PeakWorkingSet => "memory",
    }
}

#[cfg(test)]
mod tests {
    use super::super::findings::{findings, tests::rounds};
    use super::*;

    fn told(count: u32, time: f64, memory: f64) -> String {
        verdict(&findings(&rounds(count, time, memory)))
    }

    #[test]
    fn clear_differences_are_told_together() {
        assert_eq!(
            told(9, 0.92, 1.05),
            "8.0% faster, 5.0% more memory; the differences are larger than the noise"
        );
        assert_eq!(
            told(9, 1.5, 0.5),
            "50% slower, 50% less memory; the differences are larger than the noise"
        );
    }

    #[test]
    fn what_is_unclear_is_told_beside_what_is_clear() {
        assert_eq!(
            told(9, 0.8, 1.0),
            "20% faster; the difference is larger than the noise; \
             memory: no difference that this run can show"
        );
        assert_eq!(
            told(9, 1.0, 2.0),
            "100% more memory; the difference is larger than the noise; \
             time: no difference that this run can show"
        );
    }

    #[test]
    fn noise_is_no_difference() {
        assert_eq!(told(9, 1.0, 1.0), "no difference that this run can show");
    }

    #[test]
    fn too_few_rounds_are_named_as_the_reason() {
        assert_eq!(
            told(3, 0.5, 1.0),
            "no difference that this run can show: it takes 6 rounds at least to tell one from the noise"
        );
    }

    #[test]
    fn a_difference_has_no_more_digits_than_count() {
        let amounts = [0.04, -0.12, 9.94, -9.96, 123.4].map(amount);
        assert_eq!(amounts, ["less than 0.1%", "0.1%", "9.9%", "10%", "123%"]);
    }
}
