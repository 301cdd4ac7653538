//! The numbered steps of a test run, and the table at its end.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::step;

#[derive(Default)]
pub struct Steps(Vec<FinishedStep>);

struct FinishedStep {
    name: String,
    result: StepResult,
    took: Duration,
}

enum StepResult {
    Passed,
    Failed(String),
    NotRun(String),
}

impl Steps {
    /// Does a step and returns whether it passed. A failure is kept for the end: later steps run
    /// all the same.
    pub fn step(&mut self, name: &str, work: impl FnOnce() -> Result<()>) -> bool {
        let number = self.0.len() + 1;
        step::say(&format!("\n== {number}. {name}"));
        let began = Instant::now();
        let failure = work().err();
        let took = began.elapsed();
        let passed = failure.is_none();
        let word = if passed { "passed" } else { "FAILED" };
        step::say(&format!("== {number}. {name}: {word}, {}", step::seconds(took)));
        let result =
            failure.map_or(StepResult::Passed, |error| StepResult::Failed(format!("{error:#}")));
        self.0.push(FinishedStep { name: name.to_owned(), result, took });
        passed
    }

    pub fn skip(&mut self, name: &str, why: &str) {
        let number = self.0.len() + 1;
        step::say(&format!("\n== {number}. {name}: NOT RUN: {why}"));
        let result = StepResult::NotRun(why.to_owned());
        self.0.push(FinishedStep { name: name.to_owned(), result, took: Duration::ZERO });
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn failed(&self) -> bool {
        self.0.iter().any(|step| matches!(step.result, StepResult::Failed(_)))
    }

    pub fn close(&self) {
        step::say(&format!("\n{}", self.table()));
    }

    fn table(&self) -> String {
        let width = self.0.iter().map(|step| step.name.chars().count()).max().unwrap_or(0);
        let mut table = String::new();
        for (index, step) in self.0.iter().enumerate() {
            let (word, more) = match &step.result {
                StepResult::Passed => ("passed", None),
                StepResult::Failed(error) => ("FAILED", Some(error)),
                StepResult::NotRun(why) => ("NOT RUN", Some(why)),
            };
            let took = step::seconds(step.took);
            let row = format!("{:>3}. {:width$}  {took:>7}  {word}\n", index + 1, step.name);
            table.push_str(&row);
            for line in more.into_iter().flat_map(|text| text.lines()) {
                table.push_str(&format!("       {line}\n"));
            }
        }
        let verdict = if self.failed() { "FAILED" } else { "all steps passed" };
        let total = self.0.iter().map(|step| step.took).sum();
        table + &format!("{verdict}, {}", step::seconds(total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;

    #[test]
    fn a_failure_is_named_and_decides_the_verdict() {
        let mut steps = Steps::default();
        assert!(steps.step("one", || Ok(())));
        assert!(!steps.step("two", || bail!("it broke")));
        steps.skip("three", "two broke");
        assert!(steps.failed());
        let table = steps.table();
        for part in ["1. one", "2. two", "it broke", "NOT RUN", "two broke", "FAILED"] {
            assert!(table.contains(part), "{part} is missing in:\n{table}");
        }
    }

    #[test]
    fn a_step_that_was_not_run_is_no_failure() {
        let mut steps = Steps::default();
        steps.step("one", || Ok(()));
        steps.skip("two", "no such thing here");
        assert!(!steps.failed());
        assert!(steps.table().contains("all steps passed"));
    }
}
