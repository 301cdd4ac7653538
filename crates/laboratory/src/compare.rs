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
    fn each_line_that_differs_or_is_marked_is_one_deviation() {
        type Case = (&'static str, &'static str, &'static [(&'static str, &'static str)]);
        let cases: [Case; 5] = [
            (
                "0 malloc -> block\n1 free\nheap sound\n",
                "0 malloc -> block\n1 free\nheap sound",
                &[],
            ),
            ("0 a\n1 b\n2 c\n", "0 a\n1 x\n2 c\n", &[("1 b", "1 x")]),
            ("0 a\n1 b\n", "0 a\nBROKEN: why\n1 b\n", &[("", "BROKEN: why")]),
            ("0 a\n1 b\nheap sound", "0 a", &[("1 b", ""), ("heap sound", "")]),
            ("BROKEN: x", "BROKEN: x", &[("a line without a mark of failure", "BROKEN: x")]),
        ];
        for (expected, got, found) in cases {
            let wanted: Vec<_> = found.iter().map(|(a, b)| deviation(a, b)).collect();
            assert_eq!(compare(expected, got), wanted, "{expected:?} and {got:?}");
        }
    }

    #[test]
    fn a_deviation_has_the_number_of_its_operation() {
        assert_eq!(deviation("1 b", "1 x").operation(), Some(1));
        assert_eq!(deviation("", "7 x").operation(), Some(7));
        assert_eq!(deviation("", "BROKEN: why").operation(), None);
    }
}
