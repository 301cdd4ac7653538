//! Cargo's runner for Windows tests on this machine: `xtask wine PROGRAM ARGS…`.

use std::env;
use std::ffi::OsString;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::wine::{Prefix, Wine};

/// Runs the program of `command` on the C runtime that `ALLOGRAFT_CRT` names, and ends as it ends.
pub fn run(command: &[OsString]) -> Result<ExitCode> {
    let (program, arguments) = command.split_first().context("no program to run")?;
    let mut command = if cfg!(windows) { Command::new(program) } else { under_wine(program)? };
    replace_by(command.args(arguments))
}

fn under_wine(program: &OsString) -> Result<Command> {
    let name = env::var("ALLOGRAFT_CRT").unwrap_or_else(|_| Prefix::OWN.to_owned());
    let prefix = Prefix::named(&name);
    if !prefix.folder.is_dir() {
        bail!(
            "there is no Wine prefix with the C runtime `{name}` ({} is missing): run `cargo xtask setup`, with --all-crts for the rarer versions",
            prefix.folder.display()
        );
    }
    let wine = Wine::find().context("Wine is not installed: run `cargo xtask setup`")?;
    Ok(wine.command(&prefix, program))
}

/// Becomes `command`: signals, standard streams and the exit code are its own.
#[cfg(unix)]
fn replace_by(command: &mut Command) -> Result<ExitCode> {
    use std::os::unix::process::CommandExt;

    let error = command.exec();
    Err(error).with_context(|| crate::step::cannot_start(command))
}

/// Runs `command` and passes its exit code on.
#[cfg(not(unix))]
fn replace_by(command: &mut Command) -> Result<ExitCode> {
    let status = crate::step::status(command)?;
    std::process::exit(status.code().unwrap_or(1))
}
