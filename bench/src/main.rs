//! `cargo xtask bench`: measures, and shows what was measured.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use allograft_bench::results::Results;
use allograft_bench::run::Amount;
use allograft_bench::session::Session;
use allograft_bench::{configuration, machine, show, workload};
use allograft_tests::Stage;
use anyhow::{Context, Result};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};

/// Rounds of a session that is to be relied on.
const ROUNDS: usize = 7;

/// Rounds of a quick one.
const QUICK_ROUNDS: usize = 2;

/// Measures allograft side by side with the C runtime's own heap and with mimalloc linked in.
///
/// Every workload runs in every configuration, round after round, on the newest of Microsoft's C
/// runtimes. The ratios are to the limit, mimalloc linked in and called directly: the median of the
/// rounds' ratios, with the quartiles behind it. All of it takes ten minutes, and a quiet machine.
#[derive(Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
struct Cli {
    /// Two rounds only, to see where things stand.
    #[arg(long)]
    quick: bool,
    /// How often every workload runs in every configuration.
    #[arg(long, value_name = "N", conflicts_with = "quick", value_parser = clap::value_parser!(u16).range(1..))]
    rounds: Option<u16>,
    /// Only these workloads.
    #[arg(long, value_name = "NAME", value_delimiter = ',', num_args = 1..)]
    only: Vec<String>,
    /// Only these configurations, and the limit.
    #[arg(long, value_name = "NAME", value_delimiter = ',', num_args = 1..)]
    on: Vec<String>,
    /// Further DLLs to load into the programs, each a configuration; one called mimalloc.dll is
    /// linked with, together with the DLLs beside it.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    module: Vec<PathBuf>,
    /// Write what was measured to this file too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Where the page and what was measured go [default: target/allograft/bench/results].
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Measure nothing: show what an earlier session wrote.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["quick", "rounds", "only", "on", "module"])]
    from: Option<PathBuf>,
    /// Write BENCHMARKS.md in the checkout.
    #[arg(long)]
    write: bool,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<()> {
    let stage = Stage::load();
    let results = match &cli.from {
        Some(file) => read(file)?,
        None => measure(cli, stage)?,
    };
    print!("{}", show::terminal(&results));
    let output =
        cli.output.clone().unwrap_or_else(|| stage.bin.with_file_name("bench").join("results"));
    fs::create_dir_all(&output).with_context(|| format!("making {}", output.display()))?;
    let json = serde_json::to_string_pretty(&results)? + "\n";
    write(&output.join("results.json"), &json)?;
    if let Some(file) = &cli.json {
        write(file, &json)?;
    }
    let page = output.join("index.html");
    write(&page, &show::page(&results))?;
    println!("the page: {}", page.display());
    if cli.write {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("BENCHMARKS.md");
        write(&checkout, &show::markdown(&results))?;
    }
    Ok(())
}

fn measure(cli: &Cli, stage: &Stage) -> Result<Results> {
    let configurations = configuration::chosen(stage, &cli.on, &cli.module)?;
    let usual = if cli.quick { QUICK_ROUNDS } else { ROUNDS };
    let rounds = cli.rounds.map_or(usual, usize::from);
    let session = Session {
        stage,
        configurations: &configurations,
        workloads: &workload::chosen(&cli.only)?,
        rounds,
        amount: Amount::Full,
        with_module: cli.only.is_empty(),
    };
    let bar = ProgressBar::new(session.runs() as u64).with_style(ProgressStyle::with_template(
        "{spinner} {msg} {wide_bar} {pos}/{len} ({eta} left)",
    )?);
    let mut results = session.run(|what| {
        bar.set_message(what.to_owned());
        bar.inc(1);
    })?;
    bar.finish_and_clear();
    results.machine = machine::described(stage, rounds);
    Ok(results)
}

fn read(file: &Path) -> Result<Results> {
    let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    serde_json::from_str(&text)
        .with_context(|| format!("{} is no results of this version", file.display()))
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("writing {}", file.display()))
}
