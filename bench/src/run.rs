//! One run of a workload in a configuration.

use std::path::Path;
use std::time::Duration;

use allograft_tests::{Launch, ModuleReport, Stage};
use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::configuration::{Configuration, Way};
use crate::real;
use crate::workload::{Program, Workload};

/// How long one run may take; it takes seconds.
const LIMIT: Duration = Duration::from_secs(120);

/// What a program of the bench says of its work.
#[derive(Debug, Clone, Deserialize, PartialEq)]
pub struct Sample {
    /// Nanoseconds for each operation, in every repetition.
    pub nanoseconds: Vec<f64>,
    /// Bytes of the old heap's blocks that were gone after each repetition; 0 without allograft.
    pub old_bytes_gone: Vec<f64>,
    /// The most memory that the program had, in bytes: committed if it is one of the bench's own,
    /// else resident.
    pub peak_memory: u64,
    /// Depends on everything that the workload did, and on no address: equal in all configurations.
    pub checksum: String,
}

/// How much work a run does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// Enough to measure.
    Full,
    /// Hardly any, to see whether it works.
    Tiny,
}

impl Amount {
    fn operations(self, workload: &Workload) -> u64 {
        match self {
            Amount::Full => workload.operations,
            Amount::Tiny => workload.operations.div_ceil(1000),
        }
    }

    fn processes(self, workload: &Workload) -> u32 {
        match self {
            Amount::Full => workload.processes,
            Amount::Tiny => 1,
        }
    }

    /// Wine's heap takes ten times as long and more, and nobody waits for its last digit.
    fn repetitions(self, workload: &Workload, way: &Way) -> u32 {
        match (self, way) {
            (Amount::Tiny, _) => 1,
            (Amount::Full, Way::Untouched) => workload.repetitions.div_ceil(12),
            (Amount::Full, _) => workload.repetitions,
        }
    }
}

/// Runs `workload` once on the heap of `configuration`, on the newest of Microsoft's C runtimes, in
/// as many processes as it takes.
pub fn once(
    stage: &Stage,
    configuration: &Configuration,
    workload: &Workload,
    amount: Amount,
) -> Result<Sample> {
    let mut sample = in_a_process(stage, configuration, workload, amount)?;
    for _ in 1..amount.processes(workload) {
        let more = in_a_process(stage, configuration, workload, amount)?;
        sample.nanoseconds.extend(more.nanoseconds);
        sample.peak_memory = sample.peak_memory.max(more.peak_memory);
    }
    Ok(sample)
}

fn in_a_process(
    stage: &Stage,
    configuration: &Configuration,
    workload: &Workload,
    amount: Amount,
) -> Result<Sample> {
    let of_what = || format!("{} in the configuration {}", workload.name, configuration.name);
    let scratch = tempfile::tempdir().context("making a scratch folder")?;
    let launch = match workload.program {
        Program::Own(program) => {
            configuration.launch(stage, program, scratch.path()).arg(workload.name)
        }
        _ => real::launch(stage, configuration, workload.program, scratch.path())?,
    };
    let operations = amount.operations(workload).to_string();
    let repetitions = amount.repetitions(workload, &configuration.way).to_string();
    let text = output(
        launch.args(&[&operations, &repetitions]),
        configuration,
        scratch.path(),
        if workload.is_own() { 1 } else { 2 },
    )
    .with_context(of_what)?;
    serde_json::from_str(&text).with_context(|| format!("{} said: {text}", of_what()))
}

/// What the program of `launch` says, if it succeeds and so many processes of it ran on allograft
/// as should have.
pub(crate) fn output(
    launch: Launch<'_>,
    configuration: &Configuration,
    reports: &Path,
    processes: usize,
) -> Result<String> {
    let run = launch.limit(LIMIT).run();
    ensure!(run.code == Some(0), "it failed\n{run}");
    if configuration.has_report() {
        let mut active = taken_over(reports)?;
        active += usize::from(run.report.as_ref().is_some_and(ModuleReport::is_active));
        ensure!(
            active >= processes,
            "the heap was taken over in {active} processes of {processes}\n{run}"
        );
    }
    Ok(run.stdout)
}

/// How many of the reports in the folder `reports` tell of a takeover.
fn taken_over(reports: &Path) -> Result<usize> {
    let mut active = 0;
    for entry in reports.read_dir().with_context(|| format!("reading {}", reports.display()))? {
        let file = entry?.path();
        if file.extension().is_some_and(|extension| extension == "json") {
            let report = ModuleReport::read(&file).map_err(anyhow::Error::msg)?;
            active += usize::from(report.is_active());
        }
    }
    Ok(active)
}
