//! Whether one of two things that were measured alternately is lower than the other.
//!
//! The input is the ratio of the two in each round, so that what slows down a whole round cancels
//! out. The estimate is that of Hodges and Lehmann, its interval that of Wilcoxon's signed-rank
//! test: neither assumes a distribution of the noise, and both tolerate a few outliers. Logarithms
//! are compared, because half as much is then as far from equal as twice as much.

pub use crate::signed_rank::{CONFIDENCE, MINIMUM_ROUNDS};

use crate::signed_rank;
use crate::summary::{quantile, sorted};
use serde::Serialize;

/// How much more or less of something there is with a change than without.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Comparison {
    /// The estimated difference in percent of the value without: -8.0 is 8 % less.
    pub percent: f64,
    /// Where the difference lies with the probability [`CONFIDENCE`]; `None` below
    /// [`MINIMUM_ROUNDS`].
    pub interval: Option<Interval>,
}

/// A range of differences in percent, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// Negative for less than without.
    pub low: f64,
    /// At least [`Interval::low`].
    pub high: f64,
}

/// What a [`Comparison`] shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Significance {
    /// Less with the change; the difference is larger than the noise.
    Lower,
    /// More with the change; the difference is larger than the noise.
    Higher,
    /// The difference may be noise.
    NoDifference,
    /// Fewer rounds than [`MINIMUM_ROUNDS`].
    TooFewRounds,
}

impl Comparison {
    /// Whether the difference is larger than the noise, and in which direction.
    pub fn significance(&self) -> Significance {
        match self.interval {
            None => Significance::TooFewRounds,
            Some(interval) if interval.high < 0.0 => Significance::Lower,
            Some(interval) if interval.low > 0.0 => Significance::Higher,
            Some(_) => Significance::NoDifference,
        }
    }
}

/// Compares `with` to `without`; measurements with the same index belong to the same round.
///
/// `None` if there are no rounds, the numbers of rounds differ, or a measurement is not above zero.
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

/// The mean of every pair of `numbers`, including each number paired with itself.
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
    fn a_difference_beyond_the_noise_has_its_sign() {
        let without = [100.0, 101.0, 99.0, 100.5, 99.5, 100.0];
        let with = without.map(|time| time * 0.92);
        let faster = compare(&without, &with).unwrap();
        assert_eq!(faster.significance(), Significance::Lower);
        assert!((faster.percent + 8.0).abs() < 1e-9);
        assert_eq!(compare(&with, &without).unwrap().significance(), Significance::Higher);
    }

    #[test]
    fn noise_is_no_difference() {
        let without = [100.0, 104.0, 98.0, 101.0, 99.0, 103.0];
        let with = [103.0, 99.0, 101.0, 98.0, 104.0, 100.0];
        assert_eq!(compare(&without, &with).unwrap().significance(), Significance::NoDifference);
    }

    #[test]
    fn equal_measurements_are_no_difference() {
        let same = [5.0; 10];
        let comparison = compare(&same, &same).unwrap();
        assert_eq!(comparison.percent, 0.0);
        assert_eq!(comparison.significance(), Significance::NoDifference);
    }

    #[test]
    fn a_drift_over_the_whole_run_does_not_hide_a_difference() {
        let without: Vec<f64> = (0..10).map(|round| 100.0 + 20.0 * f64::from(round)).collect();
        let with: Vec<f64> = without.iter().map(|time| time * 0.97).collect();
        assert_eq!(compare(&without, &with).unwrap().significance(), Significance::Lower);
    }

    #[test]
    fn one_round_that_is_far_off_does_not_decide() {
        let without = [100.0; 12];
        let mut with = [102.0; 12];
        with[3] = 1000.0;
        let comparison = compare(&without, &with).unwrap();
        assert!((comparison.percent - 2.0).abs() < 1e-9);
        assert_eq!(comparison.significance(), Significance::Higher);
    }

    #[test]
    fn too_few_rounds_show_nothing() {
        let (without, with) = ([100.0; MINIMUM_ROUNDS], [50.0; MINIMUM_ROUNDS]);
        let few = compare(&without[1..], &with[1..]).unwrap();
        assert_eq!(few.significance(), Significance::TooFewRounds);
        assert!((few.percent + 50.0).abs() < 1e-9);
        assert_eq!(compare(&without, &with).unwrap().significance(), Significance::Lower);
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
