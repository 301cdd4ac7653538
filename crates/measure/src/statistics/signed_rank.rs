//! The distribution of Wilcoxon's signed-rank statistic: the sum of those of the numbers from 1 to
//! n for which a fair coin fell on one side.

use super::CONFIDENCE;

/// Up to so many rounds the distribution is counted out; beyond, the normal one is as close as
/// makes no difference.
const COUNTED_OUT: usize = 50;

/// How far the normal distribution's interval of [`CONFIDENCE`] reaches, in standard deviations.
const NORMAL_REACH: f64 = 1.959_964;

/// How many of the averages of pairs to leave off at each end, so that what is left is an interval
/// of [`CONFIDENCE`]. Nothing if even the whole range falls short of that.
pub fn bound(rounds: usize) -> Option<usize> {
    if rounds > COUNTED_OUT {
        return Some(normal_bound(rounds as f64));
    }
    let tail = (1.0 - CONFIDENCE) / 2.0;
    let mut below = 0.0;
    let likelier = distribution(rounds)
        .iter()
        .take_while(|&&probability| {
            below += probability;
            below <= tail
        })
        .count();
    likelier.checked_sub(1)
}

fn normal_bound(rounds: f64) -> usize {
    let mean = rounds * (rounds + 1.0) / 4.0;
    let deviation = (rounds * (rounds + 1.0) * (2.0 * rounds + 1.0) / 24.0).sqrt();
    (mean - NORMAL_REACH * deviation).floor() as usize
}

/// The probability of every sum from 0 on.
fn distribution(rounds: usize) -> Vec<f64> {
    let mut probabilities = vec![0.0; rounds * (rounds + 1) / 2 + 1];
    probabilities[0] = 1.0;
    for rank in 1..=rounds {
        // Downwards: what is read has not yet had this rank added.
        for sum in (0..probabilities.len()).rev() {
            let with_rank = sum.checked_sub(rank).map_or(0.0, |rest| probabilities[rest]);
            probabilities[sum] = f64::midpoint(probabilities[sum], with_rank);
        }
    }
    probabilities
}

#[cfg(test)]
mod tests {
    use super::super::MINIMUM_ROUNDS;
    use super::*;

    #[test]
    fn the_probabilities_add_up_to_one() {
        for rounds in [0, 1, 7, COUNTED_OUT] {
            let sum: f64 = distribution(rounds).iter().sum();
            assert!((sum - 1.0).abs() < 1e-12, "{rounds}: {sum}");
        }
    }

    #[test]
    fn three_coins_make_each_sum_as_often_as_counted_by_hand() {
        let eighths: Vec<f64> = distribution(3).iter().map(|part| part * 8.0).collect();
        assert_eq!(eighths, [1.0, 1.0, 1.0, 2.0, 1.0, 1.0, 1.0]);
    }

    /// The critical values of the published tables, for a two-sided test at 5 %, are the largest
    /// sums that still reject.
    #[test]
    fn the_bounds_are_those_of_the_published_tables() {
        for (rounds, critical) in [(6, 0), (7, 2), (8, 3), (10, 8), (15, 25), (20, 52), (25, 89)] {
            assert_eq!(bound(rounds), Some(critical), "{rounds}");
        }
    }

    #[test]
    fn the_smallest_number_of_rounds_is_the_one_documented() {
        assert_eq!(bound(MINIMUM_ROUNDS - 1), None);
        assert!(bound(MINIMUM_ROUNDS).is_some());
    }

    #[test]
    fn the_normal_distribution_takes_over_without_a_step() {
        let counted = bound(COUNTED_OUT).unwrap() as i64;
        let normal = normal_bound(COUNTED_OUT as f64) as i64;
        assert!((counted - normal).abs() <= 2, "{counted} against {normal}");
    }
}
