//! `cargo xtask dist`: the folders that a user downloads.

mod licences;
pub mod redirect_kit;
mod sums;

use std::path::Path;

use allograft_tests::{Target, X64, X86};
use anyhow::Result;

use crate::cargo::{Artifacts, LAUNCHER, MODULE, WindowsBuild};
use crate::files::{copy, make_empty};
use crate::layout::{self, folder_of};
use crate::mimalloc::{self, Mimalloc};
use crate::setup::{self, Environment, Request};
use crate::step::{self, Step};
use crate::{crt, redirect};
use licences::copy_licences;

/// Builds the modules and the launchers and lays them out under `output` (`dist` in the checkout if
/// there is none), with everything that belongs to them.
pub fn run(output: Option<&Path>) -> Result<()> {
    let environment = setup::run(&Request::everything(crt::default()))?;
    let folder = layout::dist(output).join(format!("allograft-{}-windows", layout::VERSION));
    make_empty(&folder)?;
    for name in ["include/allograft.h", "LICENSE", "README.md"] {
        copy(&layout::root().join(name), &folder.join(name))?;
    }
    copy_licences(&[MODULE, LAUNCHER], &folder.join("licences"))?;
    lay_out(&environment, &X64, &folder)?;
    mimalloc::lay_out_for_cmake(&folder)?;
    match &environment.x86 {
        Ok(_) => lay_out(&environment, &X86, &folder)?,
        Err(reason) => step::say(&format!("dist: WHAT 32-BIT PROGRAMS NEED IS LEFT OUT: {reason}")),
    }
    sums::write(&folder)?;
    step::say(&format!("laid out: {}", folder.display()));
    Ok(())
}

/// Builds what programs for `target` need, and lays it into `folder`.
fn lay_out(environment: &Environment, target: &'static Target, folder: &Path) -> Result<()> {
    let ordinary = WindowsBuild::new(environment.rust, target);
    // The special build first: what stays in cargo's folder is the ordinary one.
    let newer = WindowsBuild { newer: true, ..ordinary };
    let newer = build("the module for newer processors,", newer)?;
    copy(&newer.file("allograft.dll")?, &folder.join(target.newer_module))?;
    let built = build("the module and the launcher", ordinary)?;
    copy(&built.file("allograft.dll")?, &folder.join(target.module()))?;
    copy(&built.file("allograft.exe")?, &folder.join(target.launcher()))?;

    let step = Step::begin(format!("dist: building mimalloc.dll for {} programs", target.machine));
    Mimalloc::build(ordinary)?.lay_out(&environment.zig, folder)?;
    let module = folder_of(target, folder).join(target.redirection_module);
    copy(&redirect::build(ordinary)?, &module)?;
    step.done();
    Ok(())
}

fn build(what: &str, build: WindowsBuild) -> Result<Artifacts> {
    let step = Step::begin(format!("dist: building {what} for {} programs", build.target.machine));
    let built = build.packages(&[MODULE, LAUNCHER])?;
    step.done();
    Ok(built)
}
