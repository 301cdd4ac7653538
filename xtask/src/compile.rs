//! Building the Windows code: the module and the launcher by cargo, the test programs by zig.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::layout;
use crate::machine::Machine;
use crate::mimalloc::{self, Mimalloc};
use crate::redirect::KitOptions;
use crate::setup::{Environment, Rust, X86};
use crate::stage::{Crt, Real, Stage, StageX86};
use crate::{bench, programs, redirect, step};

/// The package of the module.
pub const MODULE_PACKAGE: &str = "allograft-dll";

/// The package of the launcher.
pub const LAUNCHER_PACKAGE: &str = "allograft-cli";

/// The package of the example with Rust and C++ in it.
const EXAMPLE_PACKAGE: &str = "rust-and-cpp";

/// The options of the second kit on the stage: those that change how `mimalloc.dll` begins and
/// ends, on every processor.
const KIT_OPTIONS: KitOptions =
    KitOptions { x86: false, avx2: false, skip_collect_on_exit: true, raw_entry: true };

/// The folder of the stage with an unmodified `mimalloc.dll` as its own build has it by default.
const REDIRECTED: &str = "redirected";

/// Which module is built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Variant {
    /// Unoptimised, with mimalloc's own checks.
    pub debug: bool,
    /// For processors with AVX2; with SSE4.2, for 32-bit programs.
    pub avx2: bool,
    /// With mimalloc's mitigations.
    pub secure: bool,
    /// For which programs.
    pub machine: Machine,
}

impl Variant {
    /// The ordinary module for programs of `machine`.
    pub fn of(machine: Machine) -> Variant {
        Variant { machine, ..Variant::default() }
    }

    /// The cargo features of `package`, one of the DLLs, that make it.
    fn features(self, package: &str) -> Vec<String> {
        let avx2 = match self.machine {
            Machine::X64 => "avx2",
            Machine::X86 => "sse42",
        };
        [(self.debug, "debug"), (self.avx2, avx2), (self.secure, "secure")]
            .into_iter()
            .filter(|(wanted, _)| *wanted)
            .map(|(_, feature)| format!("{package}/{feature}"))
            .collect()
    }
}

/// Whether cargo's progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// As cargo shows it.
    Shown,
    /// Warnings and errors only.
    Quiet,
}

/// What cargo built.
pub struct Built {
    /// `allograft.dll`
    pub module: PathBuf,
    /// `allograft.exe`
    pub launcher: PathBuf,
}

/// Builds the DLLs, the launcher and the test programs, lays them on the stage and describes it for
/// the scenarios.
pub fn stage(environment: &Environment, variant: Variant, output: Output) -> Result<Stage> {
    let bin = layout::stage().join("bin");
    stage_bin(environment.rust, variant, output, &bin)?;
    let programs = layout::stage().join("programs");
    stage_mimalloc_and_bench(environment, variant, output)?;
    stage_example(environment.rust, variant, output)?;
    stage_programs(environment, variant.machine)?;
    let x86 = match &environment.x86 {
        Ok(x86) => Some(stage_x86(environment, x86, variant, output, &bin)?),
        Err(_) => None,
    };
    let stage = described(environment, bin, programs, x86);
    stage.write()?;
    Ok(stage)
}

/// Builds and describes what the bench needs, and leaves the rest of the stage as it is.
pub fn stage_for_bench(environment: &Environment, output: Output) -> Result<Stage> {
    let variant = Variant::default();
    let bin = layout::stage().join("bin");
    stage_bin(environment.rust, variant, output, &bin)?;
    let programs = layout::stage().join("programs");
    stage_mimalloc_and_bench(environment, variant, output)?;
    Ok(described(environment, bin, programs, None))
}

/// Lays the module and the launcher into `bin`.
fn stage_bin(rust: Rust, variant: Variant, output: Output, bin: &Path) -> Result<()> {
    let built = windows(rust, variant, output)?;
    fs::create_dir_all(bin).with_context(|| format!("making {}", bin.display()))?;
    let (module, launcher) = variant.machine.module_and_launcher();
    put(&built.module, &bin.join(module))?;
    put(&built.launcher, &bin.join(launcher))
}

fn stage_programs(environment: &Environment, machine: Machine) -> Result<()> {
    programs::build(
        &environment.zig,
        &programs::Folder {
            what: "the test programs",
            machine,
            sources: &layout::root().join("tests/programs"),
            output: &machine.stage().join("programs"),
            flags: &[],
            linked: &[],
        },
    )
}

/// Lays the module and the launcher for 32-bit programs beside those in `bin`, and the test
/// programs in 32 bits on a stage of their own.
fn stage_x86(
    environment: &Environment,
    x86: &X86,
    variant: Variant,
    output: Output,
    bin: &Path,
) -> Result<StageX86> {
    let variant = Variant { machine: Machine::X86, ..variant };
    stage_bin(environment.rust, variant, output, bin)?;
    stage_mimalloc(environment, variant, output)?;
    stage_example(environment.rust, variant, output)?;
    stage_programs(environment, Machine::X86)?;
    Ok(StageX86 {
        programs: Machine::X86.stage().join("programs"),
        crts: x86.prefixes.iter().map(Crt::of).collect(),
        clang_format: x86.clang_format.clone(),
    })
}

