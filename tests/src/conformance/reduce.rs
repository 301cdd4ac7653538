//! Delta debugging: a short list of operations that still fails.

/// Leaves items out of `items` as long as `fails` holds for the rest: ever smaller pieces, down to
/// single items. Calls `fails` at most `most_tries` times. The result fails if `items` does.
pub fn reduce(
    mut items: Vec<u64>,
    most_tries: usize,
    mut fails: impl FnMut(&[u64]) -> bool,
) -> Vec<u64> {
    let mut tries = 0;
    let mut piece = items.len().div_ceil(2);
    while piece > 0 && tries < most_tries {
        let mut at = 0;
        let mut shortened = false;
        while at < items.len() && tries < most_tries {
            let end = (at + piece).min(items.len());
            let rest: Vec<u64> = items[..at].iter().chain(&items[end..]).copied().collect();
            tries += 1;
            if !rest.is_empty() && fails(&rest) {
                items = rest;
                shortened = true;
            } else {
                at = end;
            }
        }
        if piece == 1 && !shortened {
            break;
        }
        piece = if piece == 1 { 1 } else { piece.div_ceil(2) };
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_guilty_operation_is_found() {
        assert_eq!(reduce((0..50_000).collect(), 200, |kept| kept.contains(&31_415)), [31_415]);
    }

    #[test]
    fn operations_that_need_one_another_are_kept_together() {
        let guilty = [3, 500, 501, 998];
        let shortest = reduce((0..1000).collect(), 400, |kept| {
            guilty.iter().all(|number| kept.contains(number))
        });
        assert_eq!(shortest, guilty);
    }

    #[test]
    fn tries_are_bounded_and_the_result_fails_all_the_same() {
        let mut tries = 0;
        let shortest = reduce((0..1000).collect(), 10, |kept| {
            tries += 1;
            kept.contains(&5) && kept.contains(&995)
        });
        assert!(tries <= 10 && shortest.contains(&5) && shortest.contains(&995));
    }
}
