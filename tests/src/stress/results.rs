//! The results of the storms, and the table of them.

use std::fmt::Write;

use crate::ModuleReport;

/// The figures of one takeover.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct TakeoverFigures {
    pub(super) milliseconds: f64,
    pub(super) threads_stopped: u32,
}

impl TakeoverFigures {
    pub(super) fn from_report(report: &ModuleReport) -> TakeoverFigures {
        TakeoverFigures {
            milliseconds: report.attach_microseconds / 1000.0,
            threads_stopped: report.threads_stopped,
        }
    }
}

/// The results of all runs of one storm.
#[derive(Debug)]
pub struct StormResults {
    name: &'static str,
    runs: u32,
    /// What went wrong, with what is needed to see it again.
    pub failures: Vec<String>,
    slowest: f64,
    most_threads: u32,
}

impl StormResults {
    pub(super) fn new(name: &'static str, runs: u32) -> StormResults {
        StormResults { name, runs, failures: Vec::new(), slowest: 0.0, most_threads: 0 }
    }

    pub(super) fn add(&mut self, result: Result<TakeoverFigures, String>) {
        match result {
            Ok(figures) => {
                self.slowest = self.slowest.max(figures.milliseconds);
                self.most_threads = self.most_threads.max(figures.threads_stopped);
            }
            Err(failure) => self.failures.push(failure),
        }
    }
}

/// The results for a person: one line for each storm.
pub fn table(results: &[StormResults]) -> String {
    let mut text = format!(
        "{:<20} {:>6} {:>9} {:>17} {:>16}\n",
        "storm", "runs", "failures", "slowest takeover", "threads stopped"
    );
    for result in results {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:<20} {:>6} {:>9} {:>14.1} ms {:>16}",
            result.name,
            result.runs,
            result.failures.len(),
            result.slowest,
            result.most_threads
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_shows_the_slowest_takeover_and_every_failure() {
        let mut result = StormResults::new("load", 3);
        for (milliseconds, threads_stopped) in [(1.0, 9), (12.34, 4)] {
            result.add(Ok(TakeoverFigures { milliseconds, threads_stopped }));
        }
        result.add(Err("it crashed".into()));
        let text = table(&[result]);
        let line: Vec<_> = text.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(line, ["load", "3", "1", "12.3", "ms", "9"]);
    }
}
