//! `cargo xtask conformance`, `stress` and `bench`: the long-running tools, which need the stage.

use std::env;
use std::process::ExitCode;

use allograft_tests::{Target, X64, X86};
use anyhow::{Context, Result};

use crate::cargo::{BENCH, SCENARIOS, WindowsBuild};
use crate::crt::{self, KnownCrt};
use crate::setup::{self, Request};
use crate::stage::{self, Parts};
use crate::{layout, step};

/// Sets up for `crts`, builds everything, and runs the tool `name` with `arguments`: with 64-bit
/// programs, and then with 32-bit ones where the C runtime `only` is there for them. The exit code
/// says whether both went well.
pub fn run(
    name: &str,
    crts: Vec<&'static KnownCrt>,
    only: Option<&str>,
    arguments: &[String],
) -> Result<ExitCode> {
    let environment = setup::run(&Request::everything(crts))?;
    let build = WindowsBuild::new(environment.rust, &X64);
    stage::build_and_write(&environment, build, &Parts { bench: false, ..Parts::ALL })?;
    let _servers = environment.keep_wine_alive();
    let has_32_bits = environment.x86.as_ref().is_ok_and(|x86| {
        only.is_none_or(|name| x86.prefixes.iter().any(|prefix| prefix.name == name))
    });
    let mut all_well = run_for(&X64, name, arguments)?;
    if has_32_bits {
        all_well &= run_for(&X86, name, arguments)?;
    }
    Ok(exit_code(all_well))
}

fn run_for(target: &Target, name: &str, arguments: &[String]) -> Result<bool> {
    step::say(&format!("{name}, {} programs", target.machine));
    let mut cargo = layout::cargo();
    cargo
        .args(["run", "--quiet", "--release", "--package", SCENARIOS, "--bin", name, "--"])
        .args(arguments)
        .env("ALLOGRAFT_MACHINE", target.machine.to_string());
    Ok(step::status(&mut cargo)?.success())
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
        let stage = stage::build(&environment, build, &Parts::for_bench())?;
        stage.write(&file).with_context(|| format!("writing {}", file.display()))?;
        servers = environment.keep_wine_alive();
    }
    let mut cargo = layout::cargo();
    // Paths among the arguments are relative to the caller's folder.
    cargo.current_dir(env::current_dir()?).env("ALLOGRAFT_STAGE", file);
    cargo.args(["run", "--quiet", "--package", BENCH, "--"]).args(arguments);
    let status = step::status(&mut cargo)?;
    drop(servers);
    Ok(exit_code(status.success()))
}

/// The exit code of a command that found `all_well` or not.
pub fn exit_code(all_well: bool) -> ExitCode {
    if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
