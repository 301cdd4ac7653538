//! `conformance`: compares the takeover with the untouched C runtimes and prints a table. Exit code
//! 0 if nothing deviates.

use std::process::ExitCode;

use allograft_tests::conformance::{self, Failure, Plan, Row};
use allograft_tests::{Crt, Mode, Stage};
use clap::Parser;

/// Compares random sequences of calls on the untouched C runtimes and under the takeover.
#[derive(Parser)]
#[command(name = "conformance")]
struct Options {
    /// Seed of the first sequence
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Operations for each C runtime, half of them with the module there from the start, half with
    /// it injected
    #[arg(long, default_value_t = 200_000)]
    ops: u64,
    /// Only this C runtime: a version of Microsoft's, or `wine`
    #[arg(long)]
    crt: Option<String>,
    /// Do not shorten failing sequences
    #[arg(long)]
    no_shrink: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let stage = Stage::load();
    let crts: Vec<&Crt> = match &options.crt {
        Some(name) => stage.crts().iter().filter(|crt| crt.name == *name).collect(),
        None => stage.crts().iter().collect(),
    };
    if crts.is_empty() {
        let names: Vec<&str> = stage.crts().iter().map(|crt| crt.name.as_str()).collect();
        eprintln!("conformance: this stage has no such C runtime; it has {}", names.join(", "));
        return ExitCode::from(2);
    }
    let plan = Plan { seed: options.seed, operations: options.ops, shrink: !options.no_shrink };
    println!(
        "{:<18} {:<9} {:>12} {:>11} {:>9}",
        "C runtime", "module", "operations", "deviations", "seconds"
    );
    let rows: Vec<Row> = crts
        .into_iter()
        .flat_map(|crt| conformance::run(stage, crt, &plan, &mut |_, _| ()))
        .inspect(print_row)
        .collect();
    for row in &rows {
        for failure in &row.failures {
            print_failure(row, failure);
        }
    }
    if rows.iter().all(|row| row.failures.is_empty()) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn name_of(mode: Mode) -> &'static str {
    if mode == Mode::Injected { "injected" } else { "early" }
}

fn print_row(row: &Row) {
    println!(
        "{:<18} {:<9} {:>12} {:>11} {:>9.1}",
        row.crt,
        name_of(row.mode),
        row.operations,
        row.deviations,
        row.duration.as_secs_f64()
    );
}

fn print_failure(row: &Row, failure: &Failure) {
    println!("\n{} on {}:", failure.sequence, row.crt);
    if let Some(transcript) = &failure.transcript {
        for line in transcript.lines().take(60) {
            println!("    {line}");
        }
    }
    for deviation in failure.deviations.iter().take(5) {
        println!("  expected: {}\n       got: {}", deviation.expected, deviation.got);
    }
}
