//! Comparing two transcripts, call by call.

/// Words with which the program marks what no C runtime may do; the measure cannot excuse them.
const MARKS: [&str; 4] = ["BROKEN", "MISALIGNED", "TOO SMALL", "DAMAGED"];

/// A line in which two transcripts differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deviation {
    /// What the untouched C runtime answers; empty where it has no such line.
    pub expected: String,
    /// What the takeover answers; empty where it has no such line.
    pub got: String,
}

impl Deviation {
    /// The number of the operation, where the line begins with one.
    pub fn operation(&self) -> Option<u64> {
        number(&self.expected).or_else(|| number(&self.got))
    }
}

/// The number that a line begins with.
fn number(line: &str) -> Option<u64> {
    line.split(' ').next()?.parse().ok()
}

/// The differences between the transcript of the untouched C runtime and that of the takeover.
///
/// Lines are matched by the number of their operation, so that one line too many is one deviation.
pub fn compare(expected: &str, got: &str) -> Vec<Deviation> {
    let mut deviations = Vec::new();
    let (mut expected, mut got) = (expected.lines().peekable(), got.lines().peekable());
    loop {
        match (expected.peek(), got.peek()) {
            (None, None) => return deviations,
            (Some(&wanted), Some(&line)) if wanted == line => {
                if MARKS.iter().any(|mark| line.contains(mark)) {
                    deviations.push(deviation("a line without a mark of failure", line));
                }
                expected.next();
                got.next();
            }
            (wanted, line) => {
                let (wanted, line) = (wanted.copied(), line.copied());
                let order = key(wanted).cmp(&key(line));
                let wanted = if order.is_gt() { None } else { expected.next() };
                let line = if order.is_lt() { None } else { got.next() };
                deviations.push(deviation(wanted.unwrap_or(""), line.unwrap_or("")));
            }
        }
    }
}

fn deviation(expected: &str, got: &str) -> Deviation {
    Deviation { expected: expected.to_owned(), got: got.to_owned() }
}

/// Orders lines: marks, which have no number, before the next call; the end after everything.
fn key(line: Option<&str>) -> (bool, u64) {
    match line {
        None => (true, 0),
        Some(line) => match number(line) {
            Some(number) => (false, number + 1),
            None if line.starts_with("heap ") => (false, u64::MAX),
            None => (false, 0),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_transcripts_have_no_deviations() {
        assert_eq!(
            compare(
                "0 malloc -> block\n1 free\nheap sound\n",
                "0 malloc -> block\n1 free\nheap sound"
            ),
            []
        );
    }

    #[test]
    fn a_differing_line_is_one_deviation() {
        let found = compare("0 a\n1 b\n2 c\n", "0 a\n1 x\n2 c\n");
        assert_eq!(found, [deviation("1 b", "1 x")]);
        assert_eq!(found[0].operation(), Some(1));
    }

    #[test]
    fn an_additional_line_is_one_deviation() {
        assert_eq!(
            compare("0 a\n1 b\n", "0 a\nBROKEN: why\n1 b\n"),
            [deviation("", "BROKEN: why")]
        );
    }

    #[test]
    fn a_transcript_that_ends_early_lacks_the_rest() {
        assert_eq!(
            compare("0 a\n1 b\nheap sound", "0 a"),
            [deviation("1 b", ""), deviation("heap sound", "")]
        );
    }

    #[test]
    fn what_is_broken_in_both_is_a_deviation_too() {
        assert_eq!(compare("BROKEN: x", "BROKEN: x").len(), 1);
    }
}
