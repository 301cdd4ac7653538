//! `cargo xtask dist`: what a user downloads, and what package managers are told of it.

mod archive;
mod licences;
mod linked;
mod manifests;
pub mod redirect_kit;
mod sbom;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use allograft_tests::{Target, X64, X86};
use anyhow::{Context, Result};

use crate::cargo::{Artifacts, LAUNCHER, MIMALLOC, MODULE, REDIRECT, WindowsBuild};
use crate::commit::Commit;
use crate::files::{copy, files_under, make_empty, sha256_of};
use crate::layout;
use crate::mimalloc::{self, Mimalloc};
use crate::setup::{self, Environment, Request};
use crate::site;
use crate::step::{self, Step};
use crate::{crt, programs, redirect};
use licences::copy_licences;
use sbom::Toolchain;

/// What the distribution's code is built from.
const PACKAGES: [&str; 4] = [MODULE, LAUNCHER, MIMALLOC, REDIRECT];

/// The file with the hashes of the files beside it and below.
const SUMS: &str = "SHA256SUMS";

/// Makes in `output` the zip, its hash and the manifests, and says what it made.
pub fn run(output: &Path) -> Result<()> {
    let environment = setup::run(&Request::everything(crt::default()))?;
    if let Err(reason) = &environment.x86 {
        step::say(&format!("dist: WHAT 32-BIT PROGRAMS NEED IS LEFT OUT: {reason}"));
    }
    let commit = Commit::read();
    if !commit.is_clean() {
        step::say(&format!(
            "dist: the commit is {}: commit everything before you hand this out",
            commit.id
        ));
    }
    let zip = make(&environment, &commit, output)?;
    step::say(&format!("made: {}", zip.display()));
    Ok(())
}

/// Makes in `output` the zip, its hash and the manifests; the files lie beside it, unpacked.
/// Returns the path of the zip.
pub fn make(environment: &Environment, commit: &Commit, output: &Path) -> Result<PathBuf> {
    let folder = output.join(format!("allograft-{}-windows", layout::VERSION));
    make_empty(&folder)?;
    lay_out_documents(&folder)?;
    copy_licences(&PACKAGES, &folder.join("licences"))?;
    lay_out(environment, &X64, &folder)?;
    mimalloc::lay_out_for_cmake(&folder)?;
    if environment.x86.is_ok() {
        lay_out(environment, &X86, &folder)?;
    }
    let toolchain = toolchain(environment)?;
    let bill = sbom::text(&folder, &PACKAGES, commit, &toolchain)?;
    fs::write(folder.join(sbom::FILE), bill).context("writing the bill of materials")?;
    write_sums(&folder)?;

    let zip = layout::beside(&folder, "zip");
    archive::write(&folder, &zip, commit.time)?;
    let manifests = output.join("manifests");
    make_empty(&manifests)?;
    manifests::write(&zip, commit.time, &manifests)?;
    let name = zip.file_name().unwrap_or_default().to_string_lossy();
    fs::write(output.join(SUMS), format!("{}  {name}\n", sha256_of(&zip)?))
        .with_context(|| format!("writing {SUMS}"))?;
    Ok(zip)
}

/// Lays out the documents as HTML, the licence, and the header of the module's C interface.
fn lay_out_documents(folder: &Path) -> Result<()> {
    for name in ["LICENSE", "include/allograft.h"] {
        copy(&layout::root().join(name), &folder.join(name))?;
    }
    site::build(&folder.join("docs"))
}

/// The compilers whose libraries are linked in.
fn toolchain(environment: &Environment) -> Result<Toolchain> {
    let gcc = if cfg!(windows) { "gcc" } else { "x86_64-w64-mingw32-gcc" };
    let gcc = step::capture(Command::new(gcc).arg("--version"))?;
    let mingw = gcc.lines().next().unwrap_or_default().to_owned();
    Ok(Toolchain { rustc: environment.rust.version()?, mingw })
}

fn lay_out(environment: &Environment, target: &'static Target, folder: &Path) -> Result<()> {
    let ordinary = WindowsBuild { released: true, ..WindowsBuild::new(environment.rust, target) };
    // The special build first: what stays in cargo's folder is the ordinary one.
    let newer = WindowsBuild { newer: true, ..ordinary };
    let newer = build("the module for newer processors,", newer)?;
    copy(&newer.file("allograft.dll")?, &folder.join(target.newer_module))?;
    let checking = WindowsBuild { check_frees: true, ..ordinary };
    let checking = build("the module that checks frees,", checking)?;
    copy(&checking.file("allograft.dll")?, &folder.join(target.checking_module()))?;
    let built = build("the module and the launcher", ordinary)?;
    copy(&built.file("allograft.dll")?, &folder.join(target.module()))?;
    copy(&built.file("allograft.exe")?, &folder.join(target.launcher()))?;

    let step = Step::begin(format!("dist: building mimalloc.dll for {} programs", target.machine));
    Mimalloc::build(ordinary)?.lay_out(&environment.zig, folder)?;
    let module = folder.join(target.folder).join(target.redirection_module);
    copy(&redirect::build(ordinary)?, &module)?;
    step.done();
    programs::lay_out_for_verify(&environment.zig, target, folder)
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
    fs::write(folder.join(SUMS), sums).with_context(|| format!("writing {SUMS}"))
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
