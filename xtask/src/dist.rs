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
use crate::mimalloc::Mimalloc;
use crate::redirect;
use crate::setup;
use crate::step::{self, Step};
use licences::Linked;

pub use redirect_kit::run as redirect_kit;

/// Builds the modules and the launcher and lays them out under `output` (`dist` in the checkout if there is none), with everything
/// that belongs to them.
pub fn run(output: Option<&Path>) -> Result<()> {
    let environment = setup::run(&crt::default())?;
    let folder = make_anew(output, &format!("allograft-{}-x86_64", layout::VERSION))?;

    for name in ["include/allograft.h", "LICENSE", "README.md"] {
        copy(&layout::root().join(name), &folder.join(name))?;
    }
    Linked::into(&[MODULE_PACKAGE, LAUNCHER_PACKAGE])?.copy_licences(&folder.join("licences"))?;

    // The special build first: what stays in cargo's folder is the ordinary one.
    let avx2 = build(
        &environment,
        "the module for AVX2",
        Variant {
            avx2: true,
            ..Variant::default()
        },
    )?;
    copy(&avx2.module, &folder.join("allograft-avx2.dll"))?;
    let ordinary = build(
        &environment,
        "the module and the launcher",
        Variant::default(),
    )?;
    copy(&ordinary.module, &folder.join("allograft.dll"))?;
    copy(&ordinary.launcher, &folder.join("allograft.exe"))?;
    let step = Step::begin("dist: building mimalloc.dll");
    lay_out_mimalloc(&environment, &folder)?;
    step.done();
    sums::write(&folder)?;
    step::say(&format!("laid out: {}", folder.display()));
    Ok(())
}

/// Makes the folder `name` under `output`, or under `dist` in the checkout if there is none; what was there before is removed.
fn make_anew(output: Option<&Path>, name: &str) -> Result<PathBuf> {
    let parent = output.map_or_else(|| layout::root().join("dist"), Path::to_owned);
    let folder = parent.join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    Ok(folder)
}

/// `mimalloc.dll`, what programs that link with it are built with, and the module for those that have a `mimalloc.dll` already.
fn lay_out_mimalloc(environment: &setup::Environment, folder: &Path) -> Result<()> {
    let mimalloc = Mimalloc::build(environment.rust, Variant::default(), Output::Quiet)?;
    mimalloc.lay_out(&environment.zig, folder)?;
    let redirect = redirect::build(environment.rust, Variant::default(), Output::Quiet)?;
    copy(&redirect, &folder.join(redirect::MODULE))
}

fn build(environment: &setup::Environment, what: &str, variant: Variant) -> Result<compile::Built> {
    let step = Step::begin(format!("dist: building {what}"));
    let built = compile::windows(environment.rust, variant, Output::Quiet)?;
    step.done();
    Ok(built)
}
