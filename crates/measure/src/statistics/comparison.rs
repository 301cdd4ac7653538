//! Whether one of two things that were measured in turn is lower than the other.
//!
//! The measure is the ratio of the two within each round, so that what slowed a whole round down
//! cancels out. Its estimate is the Hodges–Lehmann one, and the interval around it is that of
//! Wilcoxon's signed-rank test: neither assumes how the noise is distributed, both bear a few
//! rounds that are far off, and nothing is random in them. Logarithms are compared, because in them
//! half as much is as far from equal as twice as much.

use super::{quantile, signed_rank, sorted};
use serde::Serialize;

/// How sure [`Comparison::interval`] is, as a probability.
pub const CONFIDENCE: f64 = 0.95;

/// With fewer rounds no result of the test would be as unlikely as [`CONFIDENCE`] asks for.
pub const MINIMUM_ROUNDS: usize = 6;

/// How much more or less of something there was with a change than without.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Comparison {
    /// The likeliest difference in percent of what there was without: -8.0 is 8 % less.
    pub percent: f64,
    /// Where the difference lies with the probability [`CONFIDENCE`]; nothing below
    /// [`MINIMUM_ROUNDS`].
    pub interval: Option<Interval>,
}

/// A range of differences in percent, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// What a [`Comparison`] shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Less with the change; the difference is larger than the noise.
    Lower,
    /// More with the change; the difference is larger than the noise.
    Higher,
    /// The noise may be all there is.
    NoDifference,
    /// There are too few rounds to tell a difference from noise.
    TooFewRounds,
}

impl Comparison {
    /// What it shows.
    pub fn verdict(&self) -> Verdict {
        match self.interval {
            None => Verdict::TooFewRounds,
            Some(interval) if interval.high < 0.0 => Verdict::Lower,
            Some(interval) if interval.low > 0.0 => Verdict::Higher,
            Some(_) => Verdict::NoDifference,
        }
    }
}

/// Compares `with` to `without`, which were measured in turn: those with the same index belong to
/// one round.
///
/// Nothing if there are no rounds, the numbers of rounds differ, or a measurement is not above
/// zero.
pub fn compare(without: &[f64], with: &[f64]) -> Option<Comparison> {
    let measurements = without.iter().chain(with);
    if without.len() != with.len() || measurements.copied().any(|number| number <= 0.0) {
        return None;
    }
    let logarithms: Vec<f64> =
        without.iter().zip(with).map(|(without, with)| (with / without).ln()).collect();
    let averages = sorted(&averages_of_pairs(&logarithms))?;
    let interval = signed_rank::bound(logarithms.len()).map(|outer| Interval {
        low: percent(averages[outer]),
        high: percent(averages[averages.len() - 1 - outer]),
    });
    Some(Comparison { percent: percent(quantile(&averages, 0.5)), interval })
}

/// The mean of every two of `numbers`, each number with itself included.
fn averages_of_pairs(numbers: &[f64]) -> Vec<f64> {
    numbers
        .iter()
        .enumerate()
        .flat_map(|(index, first)| {
            numbers[index..].iter().map(move |second| f64::midpoint(*first, *second))
        })
        .collect()
}

/// The difference in percent for the logarithm of a ratio.
fn percent(logarithm: f64) -> f64 {
    100.0 * logarithm.exp_m1()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_difference_beyond_the_noise_is_told_with_its_sign() {
        let without = [100.0, 101.0, 99.0, 100.5, 99.5, 100.0];
        let with = without.map(|time| time * 0.92);
        let faster = compare(&without, &with).unwrap();
        assert_eq!(faster.verdict(), Verdict::Lower);
        assert!((faster.percent + 8.0).abs() < 1e-9);
        assert_eq!(compare(&with, &without).unwrap().verdict(), Verdict::Higher);
    }

    #[test]
    fn noise_is_no_difference() {
        let without = [100.0, 104.0, 98.0, 101.0, 99.0, 103.0];
        let with = [103.0, 99.0, 101.0, 98.0, 104.0, 100.0];
        assert_eq!(compare(&without, &with).unwrap().verdict(), Verdict::NoDifference);
    }

    #[test]
    fn equal_measurements_are_no_difference() {
        let same = [5.0; 10];
        let comparison = compare(&same, &same).unwrap();
        assert_eq!(comparison.percent, 0.0);
        assert_eq!(comparison.verdict(), Verdict::NoDifference);
    }

    #[test]
    fn a_drift_over_the_whole_run_does_not_hide_a_difference() {
        let without: Vec<f64> = (0..10).map(|round| 100.0 + 20.0 * f64::from(round)).collect();
        let with: Vec<f64> = without.iter().map(|time| time * 0.97).collect();
        assert_eq!(compare(&without, &with).unwrap().verdict(), Verdict::Lower);
    }

    #[test]
    fn one_round_that_is_far_off_does_not_decide() {
        let without = [100.0; 12];
        let mut with = [102.0; 12];
        with[3] = 1000.0;
        let comparison = compare(&without, &with).unwrap();
        assert!((comparison.percent - 2.0).abs() < 1e-9);
        assert_eq!(comparison.verdict(), Verdict::Higher);
    }

    #[test]
    fn too_few_rounds_show_nothing() {
        let (without, with) = ([100.0; MINIMUM_ROUNDS], [50.0; MINIMUM_ROUNDS]);
        let few = compare(&without[1..], &with[1..]).unwrap();
        assert_eq!(few.verdict(), Verdict::TooFewRounds);
        assert!((few.percent + 50.0).abs() < 1e-9);
        assert_eq!(compare(&without, &with).unwrap().verdict(), Verdict::Lower);
    }

    #[test]
    fn what_cannot_be_compared_is_not() {
        assert_eq!(compare(&[], &[]), None);
        assert_eq!(compare(&[1.0], &[1.0, 2.0]), None);
        assert_eq!(compare(&[1.0], &[0.0]), None);
        assert_eq!(compare(&[1.0], &[f64::NAN]), None);
    }

    proptest! {
        #[test]
        fn the_estimate_lies_in_its_interval(
            pairs in prop::collection::vec((0.1f64..1e6, 0.1f64..1e6), 1..40)
        ) {
            let (without, with): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
            let comparison = compare(&without, &with).unwrap();
            if let Some(interval) = comparison.interval {
                prop_assert!(interval.low <= comparison.percent);
                prop_assert!(comparison.percent <= interval.high);
            }
            prop_assert_eq!(comparison.interval.is_some(), without.len() >= MINIMUM_ROUNDS);
        }
    }
}
