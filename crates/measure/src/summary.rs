//! Median, quartiles and ratios of repeated measurements.

use serde::Serialize;

/// Repeated measurements of one thing, in the unit in which they were taken.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Summary {
    /// How many measurements there are, at least one.
    pub count: usize,
    /// The middle one, or the mean of the middle two.
    pub median: f64,
    /// Interpolated linearly between neighbours, as the upper one.
    pub lower_quartile: f64,
    /// Three quarters of the measurements are at most this.
    pub upper_quartile: f64,
    /// The least.
    pub minimum: f64,
    /// The greatest.
    pub maximum: f64,
}

impl Summary {
    /// Summarises `measurements`. `None` if there are none, or one is not finite.
    pub fn new(measurements: &[f64]) -> Option<Summary> {
        let sorted = sorted(measurements)?;
        Some(Summary {
            count: sorted.len(),
            median: quantile(&sorted, 0.5),
            lower_quartile: quantile(&sorted, 0.25),
            upper_quartile: quantile(&sorted, 0.75),
            minimum: sorted[0],
            maximum: sorted[sorted.len() - 1],
        })
    }

    /// Summarises the ratios `measurements[i] / base[i]` of two things that were measured in the
    /// same round `i`. What slowed down a whole round cancels out.
    ///
    /// `None` if the numbers of rounds differ or are 0, or a ratio is not finite.
    pub fn from_ratios(measurements: &[f64], base: &[f64]) -> Option<Summary> {
        let ratios: Vec<f64> =
            measurements.iter().zip(base).map(|(one, base)| one / base).collect();
        if measurements.len() == base.len() { Summary::new(&ratios) } else { None }
    }

    /// The distance between the quartiles, relative to the median. Not finite if the median is 0.
    pub fn spread(&self) -> f64 {
        (self.upper_quartile - self.lower_quartile) / self.median
    }
}

/// The numbers in ascending order. `None` if there are none, or one is not finite.
pub(crate) fn sorted(numbers: &[f64]) -> Option<Vec<f64>> {
    if numbers.is_empty() || !numbers.iter().all(|number| number.is_finite()) {
        return None;
    }
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    Some(sorted)
}

/// The value below which the given part of `sorted` lies, interpolated between neighbours.
pub(crate) fn quantile(sorted: &[f64], part: f64) -> f64 {
    let place = part * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    below + (above - below) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        let summary = Summary::new(&[4.0, 1.0, 3.0, 2.0]).unwrap();
        assert_eq!(summary.count, 4);
        assert_eq!(summary.median, 2.5);
        assert_eq!((summary.lower_quartile, summary.upper_quartile), (1.75, 3.25));
        assert_eq!((summary.minimum, summary.maximum), (1.0, 4.0));
        assert_eq!(summary.spread(), 0.6);
    }

    #[test]
    fn one_measurement_has_no_spread() {
        let summary = Summary::new(&[7.0]).unwrap();
        assert_eq!((summary.median, summary.spread()), (7.0, 0.0));
    }

    #[test]
    fn what_is_no_measurement_has_no_summary() {
        assert_eq!(Summary::new(&[]), None);
        assert_eq!(Summary::new(&[1.0, f64::NAN]), None);
        assert_eq!(Summary::from_ratios(&[1.0, 2.0], &[1.0]), None);
        assert_eq!(Summary::from_ratios(&[1.0], &[0.0]), None);
    }

    #[test]
    fn a_slow_round_does_not_change_the_ratios() {
        let ratios = Summary::from_ratios(&[20.0, 60.0, 20.0], &[10.0, 30.0, 10.0]).unwrap();
        assert_eq!((ratios.minimum, ratios.maximum), (2.0, 2.0));
    }
}
