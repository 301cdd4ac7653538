//! Measurements of the module itself: what a takeover costs, and the instructions of each heap
//! function.

use allograft_tests::{Report, Stage};
use anyhow::{Context, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::path::Path;

use crate::configuration::{BASELINE, CRT, Configuration};
use crate::results::{CallCost, TakeoverCost};
use crate::run;

/// Threads and blocks of the processes that are taken over.
const PROCESSES: [(usize, usize); 3] = [(1, 0), (64, 0), (1, 200_000)];

/// The output of `attach`; times in microseconds, memory in bytes.
#[derive(Deserialize)]
struct AttachOutput {
    microseconds: f64,
    stopping: f64,
    committed: f64,
    resident: f64,
}

/// The output of `steps`.
#[derive(Deserialize)]
struct StepsOutput {
    entries: Vec<CallSteps>,
}

#[derive(Deserialize)]
struct CallSteps {
    entry: String,
    instructions: u64,
}

/// Measures every takeover `rounds` times.
pub fn measure_takeovers(stage: &Stage, rounds: usize) -> Result<Vec<TakeoverCost>> {
    let mut costs = PROCESSES.map(|(threads, blocks)| TakeoverCost {
        threads,
        blocks,
        ..TakeoverCost::default()
    });
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
    let arguments = [cost.threads.to_string(), cost.blocks.to_string()];
    let output: AttachOutput = output(
        stage,
        CRT,
        "attach",
        true,
        &arguments.each_ref().map(String::as_str),
        scratch.path(),
    )?;
    let report = Report::read(&scratch.path().join("report.json")).map_err(anyhow::Error::msg)?;
    cost.load_microseconds.push(output.microseconds);
    cost.attach_microseconds.push(report.attach_microseconds);
    cost.stop_microseconds.push(output.stopping);
    cost.committed.push(output.committed);
    cost.resident.push(output.resident);
    Ok(())
}

/// Counts the instructions of one call of each heap function, in the baseline and with allograft.
pub fn count_instructions(stage: &Stage) -> Result<Vec<CallCost>> {
    let count = |configuration: &str, loads_module: bool| -> Result<Vec<CallSteps>> {
        let scratch = tempfile::tempdir().context("making a scratch folder")?;
        let output: StepsOutput =
            output(stage, configuration, "steps", loads_module, &[], scratch.path())
                .context("counting instructions")?;
        Ok(output.entries)
    };
    let baseline = count(BASELINE, false)?;
    let cost = |call: CallSteps| CallCost {
        baseline: baseline
            .iter()
            .find(|other| other.entry == call.entry)
            .map(|other| other.instructions),
        allograft: call.instructions,
        entry: call.entry,
    };
    Ok(count(CRT, true)?.into_iter().map(cost).collect())
}

/// What `program` prints, with its reports in the folder `reports`.
fn output<T: DeserializeOwned>(
    stage: &Stage,
    configuration: &str,
    program: &str,
    loads_module: bool,
    arguments: &[&str],
    reports: &Path,
) -> Result<T> {
    let configuration = Configuration::built_in(configuration)?;
    let mut launch = configuration.launch(stage, program, reports).args(arguments);
    if loads_module {
        let module = stage.windows_path(&stage.bin.join("allograft.dll"));
        launch = launch.env("BENCH_MODULE", module);
    }
    let text = run::output(launch, &configuration, reports, 1)?;
    serde_json::from_str(&text).with_context(|| format!("it printed: {text}"))
}
