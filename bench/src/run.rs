//! One run of a workload in a configuration.

use std::path::Path;
use std::time::Duration;

use allograft_tests::{Launch, ModuleReport, Stage, inputs};
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::configuration::{Configuration, HeapSource};
use crate::workload::{Workload, WorkloadProgram};

/// A run takes seconds.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Classes in the source that clang-format formats.
const CLASSES: usize = 1500;

/// The output of a program of the bench.
#[derive(Debug, Deserialize)]
pub struct Sample {
    /// For each operation, in every repetition.
    pub nanoseconds: Vec<f64>,
    /// Bytes of the old heap's blocks that were gone after each repetition; 0 without allograft.
    pub old_bytes_gone: Vec<f64>,
    /// In bytes: committed memory of the bench's own programs, working set of others.
    pub peak_memory: u64,
    /// Depends on everything that the workload did, and on no address: equal in all configurations.
    pub checksum: String,
}

/// Runs `workload` once on the heap of `configuration`, on the newest of Microsoft's C runtimes, in
/// as many processes as it takes.
pub fn once(stage: &Stage, configuration: &Configuration, workload: &Workload) -> Result<Sample> {
    let run = || {
        in_a_process(stage, configuration, workload)
            .with_context(|| format!("{} in {}", workload.name, configuration.name))
    };
    let mut sample = run()?;
    for _ in 1..workload.processes {
        let more = run()?;
        sample.nanoseconds.extend(more.nanoseconds);
        sample.peak_memory = sample.peak_memory.max(more.peak_memory);
    }
    Ok(sample)
}

fn in_a_process(
    stage: &Stage,
    configuration: &Configuration,
    workload: &Workload,
) -> Result<Sample> {
    let scratch = tempfile::tempdir().context("making a scratch folder")?;
    let launch = match workload.program {
        WorkloadProgram::Own(program) => {
            let part = configuration.part(workload.runtime);
            configuration.launch_from(part, stage, program, scratch.path()).arg(workload.argument)
        }
        WorkloadProgram::Z3(file) => {
            let input = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name(file);
            launch_real(stage, configuration, &stage.real.z3, &input, scratch.path())
        }
        WorkloadProgram::ClangFormat => {
            let source = scratch.path().join("long.cpp");
            std::fs::write(&source, inputs::badly_formatted_source(CLASSES))
                .with_context(|| format!("writing {}", source.display()))?;
            launch_real(stage, configuration, &stage.real.clang_format, &source, scratch.path())
        }
    };
    let repetitions = match configuration.source {
        // Wine's heap takes ten times as long or more, and need not be measured as precisely.
        HeapSource::Crt => workload.repetitions.div_ceil(12),
        _ => workload.repetitions,
    };
    let launch = launch.args(&[&workload.operations.to_string(), &repetitions.to_string()]);
    let processes = if workload.is_own() { 1 } else { 2 };
    output(launch, configuration, scratch.path(), processes)
}

/// A launch of the bench's program that runs `program` on `input` and measures it from outside.
fn launch_real<'s>(
    stage: &'s Stage,
    configuration: &Configuration,
    program: &Path,
    input: &Path,
    reports: &Path,
) -> Launch<'s> {
    let command =
        [program, input].map(|path| format!("\"{}\"", stage.windows_path(path))).join(" ");
    configuration.launch_parent(stage, "real", reports).env("BENCH_COMMAND", command).arg("real")
}

/// The JSON that the program of `launch` prints, if it succeeds and at least so many `processes` of
/// it ran on allograft, where they should.
pub(crate) fn output<T: DeserializeOwned>(
    launch: Launch<'_>,
    configuration: &Configuration,
    reports: &Path,
    processes: usize,
) -> Result<T> {
    let run = launch.limit(TIMEOUT).run();
    ensure!(run.code == Some(0), "it failed\n{run}");
    if configuration.has_report() {
        let active = active_reports(reports)?
            + usize::from(run.report.as_ref().is_some_and(ModuleReport::is_active));
        ensure!(
            active >= processes,
            "the heap was taken over in {active} processes of {processes}\n{run}"
        );
    }
    serde_json::from_str(&run.stdout).with_context(|| format!("it printed: {}", run.stdout))
}

fn active_reports(folder: &Path) -> Result<usize> {
    let files = folder.read_dir()?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    let reports = files.iter().filter(|file| file.extension().is_some_and(|end| end == "json"));
    let reports = reports.map(|file| ModuleReport::read(file).map_err(anyhow::Error::msg));
    let reports = reports.collect::<Result<Vec<_>>>()?;
    Ok(reports.iter().filter(|report| report.is_active()).count())
}
