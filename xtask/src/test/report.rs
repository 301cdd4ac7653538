//! The numbered steps of a test run, and the table of them at its end.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::step;

/// The steps so far.
#[derive(Default)]
pub struct Report {
    steps: Vec<Finished>,
}

struct Finished {
    name: String,
    outcome: Outcome,
    took: Duration,
}

enum Outcome {
    Passed,
    Failed(String),
    NotRun(String),
}

impl Report {
    /// Does a step, and says whether it passed. Its failure is kept for the end; later steps still
    /// show what they find.
    pub fn step(&mut self, name: &str, work: impl FnOnce() -> Result<()>) -> bool {
        let number = self.steps.len() + 1;
        step::say(&format!("\n== {number}. {name}"));
        let began = Instant::now();
        let outcome = match work() {
            Ok(()) => Outcome::Passed,
            Err(error) => Outcome::Failed(format!("{error:#}")),
        };
        let took = began.elapsed();
        let word = if matches!(outcome, Outcome::Passed) { "passed" } else { "FAILED" };
        step::say(&format!("== {number}. {name}: {word}, {}", step::seconds(took)));
        let passed = matches!(outcome, Outcome::Passed);
        self.steps.push(Finished { name: name.to_owned(), outcome, took });
        passed
    }

    /// Says that a step is not done, and why.
    pub fn skip(&mut self, name: &str, why: &str) {
        let number = self.steps.len() + 1;
        step::say(&format!("\n== {number}. {name}: NOT RUN: {why}"));
        self.steps.push(Finished {
            name: name.to_owned(),
            outcome: Outcome::NotRun(why.to_owned()),
            took: Duration::ZERO,
        });
    }

    /// Whether any step failed.
    pub fn failed(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.outcome, Outcome::Failed(_)))
    }

    /// Prints the table.
    pub fn close(&self) {
        step::say(&format!("\n{}", self.table()));
    }

    fn table(&self) -> String {
        let width = self.steps.iter().map(|step| step.name.chars().count()).max().unwrap_or(0);
        let mut table = String::new();
        for (index, step) in self.steps.iter().enumerate() {
            let (word, more) = match &step.outcome {
                Outcome::Passed => ("passed", None),
                Outcome::Failed(error) => ("FAILED", Some(error)),
                Outcome::NotRun(why) => ("NOT RUN", Some(why)),
            };
            let took = step::seconds(step.took);
            let row = format!("{:>3}. {:width$}  {took:>7}  {word}\n", index + 1, step.name);
            table.push_str(&row);
            for line in more.into_iter().flat_map(|text| text.lines()) {
                table.push_str(&format!("       {line}\n"));
            }
        }
        let verdict = if self.failed() { "FAILED" } else { "all steps passed" };
        let total = self.steps.iter().map(|step| step.took).sum();
        table + &format!("{verdict}, {}", step::seconds(total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;

    #[test]
    fn a_failure_is_named_and_decides_the_verdict() {
        let mut report = Report::default();
        assert!(report.step("one", || Ok(())));
        assert!(!report.step("two", || bail!("it broke")));
        report.skip("three", "two broke");
        assert!(report.failed());
        let table = report.table();
        for part in ["1. one", "2. two", "it broke", "NOT RUN", "two broke", "FAILED"] {
            assert!(table.contains(part), "{part} is missing in:\n{table}");
        }
    }

    #[test]
    fn a_step_that_was_not_run_is_no_failure() {
        let mut report = Report::default();
        report.step("one", || Ok(()));
        report.skip("two", "no such thing here");
        assert!(!report.failed());
        assert!(report.table().contains("all steps passed"));
    }
}
