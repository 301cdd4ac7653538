//! The instructions of one call of each heap function.

use allograft_tests::Stage;
use anyhow::{Context, Result};
use serde::Deserialize;

use crate::configuration::{Configuration, LIMIT, UNTOUCHED};
use crate::results::Entry;
use crate::run;

/// What the program says.
#[derive(Deserialize)]
struct Said {
    entries: Vec<Counted>,
}

#[derive(Deserialize)]
struct Counted {
    entry: String,
    instructions: u64,
}

/// Counts them, for mimalloc linked in and for allograft.
pub fn count(stage: &Stage) -> Result<Vec<Entry>> {
    let limit = counted(stage, LIMIT, &[])?;
    let module = stage.windows_path(&stage.bin.join("allograft.dll"));
    let ours = counted(stage, UNTOUCHED, &[("BENCH_MODULE", module)])?;
    let of_limit = |entry: &str| {
        limit.iter().find(|counted| counted.entry == entry).map(|counted| counted.instructions)
    };
    let both = |ours: Counted| Entry {
        limit: of_limit(&ours.entry),
        allograft: ours.instructions,
        entry: ours.entry,
    };
    Ok(ours.into_iter().map(both).collect())
}

fn counted(
    stage: &Stage,
    configuration: &str,
    variables: &[(&str, String)],
) -> Result<Vec<Counted>> {
    let scratch = tempfile::tempdir().context("making a scratch folder")?;
    let configuration = Configuration::built_in(configuration)?;
    let mut launch = configuration.launch(stage, "steps", scratch.path());
    for (name, value) in variables {
        launch = launch.env(name, value);
    }
    let text =
        run::output(launch, &configuration, scratch.path(), 1).context("counting instructions")?;
    let said: Said = serde_json::from_str(&text).with_context(|| format!("it said: {text}"))?;
    Ok(said.entries)
}
