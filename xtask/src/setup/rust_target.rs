//! The Rust standard library for Windows: rustup's, else built once from the distribution's library
//! sources.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use allograft_tests::{X64, X86};
use anyhow::{Context, Result, anyhow, bail};

use super::packages::{self, Need};
use crate::files::write_script;
use crate::layout;
use crate::step::{self, Step};

/// How long rustup may take; where there is no network it can try for minutes.
const RUSTUP_LIMIT: Duration = Duration::from_secs(180);

const DISTRIBUTION: &str = "/usr/bin/rustc";

/// The oldest release of that compiler that will do (`rust-version` of the workspace): 1.88.
const OLDEST_MINOR: u32 = 88;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rust {
    /// The one that cargo uses anyway; it has the Windows target.
    Usual,
    /// The distribution's, with a standard library for Windows built here.
    Distribution,
}

impl Rust {
    /// Makes a cargo command use this compiler.
    ///
    /// By options and not by variables: those would also reach the call of cargo that is the runner
    /// of Windows tests, which is to build this program by the usual compiler.
    pub fn apply(self, cargo: &mut Command) {
        if self == Rust::Distribution {
            for (name, program) in [("rustc", DISTRIBUTION), ("rustdoc", "/usr/bin/rustdoc")] {
                cargo.arg("--config").arg(format!("build.{name}=\"{program}\""));
            }
        }
    }

    /// What the compiler calls itself, with its version.
    pub fn version(self) -> Result<String> {
        let rustc = match self {
            Rust::Usual => env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()),
            Rust::Distribution => DISTRIBUTION.into(),
        };
        Ok(step::capture(Command::new(rustc).arg("--version"))?.trim().to_owned())
    }

    /// Gives this compiler a standard library for `target`, if it has none yet.
    pub fn complete(self, target: &str) -> Result<()> {
        match self {
            _ if self.has_std(target) => Ok(()),
            Rust::Usual => add_by_rustup(&[target]),
            Rust::Distribution => build_std(target),
        }
    }

    fn has_std(self, target: &str) -> bool {
        match self {
            Rust::Usual => usual_has_std(target),
            Rust::Distribution => distribution_has_std(target),
        }
    }
}

/// Finds a compiler that has the Windows target, or needs only a step of our own to have it.
pub fn find() -> Option<Rust> {
    if !distribution_is_asked_for() && usual_has_std(X64.rust) {
        return Some(Rust::Usual);
    }
    let ready = distribution_has_std(X64.rust)
        || (distribution_is_asked_for() && distribution_has_sources());
    ready.then_some(Rust::Distribution)
}

/// What a person does instead where this program cannot install packages.
pub const BY_HAND: &str = "\n  and the Rust target: `rustup target add x86_64-pc-windows-gnu`";

pub fn missing(rust: Option<Rust>) -> Vec<&'static str> {
    let rust = rust.unwrap_or(Rust::Usual);
    [X64.rust, X86.rust].into_iter().filter(|target| !rust.has_std(target)).collect()
}

/// Adds `targets` by rustup. Where that fails, the distribution's compiler is used, and its
/// packages are added to `missing`. Fails if they cannot be installed either.
pub fn add(targets: &[&str], missing: &mut Vec<Need>) -> Result<Rust> {
    if !distribution_is_asked_for() {
        match add_by_rustup(targets) {
            Ok(()) => return Ok(Rust::Usual),
            Err(error) => step::say(&format!(
                "set-up: rustup cannot add the target {}; the distribution's Rust is used instead ({error:#})",
                targets.join(" ")
            )),
        }
    }
    if !distribution_has_sources() {
        if !packages::can_install() {
            bail!("{}", packages::refusal(&packages::RUST));
        }
        missing.extend(packages::RUST);
    }
    Ok(Rust::Distribution)
}

fn distribution_is_asked_for() -> bool {
    env::var("ALLOGRAFT_RUST").is_ok_and(|value| value == "distribution")
}

fn add_by_rustup(targets: &[&str]) -> Result<()> {
    let rustup = layout::in_path("rustup").ok_or_else(|| anyhow!("there is no rustup"))?;
    let targets_shown = targets.join(" ");
    let step = Step::begin(format!("set-up: adding the Rust targets {targets_shown} by rustup"));
    let mut command = Command::new(rustup);
    step::capture_within(command.args(["target", "add"]).args(targets), RUSTUP_LIMIT)?;
    if !targets.iter().all(|target| usual_has_std(target)) {
        bail!("rustup added it to another toolchain than the one in use");
    }
    step.done();
    Ok(())
}

fn usual_has_std(target: &str) -> bool {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    step::capture(Command::new(rustc).args(["--print", "target-libdir", "--target", target]))
        .is_ok_and(|folder| has_std(Path::new(folder.trim())))
}

fn has_std(folder: &Path) -> bool {
    let is_std = |name: &str| name.starts_with("libstd-") && name.ends_with(".rlib");
    fs::read_dir(folder).is_ok_and(|entries| {
        entries.flatten().any(|entry| is_std(&entry.file_name().to_string_lossy()))
    })
}

/// The distribution's compiler as it describes itself, if it is there and new enough.
fn distribution_version() -> Option<String> {
    if !Path::new(DISTRIBUTION).is_file() {
        return None;
    }
    let version = step::capture(Command::new(DISTRIBUTION).arg("-vV")).ok()?;
    (minor_release(&version)? >= OLDEST_MINOR).then_some(version)
}

/// The 96 of "rustc 1.96.0 (…)".
fn minor_release(version: &str) -> Option<u32> {
    version.strip_prefix("rustc 1.")?.split('.').next()?.parse().ok()
}

