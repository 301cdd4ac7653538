//! Programs that were not written for the bench, run by one that was.

use std::path::{Path, PathBuf};

use allograft_tests::{Launch, Stage, inputs};
use anyhow::{Context, Result};

use crate::configuration::Configuration;
use crate::workload::Program;

/// How many classes there are in the source that clang-format formats.
const CLASSES: usize = 1500;

/// A launch of the bench's program that runs `program` and measures it; inputs that are made go
/// into `folder`, like the reports.
pub fn launch<'s>(
    stage: &'s Stage,
    configuration: &Configuration,
    program: Program,
    folder: &Path,
) -> Result<Launch<'s>> {
    let command = match program {
        Program::Z3(file) => vec![stage.real.z3.clone(), checkout().join(file)],
        Program::ClangFormat => {
            let source = folder.join("long.cpp");
            std::fs::write(&source, inputs::badly_formatted_source(CLASSES))
                .with_context(|| format!("writing {}", source.display()))?;
            vec![stage.real.clang_format.clone(), source]
        }
        Program::Own(name) => unreachable!("{name} is the bench's own"),
    };
    let words: Vec<String> =
        command.iter().map(|path| format!("\"{}\"", stage.windows_path(path))).collect();
    Ok(configuration
        .launch_starting_others(stage, "real", folder)
        .env("BENCH_COMMAND", words.join(" "))
        .arg("real"))
}

fn checkout() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_owned()
}
