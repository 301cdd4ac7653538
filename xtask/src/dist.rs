//! `cargo xtask dist`: the folder that a user downloads.

mod licences;
mod redirect_kit;
mod sums;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::compile::{self, LAUNCHER_PACKAGE, MODULE_PACKAGE, Output, Variant};
use crate::crt;
use crate::files::copy;
use crate::layout;
use crate::machine::Machine;
use crate::mimalloc::{self, Mimalloc};
use crate::step::{self, Step};
use crate::{redirect, setup};
use licences::Linked;

pub use redirect_kit::run as redirect_kit;

/// Builds the modules and the launcher and lays them out under `output` (`dist` in the checkout if
/// there is none), with everything that belongs to them.
pub fn run(output: Option<&Path>) -> Result<()> {
    let environment = setup::run(&crt::default())?;
    let folder = make_anew(output, &format!("allograft-{}-windows", layout::VERSION))?;

    for name in ["include/allograft.h", "LICENSE", "README.md"] {
        copy(&layout::root().join(name), &folder.join(name))?;
    }
    Linked::into(&[MODULE_PACKAGE, LAUNCHER_PACKAGE])?.copy_licences(&folder.join("licences"))?;

    lay_out(&environment, Machine::X64, &folder)?;
    mimalloc::lay_out_for_cmake(&folder)?;
    match &environment.x86 {
        Ok(_) => lay_out(&environment, Machine::X86, &folder)?,
        Err(reason) => step::say(&format!("dist: WHAT 32-BIT PROGRAMS NEED IS LEFT OUT: {reason}")),
    }
    sums::write(&folder)?;
    step::say(&format!("laid out: {}", folder.display()));
    Ok(())
}

/// Builds what programs of `machine` need, and lays it into `folder`.
fn lay_out(environment: &setup::Environment, machine: Machine, folder: &Path) -> Result<()> {
    let what = |part: &str| format!("{part} for {} programs", machine.name());
    let ordinary = Variant::of(machine);
    // The special build first: what stays in cargo's folder is the ordinary one.
    let newer = Variant { avx2: true, ..ordinary };
    let newer = build(environment, &what("the module for newer processors,"), newer)?;
    copy(&newer.module, &folder.join(machine.newer_module()))?;
    let built = build(environment, &what("the module and the launcher"), ordinary)?;
    let (module, launcher) = machine.module_and_launcher();
    copy(&built.module, &folder.join(module))?;
    copy(&built.launcher, &folder.join(launcher))?;
    let step = Step::begin(format!("dist: building {}", what("mimalloc.dll")));
    lay_out_mimalloc(environment, ordinary, folder)?;
    step.done();
    Ok(())
}

/// Makes the folder `name` under `output`, or under `dist` in the checkout if there is none; what
/// was there before is removed.
fn make_anew(output: Option<&Path>, name: &str) -> Result<PathBuf> {
    let parent = output.map_or_else(|| layout::root().join("dist"), Path::to_owned);
    let folder = parent.join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    Ok(folder)
}

/// `mimalloc.dll`, what programs that link with it are built with, and the module for those that
/// have a `mimalloc.dll` already.
fn lay_out_mimalloc(
    environment: &setup::Environment,
    variant: Variant,
    folder: &Path,
) -> Result<()> {
    let mimalloc = Mimalloc::build(environment.rust, variant, Output::Quiet)?;
    mimalloc.lay_out(&environment.zig, folder)?;
    let redirect = redirect::build(environment.rust, variant, Output::Quiet)?;
    let machine = variant.machine;
    let module = machine.developer_files(folder).join(machine.redirection_module());
    copy(&redirect, &module)
}

fn build(environment: &setup::Environment, what: &str, variant: Variant) -> Result<compile::Built> {
    let step = Step::begin(format!("dist: building {what}"));
    let built = compile::windows(environment.rust, variant, Output::Quiet)?;
    step.done();
    Ok(built)
}
