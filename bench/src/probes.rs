//! Measurements of the module itself: what a takeover costs, and the instructions of each heap
//! function.

use allograft_tests::{ModuleReport, Stage};
use anyhow::{Context, Result};
use serde::Deserialize;

use crate::configuration::{BASELINE, Configuration, HeapSource};
use crate::results::{CallCost, TakeoverCost};
use crate::run;

/// Threads and blocks of the processes that are taken over.
const PROCESSES: [(usize, usize); 3] = [(1, 0), (64, 0), (1, 200_000)];

pub fn measure_takeovers(stage: &Stage, rounds: usize) -> Result<Vec<TakeoverCost>> {
    let cost = |(threads, blocks)| TakeoverCost { threads, blocks, ..TakeoverCost::default() };
    let mut costs = PROCESSES.map(cost);
    for _ in 0..rounds {
        for cost in &mut costs {
            measure_takeover(stage, cost)
                .with_context(|| format!("taking over {} threads", cost.threads))?;
        }
    }
    Ok(costs.into())
}

fn measure_takeover(stage: &Stage, cost: &mut TakeoverCost) -> Result<()> {
    let scratch = tempfile::tempdir().context("making a scratch folder")?;
    let configuration = Configuration::module_first(stage);
    let arguments = [&cost.threads.to_string()[..], &cost.blocks.to_string()];
    let launch = configuration.launch(stage, "attach", scratch.path()).args(&arguments);
    /// Times in microseconds, memory in bytes.
    #[derive(Deserialize)]
    struct AttachOutput {
        microseconds: f64,
        stopping: f64,
        committed: f64,
        resident: f64,
    }
    let output: AttachOutput = run::output(launch, &configuration, scratch.path(), 1)?;
    let report =
        ModuleReport::read(&scratch.path().join("report.json")).map_err(anyhow::Error::msg)?;
    cost.load_microseconds.push(output.microseconds);
    cost.attach_microseconds.push(report.attach_microseconds);
    cost.stop_microseconds.push(output.stopping);
    cost.committed.push(output.committed);
    cost.resident.push(output.resident);
    Ok(())
}

/// Counts the instructions of one call of each heap function, in the baseline and with allograft.
pub fn count_instructions(stage: &Stage) -> Result<Vec<CallCost>> {
    let baseline = count_steps(stage, &Configuration::new(BASELINE, HeapSource::Baseline))?;
    let allograft = count_steps(stage, &Configuration::module_first(stage))?;
    let cost = |call: CallSteps| {
        let same = baseline.iter().find(|other| other.entry == call.entry);
        CallCost {
            baseline: same.map(|other| other.instructions),
            allograft: call.instructions,
            entry: call.entry,
        }
    };
    Ok(allograft.into_iter().map(cost).collect())
}

#[derive(Deserialize)]
struct StepsOutput {
    entries: Vec<CallSteps>,
}

#[derive(Deserialize)]
struct CallSteps {
    entry: String,
    instructions: u64,
}

fn count_steps(stage: &Stage, configuration: &Configuration) -> Result<Vec<CallSteps>> {
    let scratch = tempfile::tempdir().context("making a scratch folder")?;
    let launch = configuration.launch(stage, "steps", scratch.path());
    let output: StepsOutput =
        run::output(launch, configuration, scratch.path(), 1).context("counting instructions")?;
    Ok(output.entries)
}
