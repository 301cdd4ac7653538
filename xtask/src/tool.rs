//! The long-running tools of the package of the scenarios, which need the stage: `conformance` and
//! `stress`.

use std::process::ExitCode;

use anyhow::Result;

use crate::crt::Crt;
use crate::layout;
use crate::machine::Machine;
use crate::setup;
use crate::test::SCENARIOS;
use crate::{compile, step};

/// Sets up for `crts`, builds everything, and runs the tool `name` with `arguments`: with 64-bit
/// programs, and then with 32-bit ones where there are such on the C runtime `only`. The exit code
/// tells whether all went well.
pub fn run(
    name: &str,
    crts: &[&'static Crt],
    only: Option<&str>,
    arguments: &[String],
) -> Result<ExitCode> {
    let environment = setup::run(crts)?;
    compile::stage(&environment, compile::Variant::default(), compile::Output::Quiet)?;
    let _servers = environment.wine.as_ref().map(|wine| wine.keep_alive(&environment.prefixes));
    let mut machines = vec![Machine::X64];
    if let Ok(x86) = &environment.x86 {
        let has = |name: &str| x86.prefixes.iter().any(|prefix| prefix.name == name);
        machines.extend(only.is_none_or(has).then_some(Machine::X86));
    }
    let mut all_well = true;
    for machine in machines {
        step::say(&format!("{name}, {} programs", machine.name()));
        all_well &= run_for(machine, name, arguments).is_ok();
    }
    Ok(if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run_for(machine: Machine, name: &str, arguments: &[String]) -> Result<()> {
    let mut cargo = layout::cargo();
    cargo
        .args(["run", "--quiet", "--release", "--package", SCENARIOS])
        .args(["--bin", name, "--"])
        .args(arguments)
        .env("ALLOGRAFT_MACHINE", machine.name());
    step::run(&mut cargo)
}
