//! The distribution of Wilcoxon's signed-rank statistic: the sum of those of the numbers 1 to n for
//! which a fair coin shows heads.

/// The probability with which an interval by this test holds the true value.
pub const CONFIDENCE: f64 = 0.95;

/// With fewer rounds no outcome is unlikely enough for [`CONFIDENCE`].
pub const MINIMUM_ROUNDS: usize = 6;

/// How many of the averages of pairs to leave out at each end for an interval of [`CONFIDENCE`].
/// `None` below [`MINIMUM_ROUNDS`].
pub fn bound(rounds: usize) -> Option<usize> {
    let tail = (1.0 - CONFIDENCE) / 2.0;
    let mut below = 0.0;
    let rejected = distribution(rounds)
        .iter()
        .take_while(|&&probability| {
            below += probability;
            below <= tail
        })
        .count();
    rejected.checked_sub(1)
}

/// The probability of every sum from 0 on.
fn distribution(rounds: usize) -> Vec<f64> {
    let mut probabilities = vec![0.0; rounds * (rounds + 1) / 2 + 1];
    probabilities[0] = 1.0;
    for rank in 1..=rounds {
        // Downwards: the entries read do not include this rank yet.
        for sum in (0..=rank * (rank + 1) / 2).rev() {
            let with_rank = sum.checked_sub(rank).map_or(0.0, |rest| probabilities[rest]);
            probabilities[sum] = (probabilities[sum] + with_rank) / 2.0;
        }
    }
    probabilities
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_probabilities_add_up_to_one() {
        for rounds in [0, 1, 7, 100] {
            let sum: f64 = distribution(rounds).iter().sum();
            assert!((sum - 1.0).abs() < 1e-12, "{rounds}: {sum}");
        }
    }

    #[test]
    fn the_sums_of_three_coins_are_as_frequent_as_counted_by_hand() {
        let eighths: Vec<f64> = distribution(3).iter().map(|part| part * 8.0).collect();
        assert_eq!(eighths, [1.0, 1.0, 1.0, 2.0, 1.0, 1.0, 1.0]);
    }

    /// The critical values of the published tables, for a two-sided test at 5 %, are the largest
    /// sums that still reject.
    #[test]
    fn the_bounds_are_those_of_the_published_tables() {
        let published =
            [(6, 0), (7, 2), (8, 3), (10, 8), (15, 25), (20, 52), (25, 89), (50, 434), (100, 1955)];
        for (rounds, critical) in published {
            assert_eq!(bound(rounds), Some(critical), "{rounds}");
        }
    }

    #[test]
    fn the_smallest_number_of_rounds_is_the_one_documented() {
        assert_eq!(bound(MINIMUM_ROUNDS - 1), None);
        assert!(bound(MINIMUM_ROUNDS).is_some());
    }
}