fn distribution_folder() -> Option<PathBuf> {
    let sysroot = step::capture(Command::new(DISTRIBUTION).args(["--print", "sysroot"])).ok()?;
    Some(Path::new(sysroot.trim()).join("lib/rustlib"))
}

fn distribution_has_sources() -> bool {
    distribution_version().is_some()
        && distribution_folder().is_some_and(|folder| folder.join("src/rust/library/std").is_dir())
}

/// The file beside the built libraries that names the compiler: an upgraded one rejects them.
const BUILT_BY: &str = "built-by-allograft.txt";

fn distribution_has_std(target: &str) -> bool {
    let (Some(version), Some(folder)) = (distribution_version(), distribution_folder()) else {
        return false;
    };
    let libraries = folder.join(target).join("lib");
    has_std(&libraries)
        && fs::read_to_string(libraries.join(BUILT_BY)).is_ok_and(|built_by| built_by == version)
}

fn build_std(target: &str) -> Result<()> {
    let version = distribution_version()
        .ok_or_else(|| anyhow!("{DISTRIBUTION} is missing or older than 1.{OLDEST_MINOR}; the newer one is among the release's security updates, which apt's sources must name"))?;
    let folder = distribution_folder().context("the compiler does not tell its folder")?;
    let step = Step::begin(format!("set-up: building Rust's standard library for {target}"));
    let scratch = layout::root().join("target/rust-std");
    let built = compile_std(&scratch, target)
        .and_then(|built| compile_start_objects(&folder, target, &built).map(|()| built))
        .context("building Rust's standard library for Windows")?;
    install_std(&built, &folder.join(target), &version)?;
    fs::remove_dir_all(&scratch).ok();
    step.done();
    Ok(())
}

/// Name of the empty crate that is compiled so that cargo compiles the standard library for it.
const SCRATCH: &str = "empty";

/// What cargo starts instead of the compiler. `panic_abort` must be compiled with `panic=abort`;
/// cargo compiles all libraries for unwinding. (Rust's own build makes the same exception.)
const WRAPPER: &str = r#"#!/bin/sh
case " $* " in
*" --crate-name panic_abort "*) exec "$@" -Cpanic=abort ;;
*) exec "$@" ;;
esac
"#;

fn compile_std(scratch: &Path, target: &str) -> Result<PathBuf> {
    fs::create_dir_all(scratch.join("src"))?;
    // An own workspace: the folder lies inside of ours.
    let manifest = format!("[package]\nname = \"{SCRATCH}\"\nedition = \"2024\"\n\n[workspace]\n");
    fs::write(scratch.join("Cargo.toml"), manifest)?;
    fs::write(scratch.join("src/lib.rs"), "#![no_std]\n")?;
    let wrapper = scratch.join("rustc-wrapper.sh");
    write_script(&wrapper, WRAPPER)?;
    let mut cargo = layout::cargo();
    cargo
        .current_dir(scratch)
        .args(["build", "--release", "--target", target])
        // `test` is what `cargo test` links.
        .arg("-Zbuild-std=core,alloc,std,panic_abort,test")
        .env("RUSTC", DISTRIBUTION)
        .env("RUSTC_WRAPPER", &wrapper)
        .env("RUSTC_BOOTSTRAP", "1")
        // Link-time optimisation of our release builds needs the libraries' bitcode.
        .env("RUSTFLAGS", "-Cembed-bitcode=yes")
        .env("CARGO_TARGET_DIR", scratch.join("target"));
    step::capture(&mut cargo)?;
    Ok(scratch.join("target").join(target).join("release/deps"))
}

/// Compiles into `built` the objects that the compiler links first and last into every 32-bit
/// image. Cargo does not build them.
fn compile_start_objects(folder: &Path, target: &str, built: &Path) -> Result<()> {
    if target != X86.rust {
        return Ok(());
    }
    for name in ["rsbegin", "rsend"] {
        let source = folder.join(format!("src/rust/library/rtstartup/{name}.rs"));
        let mut rustc = Command::new(DISTRIBUTION);
        rustc
            .args(["--target", target, "--emit=obj", "-o"])
            .arg(built.join(format!("{name}.o")))
            .arg(source)
            .env("RUSTC_BOOTSTRAP", "1");
        step::capture(&mut rustc)?;
    }
    Ok(())
}

/// Lays the libraries in `built` where the compiler looks for those of a target: beside first, then
/// renamed, so that there are never half of them.
fn install_std(built: &Path, target: &Path, version: &str) -> Result<()> {
    let place = |what: &str| format!("{what} {} (this takes root)", target.display());
    let partial = target.join("lib.partial");
    fs::remove_dir_all(&partial).ok();
    fs::create_dir_all(&partial).with_context(|| place("making"))?;
    for entry in fs::read_dir(built)? {
        let file = entry?.path();
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_library = name.ends_with(".rlib") && !name.starts_with(&format!("lib{SCRATCH}-"));
        if is_library || matches!(name.as_str(), "rsbegin.o" | "rsend.o") {
            fs::copy(&file, partial.join(&name)).with_context(|| place("writing to"))?;
        }
    }
    fs::write(partial.join(BUILT_BY), version)?;
    let libraries = target.join("lib");
    if libraries.exists() {
        fs::remove_dir_all(&libraries).with_context(|| place("replacing the libraries in"))?;
    }
    fs::rename(&partial, &libraries).with_context(|| place("writing to"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_is_read_from_what_the_compiler_says() {
        assert_eq!(
            minor_release("rustc 1.96.0 (ac68faa20 2026-05-25) (built from a source tarball)\n"),
            Some(96)
        );
        assert_eq!(minor_release("clang 14"), None);
    }
}
