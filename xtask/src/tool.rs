//! The long-running tools of the package of the scenarios, which need the stage: `conformance` and `stress`.

use std::process::ExitCode;

use anyhow::Result;

use crate::crt::Crt;
use crate::layout;
use crate::setup;
use crate::test::SCENARIOS;
use crate::{compile, step};

/// Sets up for `crts`, builds everything, and runs the tool `name` with `arguments`. Its exit code is the tool's.
pub fn run(name: &str, crts: &[&'static Crt], arguments: &[String]) -> Result<ExitCode> {
    let environment = setup::run(crts)?;
    compile::stage(
        &environment,
        compile::Variant::default(),
        compile::Output::Quiet,
    )?;
    let _servers = environment
        .wine
        .as_ref()
        .map(|wine| wine.keep_alive(&environment.prefixes));
    let mut cargo = layout::cargo();
    cargo
        .args([
            "run",
            "--quiet",
            "--release",
            "--package",
            SCENARIOS,
            "--bin",
            name,
            "--",
        ])
        .args(arguments);
    Ok(if step::run(&mut cargo).is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
