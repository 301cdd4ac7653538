//! The takeover itself: how long it takes, and what the module costs before the program has
//! allocated anything.

use allograft_tests::{ModuleReport, Stage};
use anyhow::{Context, Result};
use serde::Deserialize;

use crate::configuration::{Configuration, UNTOUCHED};
use crate::results::Takeover;
use crate::run;

/// The processes that are taken over: how many threads they have, and how many blocks.
const PROCESSES: [(usize, usize); 3] = [(1, 0), (64, 0), (1, 200_000)];

/// What the program says of one takeover.
#[derive(Deserialize)]
struct Said {
    microseconds: f64,
    stopping: f64,
    committed: f64,
    resident: f64,
}

/// Measures every takeover `rounds` times.
pub fn measure(stage: &Stage, rounds: usize) -> Result<Vec<Takeover>> {
    let mut takeovers =
        PROCESSES.map(|(threads, blocks)| Takeover { threads, blocks, ..Takeover::default() });
    for _ in 0..rounds {
        for takeover in &mut takeovers {
            once(stage, takeover)
                .with_context(|| format!("taking over {} threads", takeover.threads))?;
        }
    }
    Ok(takeovers.into())
}

fn once(stage: &Stage, takeover: &mut Takeover) -> Result<()> {
    let scratch = tempfile::tempdir().context("making a scratch folder")?;
    let plain = Configuration::built_in(UNTOUCHED)?;
    let launch = plain
        .launch(stage, "attach", scratch.path())
        .env("BENCH_MODULE", stage.windows_path(&stage.bin.join("allograft.dll")))
        .args(&[&takeover.threads.to_string(), &takeover.blocks.to_string()]);
    let text = run::output(launch, &plain, scratch.path(), 1)?;
    let said: Said = serde_json::from_str(&text).with_context(|| format!("it said: {text}"))?;
    let report =
        ModuleReport::read(&scratch.path().join("report.json")).map_err(anyhow::Error::msg)?;
    takeover.load_microseconds.push(said.microseconds);
    takeover.attach_microseconds.push(report.attach_microseconds);
    takeover.stop_microseconds.push(said.stopping);
    takeover.committed.push(said.committed);
    takeover.resident.push(said.resident);
    Ok(())
}
