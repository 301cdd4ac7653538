//! `cargo xtask dist`: the folders that a user downloads.

mod licences;
pub mod redirect_kit;

use std::fs;
use std::path::Path;

use allograft_tests::{Target, X64, X86};
use anyhow::{Context, Result};

use crate::cargo::{Artifacts, LAUNCHER, MODULE, WindowsBuild};
use crate::files::{copy, copy_files, files_under, make_empty, sha256_of};
use crate::layout;
use crate::mimalloc::{self, Mimalloc};
use crate::setup::{self, Environment, Request};
use crate::step::{self, Step};
use crate::{crt, redirect};
use licences::copy_licences;

/// Builds the modules and the launchers and lays them out in a folder of `output`, with everything
/// that belongs to them.
pub fn run(output: &Path) -> Result<()> {
    let environment = setup::run(&Request::everything(crt::default()))?;
    let folder = output.join(format!("allograft-{}-windows", layout::VERSION));
    make_empty(&folder)?;
    // With everything that the README links to.
    let documents = ["README.md", "ARCHITECTURE.md", "BENCHMARKS.md", "CONTRIBUTING.md", "LICENSE"];
    for name in documents.into_iter().chain(["include/allograft.h", "bench/chart.svg"]) {
        copy(&layout::root().join(name), &folder.join(name))?;
    }
    copy_files(&layout::root().join("docs"), &folder.join("docs"), |_| true)?;
    copy_licences(&[MODULE, LAUNCHER], &folder.join("licences"))?;
    lay_out(&environment, &X64, &folder)?;
    mimalloc::lay_out_for_cmake(&folder)?;
    match &environment.x86 {
        Ok(_) => lay_out(&environment, &X86, &folder)?,
        Err(reason) => step::say(&format!("dist: WHAT 32-BIT PROGRAMS NEED IS LEFT OUT: {reason}")),
    }
    write_sums(&folder)?;
    step::say(&format!("laid out: {}", folder.display()));
    Ok(())
}

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
    let module = folder.join(target.folder).join(target.redirection_module);
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

/// Writes the hashes of all files under `folder`, in the format of `sha256sum`.
fn write_sums(folder: &Path) -> Result<()> {
    let mut sums = String::new();
    for file in files_under(folder)? {
        let name = file.strip_prefix(folder)?.to_string_lossy().replace('\\', "/");
        sums.push_str(&format!("{}  {name}\n", sha256_of(&file)?));
    }
    fs::write(folder.join("SHA256SUMS"), sums).context("writing SHA256SUMS")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_below_is_in_the_sums() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("in")).unwrap();
        for name in ["b.txt", "in/a.txt"] {
            fs::write(folder.path().join(name), "abc").unwrap();
        }
        write_sums(folder.path()).unwrap();
        let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let sums = fs::read_to_string(folder.path().join("SHA256SUMS")).unwrap();
        assert_eq!(sums, format!("{hash}  b.txt\n{hash}  in/a.txt\n"));
    }
}
