//! `cargo xtask conformance`, `stress` and `bench`: the long-running tools, which need the stage.

use std::env;
use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use allograft_tests::conformance::{self, ConformanceRow, DeviatingSequence, Subject};
use allograft_tests::stress::{self, StressOptions};
use allograft_tests::{Crt, Mode, Stage, X64};
use anyhow::{Context, Error, Result, bail};

use crate::cargo::{BENCH, WindowsBuild};
use crate::crt::{self, KnownCrt};
use crate::setup::{self, Request};
use crate::stage::{self, Parts};
use crate::wine::Servers;
use crate::{layout, step};

pub fn exit_code(all_well: bool) -> ExitCode {
    if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Compares the takeover with the untouched C runtimes and with the untouched heap API, or with
/// `subject` alone, and prints a table; with 32-bit programs too, where there are any on the C
/// runtime `only`.
pub fn conformance(
    seed: u64,
    operations: u64,
    only: Option<&str>,
    subject: Option<Subject>,
) -> Result<ExitCode> {
    let (stages, _servers) = stages(crt::all())?;
    let mut rows = Vec::new();
    let mut has_crt = false;
    for stage in &stages {
        let is_asked_for = |crt: &&Crt| only.is_none_or(|only| crt.name == only);
        println!("conformance, {} programs", stage.target.machine);
        println!("subject      C runtime          module      operations  deviations   seconds");
        for subject in Subject::ALL.into_iter().filter(|one| subject.is_none_or(|it| it == *one)) {
            for crt in conformance::crts(stage, subject).into_iter().filter(is_asked_for) {
                has_crt = true;
                let compared = conformance::run(stage, crt, subject, seed, operations);
                rows.extend(compared.into_iter().inspect(print_row));
            }
        }
    }
    if !has_crt {
        let names: Vec<&str> = stages[0].crts().iter().map(|crt| crt.name.as_str()).collect();
        bail!("there is no such C runtime; there are {}", names.join(", "));
    }
    for row in &rows {
        row.failures.iter().for_each(|failure| print_failure(row, failure));
    }
    Ok(exit_code(rows.iter().all(|row| row.failures.is_empty())))
}

fn print_row(row: &ConformanceRow) {
    println!(
        "{:<12} {:<18} {:<9} {:>12} {:>11} {:>9.1}",
        row.subject,
        row.crt,
        if row.mode == Mode::Injected { "injected" } else { "early" },
        row.operations,
        row.deviations,
        row.duration.as_secs_f64()
    );
}

fn print_failure(row: &ConformanceRow, failure: &DeviatingSequence) {
    println!("\n{} on {}:", failure.sequence, row.crt);
    for line in failure.transcript.iter().flat_map(|text| text.lines()).take(60) {
        println!("    {line}");
    }
    for deviation in failure.deviations.iter().take(5) {
        println!("  expected: {}\n       got: {}", deviation.expected, deviation.got);
    }
}

/// Runs the storms and prints what went wrong and a table; with 32-bit programs too. Without a seed
/// it takes another one each time.
pub fn stress(mut options: StressOptions, seed: Option<u64>) -> Result<ExitCode> {
    let (stages, _servers) = stages(crt::default())?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_secs());
    options.seed = seed.unwrap_or(now);
    if options.storms().next().is_none() {
        bail!("no storm has such a name");
    }
    println!("stress: seed {}", options.seed);
    let mut all_well = true;
    for stage in stages {
        println!("stress, {} programs", stage.target.machine);
        let mut results = Vec::new();
        for storm in options.storms() {
            let begun = Instant::now();
            let result = stress::run(stage, storm, &options);
            for failure in &result.failures {
                println!("{}: FAILED {failure}", storm.name);
            }
            println!("{}: {} ({:.1} s)", storm.name, storm.about, begun.elapsed().as_secs_f64());
            results.push(result);
        }
        print!("\n{}", stress::table(&results));
        all_well &= results.iter().all(|result| result.failures.is_empty());
    }
    Ok(exit_code(all_well))
}

/// Sets up for `crts` and builds everything: the stage for 64-bit programs, and the one for 32-bit
/// programs where they can be had.
fn stages(crts: Vec<&'static KnownCrt>) -> Result<(Vec<&'static Stage>, Option<Servers>)> {
    let environment = setup::run(&Request::everything(crts))?;
    let build = WindowsBuild::new(environment.rust, &X64);
    let stage = stage::build(&environment, build, &Parts { bench: false, ..Parts::ALL })?;
    // The attempts of the stress test run in threads that borrow the stage.
    let mut stages: Vec<&'static Stage> = vec![Box::leak(Box::new(stage))];
    if environment.x86.is_ok() {
        let stage = stage::describe(&environment).into_32_bits().map_err(Error::msg)?;
        stages.push(Box::leak(Box::new(stage)));
    }
    Ok((stages, environment.start_wine()))
}

/// Sets up, builds what is measured, and runs the bench with `arguments`.
pub fn bench(arguments: &[String]) -> Result<ExitCode> {
    let file = layout::stage().join("bench/stage.json");
    // The bench runs no program for its manual, nor to show what an earlier session wrote.
    let runs_nothing = ["--help", "-h", "--from"];
    let mut servers = None;
    if !arguments.iter().any(|word| runs_nothing.contains(&word.as_str())) {
        let environment = setup::run(&Request::everything(crt::default()))?;
        let build = WindowsBuild::new(environment.rust, &X64);
        let parts = Parts { mimalloc: true, bench: true, ..Parts::none() };
        let stage = stage::build(&environment, build, &parts)?;
        stage.write(&file).with_context(|| format!("writing {}", file.display()))?;
        servers = environment.start_wine();
    }
    let mut cargo = layout::cargo();
    // Paths among the arguments are relative to the caller's folder.
    cargo.current_dir(env::current_dir()?).env("ALLOGRAFT_STAGE", file);
    cargo.args(["run", "--quiet", "--package", BENCH, "--"]).args(arguments);
    let status = step::status(&mut cargo)?;
    drop(servers);
    Ok(exit_code(status.success()))
}
