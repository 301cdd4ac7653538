//! What came of a storm, and the table of all.

use std::fmt::Write;

/// The figures of one takeover.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Figures {
    pub(super) milliseconds: f64,
    pub(super) threads_stopped: u32,
}

/// What came of all runs of one storm.
#[derive(Debug)]
pub struct Outcome {
    name: &'static str,
    runs: u32,
    /// What went wrong, each with what it takes to see it again.
    pub failures: Vec<String>,
    slowest: f64,
    most_threads: u32,
}

impl Outcome {
    pub(super) fn new(name: &'static str, runs: u32) -> Outcome {
        Outcome { name, runs, failures: Vec::new(), slowest: 0.0, most_threads: 0 }
    }

    pub(super) fn add(&mut self, result: Result<Figures, String>) {
        match result {
            Ok(figures) => {
                self.slowest = self.slowest.max(figures.milliseconds);
                self.most_threads = self.most_threads.max(figures.threads_stopped);
            }
            Err(failure) => self.failures.push(failure),
        }
    }
}

/// The outcomes, for a person: one line each.
pub fn table(outcomes: &[Outcome]) -> String {
    let mut text = format!(
        "{:<20} {:>6} {:>9} {:>17} {:>16}\n",
        "storm", "runs", "failures", "slowest takeover", "threads stopped"
    );
    for outcome in outcomes {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:<20} {:>6} {:>9} {:>14.1} ms {:>16}",
            outcome.name,
            outcome.runs,
            outcome.failures.len(),
            outcome.slowest,
            outcome.most_threads
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_shows_the_slowest_takeover_and_every_failure() {
        let mut outcome = Outcome::new("load", 3);
        for (milliseconds, threads_stopped) in [(1.0, 9), (12.34, 4)] {
            outcome.add(Ok(Figures { milliseconds, threads_stopped }));
        }
        outcome.add(Err("it crashed".into()));
        let text = table(&[outcome]);
        let line: Vec<_> = text.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(line, ["load", "3", "1", "12.3", "ms", "9"]);
    }
}
