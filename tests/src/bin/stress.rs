//! `cargo xtask stress`: runs the storms and prints what came of them.

use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use allograft_tests::Stage;
use allograft_tests::stress::{self, Plan};
use clap::Parser;

/// Takes programs over at the worst moments, again and again, and counts what goes wrong.
#[derive(Parser)]
#[command(name = "cargo xtask stress", bin_name = "cargo xtask stress")]
struct Arguments {
    /// Run each storm this often instead of its own short number of times.
    #[arg(long, value_name = "N")]
    runs: Option<u32>,
    /// Run only the storms whose names contain this.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Draw the seeds of the runs from this number, which an earlier call printed.
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
    /// Let storms that have a long form take it.
    #[arg(long)]
    long: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let plan = Plan {
        runs: arguments.runs,
        only: arguments.only,
        seed: arguments.seed.unwrap_or_else(seed_of_the_day),
        long: arguments.long,
    };
    println!("stress: seed {}", plan.seed);
    let stage = Stage::load();
    let mut outcomes = Vec::new();
    for storm in plan.storms() {
        let begun = Instant::now();
        let outcome = stress::run(stage, storm, &plan);
        for failure in &outcome.failures {
            println!("{}: FAILED {failure}", storm.name);
        }
        println!("{}: {} ({:.1} s)", storm.name, storm.about, begun.elapsed().as_secs_f64());
        outcomes.push(outcome);
    }
    print!("\n{}", stress::table(&outcomes));
    if outcomes.is_empty() {
        eprintln!("stress: no storm has such a name");
    }
    let failed = outcomes.iter().any(|outcome| !outcome.failures.is_empty());
    if failed || outcomes.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Another seed each time.
fn seed_of_the_day() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_secs())
}
