//! Running everything, round after round, the configurations next to one another.

use allograft_tests::Stage;
use anyhow::{Result, ensure};

use crate::configuration::{Configuration, Way};
use crate::results::{Measured, Results, Series};
use crate::run::{self, Amount, Sample};
use crate::workload::Workload;
use crate::{attach, entries};

/// Rounds of programs that take seconds.
const MOST_REAL_ROUNDS: usize = 5;

/// What is to be measured.
#[derive(Debug)]
pub struct Session<'a> {
    /// Where everything lies.
    pub stage: &'a Stage,
    /// The heaps.
    pub configurations: &'a [Configuration],
    /// The workloads.
    pub workloads: &'a [Workload],
    /// How often each workload runs in each configuration.
    pub rounds: usize,
    /// How much it does each time.
    pub amount: Amount,
    /// Whether the takeover itself is measured, and the instructions of each entry are counted.
    pub with_module: bool,
}

impl Session<'_> {
    /// How many runs of workloads there are in all.
    pub fn runs(&self) -> usize {
        let of = |workload: &Workload| self.rounds_of(workload) * self.takers(workload).count();
        self.workloads.iter().map(of).sum()
    }

    /// Runs it all; calls `before` with a name for each run of a workload before it begins.
    pub fn run(&self, mut before: impl FnMut(&str)) -> Result<Results> {
        let mut results = Results { rounds: self.rounds, ..Results::default() };
        results.workloads = self.workloads.iter().map(|workload| self.nothing(workload)).collect();
        for round in 0..self.rounds {
            for (workload, measured) in self.workloads.iter().zip(&mut results.workloads) {
                if round < self.rounds_of(workload) {
                    self.round(round, workload, measured, &mut before)?;
                }
            }
        }
        if self.with_module {
            results.takeovers = attach::measure(self.stage, self.rounds)?;
            results.entries = entries::count(self.stage)?;
        }
        Ok(results)
    }

    fn rounds_of(&self, workload: &Workload) -> usize {
        if workload.is_own() { self.rounds } else { self.rounds.min(MOST_REAL_ROUNDS) }
    }

    fn takers(&self, workload: &Workload) -> impl Iterator<Item = &Configuration> {
        self.configurations.iter().filter(|configuration| configuration.takes(workload))
    }

    fn nothing(&self, workload: &Workload) -> Measured {
        let series = |configuration: &Configuration| Series {
            configuration: configuration.name.clone(),
            ..Series::default()
        };
        Measured {
            workload: workload.name.to_owned(),
            series: self.takers(workload).map(series).collect(),
        }
    }

    /// One workload once in every configuration: A, B, C, so that what slows the machine for a
    /// while slows all of them; and B, C, A in the next round, so that no configuration always runs
    /// after the same other one.
    fn round(
        &self,
        round: usize,
        workload: &Workload,
        measured: &mut Measured,
        before: &mut impl FnMut(&str),
    ) -> Result<()> {
        let mut first: Option<Sample> = None;
        let takers: Vec<&Configuration> = self.takers(workload).collect();
        for turn in 0..takers.len() {
            let index = (turn + round) % takers.len();
            let (configuration, series) = (takers[index], &mut measured.series[index]);
            before(&format!("{}, {}", workload.name, configuration.name));
            let sample = run::once(self.stage, configuration, workload, self.amount)?;
            let first = first.get_or_insert_with(|| sample.clone());
            ensure!(
                first.checksum == sample.checksum,
                "{} did something else in the configuration {} than in the first: the checksums are {} and {}",
                workload.name,
                configuration.name,
                sample.checksum,
                first.checksum
            );
            series.nanoseconds.push(workload.time.of(&sample.nanoseconds));
            series.peak_memory.push(sample.peak_memory as f64);
            if configuration.way == Way::Late {
                series.old_bytes_gone = sample.old_bytes_gone;
            }
        }
        Ok(())
    }
}
