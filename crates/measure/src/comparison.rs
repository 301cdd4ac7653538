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
    fn only_a_difference_beyond_the_noise_counts() {
        use Significance::{Higher, Lower, NoDifference, TooFewRounds};
        let quiet = [100.0, 101.0, 99.0, 100.5, 99.5, 100.0];
        let noisy = [100.0, 104.0, 98.0, 101.0, 99.0, 103.0];
        let also_noisy = [103.0, 99.0, 101.0, 98.0, 104.0, 100.0];
        let drifting: [f64; 10] = std::array::from_fn(|round| 100.0 + 20.0 * round as f64);
        let one_far_off: [f64; 12] = std::array::from_fn(|i| if i == 3 { 1000.0 } else { 102.0 });
        let times = |numbers: &[f64], factor: f64| -> Vec<f64> {
            numbers.iter().map(|number| number * factor).collect()
        };
        let few = [100.0; MINIMUM_ROUNDS - 1];
        let enough = [100.0; MINIMUM_ROUNDS];
        for (name, without, with, significance, percent) in [
            ("lower", &quiet[..], times(&quiet, 0.92), Lower, Some(-8.0)),
            ("higher", &times(&quiet, 0.92), quiet.to_vec(), Higher, None),
            ("noise", &noisy, also_noisy.to_vec(), NoDifference, None),
            ("equal", &[5.0; 10], vec![5.0; 10], NoDifference, Some(0.0)),
            ("a drift over the whole run", &drifting, times(&drifting, 0.97), Lower, None),
            ("one round far off", &[100.0; 12], one_far_off.to_vec(), Higher, Some(2.0)),
            ("too few rounds", &few, times(&few, 0.5), TooFewRounds, Some(-50.0)),
            ("just enough rounds", &enough, times(&enough, 0.5), Lower, None),
        ] {
            let comparison = compare(without, &with).unwrap();
            assert_eq!(comparison.significance(), significance, "{name}");
            let error = percent.map_or(0.0, |percent| (comparison.percent - percent).abs());
            assert!(error < 1e-9, "{name}: {}", comparison.percent);
        }
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