/// Lays on the stage of the variant's machine what the programs need that link with `mimalloc.dll`,
/// the DLL beside them; and an unmodified one with our redirection module.
fn stage_mimalloc(environment: &Environment, variant: Variant, output: Output) -> Result<Mimalloc> {
    let mimalloc = Mimalloc::build(environment.rust, variant, output)?;
    let redirect = redirect::build(environment.rust, variant, output)?;
    let stage = variant.machine.stage();
    for (options, name) in [(KitOptions::default(), REDIRECTED), (KIT_OPTIONS, "redirected-raw")] {
        redirect::lay_out_kit(
            &environment.zig,
            &mimalloc.sources,
            options.for_machine(variant.machine),
            &redirect,
            &stage.join(name),
        )?;
    }
    mimalloc.lay_out(&environment.zig, &layout::stage())?;
    mimalloc::lay_out_for_cmake(&layout::stage())?;
    let programs = stage.join("programs");
    fs::create_dir_all(&programs).with_context(|| format!("making {}", programs.display()))?;
    put(&mimalloc.dll, &programs.join("mimalloc.dll"))?;
    Ok(mimalloc)
}

/// Does that, and lays there the programs of the bench, which use all of it.
fn stage_mimalloc_and_bench(
    environment: &Environment,
    variant: Variant,
    output: Output,
) -> Result<()> {
    let mimalloc = stage_mimalloc(environment, variant, output)?;
    bench::lay_out(environment, &mimalloc, &variant.machine.stage().join(REDIRECTED))
}

/// Lays the example with Rust and C++ in it beside the test programs.
fn stage_example(rust: Rust, variant: Variant, output: Output) -> Result<()> {
    let programs = variant.machine.stage().join("programs");
    let messages = packages(rust, variant, output, &[EXAMPLE_PACKAGE], None)?;
    let example = artifact(&messages, EXAMPLE_PACKAGE, "rust-and-cpp.exe")?;
    put(&example, &programs.join("rust-and-cpp.exe"))
}

fn described(
    environment: &Environment,
    bin: PathBuf,
    programs: PathBuf,
    x86: Option<StageX86>,
) -> Stage {
    let crts = match &environment.wine {
        Some(_) => environment.prefixes.iter().map(Crt::of).collect(),
        None => vec![Crt::system()],
    };
    Stage {
        bin,
        programs,
        wine: environment.wine.as_ref().map(|wine| wine.loader.clone()),
        crts,
        real: Real {
            z3: environment.real.z3.clone(),
            java: environment.real.java.clone(),
            clang_format: environment.real.clang_format.clone(),
        },
        zig: vec![environment.zig.clone()],
        x86,
        cmake: environment.cmake.clone(),
    }
}

/// Builds the module and the launcher.
pub fn windows(rust: Rust, variant: Variant, output: Output) -> Result<Built> {
    let messages =
        packages(rust, variant, output, &[MODULE_PACKAGE, LAUNCHER_PACKAGE], Some(MODULE_PACKAGE))?;
    Ok(Built {
        module: artifact(&messages, MODULE_PACKAGE, "allograft.dll")?,
        launcher: artifact(&messages, LAUNCHER_PACKAGE, "allograft.exe")?,
    })
}

/// Builds packages for Windows, with the features of the variant for `varied`, if one of them has
/// these. Returns what cargo says of it for programs.
pub fn packages(
    rust: Rust,
    variant: Variant,
    output: Output,
    packages: &[&str],
    varied: Option<&str>,
) -> Result<Vec<Value>> {
    let mut cargo = layout::cargo();
    rust.apply(&mut cargo);
    cargo.args(["build", "--target", variant.machine.rust_target()]);
    for package in packages {
        cargo.args(["--package", package]);
    }
    cargo.arg("--message-format=json-render-diagnostics");
    if !variant.debug {
        cargo.arg("--release");
    }
    if output == Output::Quiet {
        cargo.arg("--quiet");
    }
    for feature in varied.map_or_else(Vec::new, |package| variant.features(package)) {
        cargo.args(["--features", &feature]);
    }
    messages_of(&mut cargo)
}

/// Runs cargo with its standard error shown, and returns the messages that it prints for programs.
fn messages_of(cargo: &mut Command) -> Result<Vec<Value>> {
    let output = cargo
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start `{}`", step::shown(cargo)))?;
    if !output.status.success() {
        bail!("`{}` failed ({})", step::shown(cargo), output.status);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

/// The path of the file `name` among those that cargo says it made.
pub fn artifact(messages: &[Value], package: &str, name: &str) -> Result<PathBuf> {
    messages
        .iter()
        .filter_map(|message| message["filenames"].as_array())
        .flatten()
        .filter_map(|path| path.as_str().map(PathBuf::from))
        .find(|path| path.file_name().is_some_and(|file| file == name))
        .with_context(|| format!("building {package} made no {name}"))
}

/// Copies a file so that a program that has the old one open keeps it whole.
fn put(from: &Path, to: &Path) -> Result<()> {
    let partial = layout::beside(to, "partial");
    fs::copy(from, &partial)
        .and_then(|_| fs::rename(&partial, to))
        .with_context(|| format!("copying {} to {}", from.display(), to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variant_is_the_modules_features() {
        assert!(Variant::default().features(MODULE_PACKAGE).is_empty());
        let variant = Variant { debug: false, avx2: true, secure: true, machine: Machine::X64 };
        assert_eq!(
            variant.features(MODULE_PACKAGE),
            ["allograft-dll/avx2", "allograft-dll/secure"]
        );
    }

    #[test]
    fn what_cargo_made_is_found_in_its_messages() {
        let message = serde_json::json!({"reason": "compiler-artifact", "filenames": ["/t/liballograft.dll.a", "/t/allograft.dll"]});
        let messages = [serde_json::json!({"reason": "build-finished"}), message];
        assert_eq!(
            artifact(&messages, "p", "allograft.dll").unwrap(),
            Path::new("/t/allograft.dll")
        );
        assert!(
            artifact(&messages, "p", "allograft.exe")
                .unwrap_err()
                .to_string()
                .contains("allograft.exe")
        );
    }
}
