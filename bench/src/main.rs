//! `cargo xtask bench`: measures, and presents the results.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use allograft_bench::results::Results;
use allograft_bench::session::BenchPlan;
use allograft_bench::{configuration, document, workload};
use allograft_inject::MIMALLOC_VERSION;
use allograft_tests::Stage;
use anyhow::{Context, Result};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};

/// Enough for figures to publish.
const ROUNDS: u16 = 7;
const QUICK_ROUNDS: u16 = 2;

/// Measures allograft side by side with the C runtime's own heap and with mimalloc linked in.
///
/// Every workload runs in every configuration, round after round, on the newest of Microsoft's C
/// runtimes. The ratios are to the baseline, mimalloc linked in and called directly: the median of
/// the rounds' ratios, with the quartiles behind it. All of it takes ten minutes, and a quiet
/// machine.
#[derive(Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
struct BenchCli {
    /// Two rounds only, for a first look.
    #[arg(long)]
    quick: bool,
    /// How often every workload runs in every configuration.
    #[arg(long, value_name = "N", conflicts_with = "quick", value_parser = clap::value_parser!(u16).range(1..))]
    rounds: Option<u16>,
    /// Only these workloads.
    #[arg(long, value_name = "NAME", value_delimiter = ',', num_args = 1..)]
    only: Vec<String>,
    /// Only these configurations, and the baseline.
    #[arg(long, value_name = "NAME", value_delimiter = ',', num_args = 1..)]
    on: Vec<String>,
    /// Further DLLs to load into the programs, each a configuration; one called mimalloc.dll is
    /// linked with, together with the DLLs beside it.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    module: Vec<PathBuf>,
    /// Write the measurements to this file too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Where to write the page and the measurements [default: target/allograft/bench/results].
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Measure nothing: present the measurements of an earlier session.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["quick", "rounds", "only", "on", "module"])]
    from: Option<PathBuf>,
    /// Write BENCHMARKS.md and its chart in the checkout.
    #[arg(long)]
    write: bool,
}

fn main() -> ExitCode {
    match run(&BenchCli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &BenchCli) -> Result<()> {
    let results = match &cli.from {
        Some(file) => read(file)?,
        None => measure(cli, Stage::load())?,
    };
    print!("{}", document::terminal(&results));
    let default_output = || Stage::load().bin.with_file_name("bench").join("results");
    let output = cli.output.clone().unwrap_or_else(default_output);
    fs::create_dir_all(&output).with_context(|| format!("making {}", output.display()))?;
    let json = serde_json::to_string_pretty(&results)? + "\n";
    write(&output.join("results.json"), &json)?;
    if let Some(file) = &cli.json {
        write(file, &json)?;
    }
    let page = output.join("index.html");
    write(&page, &document::page(&results))?;
    println!("the page: {}", page.display());
    if cli.write {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        write(&package.with_file_name("BENCHMARKS.md"), &document::markdown(&results))?;
        let chart = package.with_file_name(document::CHART_PATH);
        write(&chart, &document::overview_chart(&results))?;
    }
    Ok(())
}

fn measure(cli: &BenchCli, stage: &Stage) -> Result<Results> {
    let configurations = configuration::select(stage, &cli.on, &cli.module)?;
    let usual = if cli.quick { QUICK_ROUNDS } else { ROUNDS };
    let plan = BenchPlan {
        stage,
        configurations: &configurations,
        workloads: &workload::select(&cli.only)?,
        rounds: cli.rounds.unwrap_or(usual).into(),
        with_probes: cli.only.is_empty(),
    };
    let bar = ProgressBar::new(plan.runs() as u64).with_style(ProgressStyle::with_template(
        "{spinner} {msg} {wide_bar} {pos}/{len} ({eta} left)",
    )?);
    let mut results = plan.run(|what| {
        bar.set_message(what.to_owned());
        bar.inc(1);
    })?;
    bar.finish_and_clear();
    results.machine = describe_machine(stage, plan.rounds);
    Ok(results)
}

fn describe_machine(stage: &Stage, rounds: usize) -> String {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let wine = stage.wine.as_ref().and_then(|wine| wine_version(wine));
    let system =
        wine.map_or("Windows".to_owned(), |wine| format!("{wine} on {}", std::env::consts::OS));
    let runtime = match &stage.newest_crt().version {
        Some(version) => format!("Microsoft's ucrtbase.dll {version}"),
        None => "the system's C runtime".to_owned(),
    };
    format!(
        "allograft {} with mimalloc {MIMALLOC_VERSION}, on a machine with {processors} processors ({}), {system}, {runtime}; {rounds} rounds.",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH
    )
}

fn wine_version(wine: &Path) -> Option<String> {
    let output = Command::new(wine).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().replace("wine-", "Wine "))
}

fn read(file: &Path) -> Result<Results> {
    let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    serde_json::from_str(&text)
        .with_context(|| format!("{} has no results of this version", file.display()))
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("writing {}", file.display()))
}
