//! Runs everything, round after round, the configurations alternately.

use allograft_tests::Stage;
use anyhow::{Result, ensure};

use crate::configuration::{Configuration, HeapSource};
use crate::probes;
use crate::results::{Results, Series, WorkloadResult};
use crate::run;
use crate::workload::Workload;

/// Rounds of real programs, which take seconds.
const MOST_REAL_ROUNDS: usize = 5;

#[derive(Debug)]
pub struct BenchPlan<'a> {
    pub stage: &'a Stage,
    pub configurations: &'a [Configuration],
    pub workloads: &'a [Workload],
    /// How often each workload runs in each configuration.
    pub rounds: usize,
    /// Measure the takeover and count the instructions of each heap function too.
    pub with_probes: bool,
}

impl BenchPlan<'_> {
    pub fn runs(&self) -> usize {
        let runs = |workload| self.workload_rounds(workload) * self.suitable(workload).count();
        self.workloads.iter().map(runs).sum()
    }

    /// Measures everything. Calls `before` with a description before each run of a workload. Fails
    /// if a run does other work than the same workload in another configuration.
    pub fn run(&self, mut before: impl FnMut(&str)) -> Result<Results> {
        let empty_series =
            |one: &Configuration| Series { configuration: one.name.clone(), ..Series::default() };
        let empty_result = |workload: &Workload| WorkloadResult {
            workload: workload.name.to_owned(),
            series: self.suitable(workload).map(empty_series).collect(),
        };
        let mut results = Results {
            rounds: self.rounds,
            workloads: self.workloads.iter().map(empty_result).collect(),
            ..Results::default()
        };
        for round in 0..self.rounds {
            for (workload, result) in self.workloads.iter().zip(&mut results.workloads) {
                if round < self.workload_rounds(workload) {
                    self.round(round, workload, result, &mut before)?;
                }
            }
        }
        if self.with_probes {
            results.takeovers = probes::measure_takeovers(self.stage, self.rounds)?;
            results.entries = probes::count_instructions(self.stage)?;
        }
        Ok(results)
    }

    fn workload_rounds(&self, workload: &Workload) -> usize {
        if workload.is_own() { self.rounds } else { self.rounds.min(MOST_REAL_ROUNDS) }
    }

    fn suitable(&self, workload: &Workload) -> impl Iterator<Item = &Configuration> {
        self.configurations.iter().filter(|configuration| configuration.is_suitable(workload))
    }

    /// Runs one workload once in every configuration: A, B, C, so that what slows the machine down
    /// for a while affects all of them; and B, C, A in the next round, so that the first place is
    /// not always the same configuration's.
    fn round(
        &self,
        round: usize,
        workload: &Workload,
        result: &mut WorkloadResult,
        before: &mut impl FnMut(&str),
    ) -> Result<()> {
        let mut first: Option<String> = None;
        let configurations: Vec<&Configuration> = self.suitable(workload).collect();
        for place in 0..configurations.len() {
            let index = (place + round) % configurations.len();
            let (configuration, series) = (configurations[index], &mut result.series[index]);
            before(&format!("{}, {}", workload.name, configuration.name));
            let sample = run::once(self.stage, configuration, workload)?;
            let first = first.get_or_insert_with(|| sample.checksum.clone());
            ensure!(
                *first == sample.checksum,
                "{} did other work in the configuration {} than in the first: the checksums are {} and {first}",
                workload.name,
                configuration.name,
                sample.checksum
            );
            series.nanoseconds.push(workload.timing.run_time(&sample.nanoseconds));
            series.peak_memory.push(sample.peak_memory as f64);
            if configuration.source == HeapSource::Late {
                series.old_bytes_gone = sample.old_bytes_gone;
            }
        }
        Ok(())
    }
}
