//! `cargo xtask bench`: builds the programs of the bench and the baseline, and starts the harness.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::compile::{self, Output};
use crate::files::copy;
use crate::layout::{self, WINDOWS};
use crate::machine::Machine;
use crate::mimalloc::{self, Mimalloc};
use crate::setup::{self, Environment};
use crate::{crt, flags, programs, step};

/// The package of the harness.
pub const HARNESS: &str = "allograft-bench";

/// Sets up, builds everything, and runs the harness with `arguments`. Its exit code is the
/// harness's.
pub fn run(arguments: &[String]) -> Result<ExitCode> {
    let stage = folder("stage.json");
    if !measures(arguments) {
        return run_harness(arguments, &stage);
    }
    let environment = setup::run(&crt::default())?;
    compile::stage_for_bench(&environment, Output::Quiet)?.write_to(&stage)?;
    let _servers = environment.wine.as_ref().map(|wine| wine.keep_alive(&environment.prefixes));
    run_harness(arguments, &stage)
}

/// Whether the harness runs programs: not to print its manual or to present an earlier session.
fn measures(arguments: &[String]) -> bool {
    let runs_nothing = ["--help", "-h", "--from"];
    !arguments.iter().any(|word| runs_nothing.contains(&word.as_str()))
}

fn run_harness(arguments: &[String], stage: &Path) -> Result<ExitCode> {
    let mut cargo = layout::cargo();
    // Paths among the arguments are the caller's.
    cargo.current_dir(env::current_dir()?);
    cargo.env("ALLOGRAFT_STAGE", stage);
    cargo.args(["run", "--quiet", "--package", HARNESS, "--"]).args(arguments);
    Ok(if step::status(&mut cargo)?.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Builds the programs on the stage, in one folder for each way of linking them. `redirected` is
/// the folder with an unmodified `mimalloc.dll` and the redirection module.
pub fn lay_out(environment: &Environment, mimalloc: &Mimalloc, redirected: &Path) -> Result<()> {
    let baseline = build_baseline(mimalloc)?;
    build_programs(environment, "plain", &[], &[])?;
    build_programs(environment, "baseline", &["-DBENCH_BASELINE"], &baseline)?;
    // A flag, not an input: it is always copied again, and the programs only need its names.
    let import_library = layout::stage().join("lib/libmimalloc.dll.a");
    let flags = ["-DBENCH_LINKED", &import_library.to_string_lossy()];
    let linked = build_programs(environment, "linked", &flags, &[])?;
    copy(&mimalloc.dll, &linked.join(mimalloc::DLL))?;
    // The same programs beside the other mimalloc.dll.
    let other = folder("redirect");
    for from in [linked.as_path(), redirected] {
        let entries = fs::read_dir(from).with_context(|| format!("reading {}", from.display()))?;
        for entry in entries {
            let path = entry?.path();
            let is_run =
                path.extension().is_some_and(|extension| extension == "exe" || extension == "dll");
            if let (true, Some(name)) = (is_run, path.file_name()) {
                copy(&path, &other.join(name))?;
            }
        }
    }
    Ok(())
}

fn folder(part: &str) -> PathBuf {
    layout::stage().join("bench").join(part)
}

fn build_programs(
    environment: &Environment,
    kind: &str,
    flags: &[&str],
    linked: &[PathBuf],
) -> Result<PathBuf> {
    let output = folder(kind);
    programs::build(
        &environment.zig,
        &programs::Folder {
            machine: Machine::X64,
            what: &format!("the programs of the bench ({kind})"),
            sources: &layout::root().join("bench/programs"),
            output: &output,
            flags,
            linked,
        },
    )?;
    Ok(output)
}

/// Compiles the modules' mimalloc into a library, by the same compiler with the same flags. Returns
/// what a program is linked with: that library, and the compiler's own with the thread-local
/// variables.
fn build_baseline(mimalloc: &Mimalloc) -> Result<[PathBuf; 2]> {
    let folder = layout::stage().join("lib/baseline");
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let source = layout::root().join("bench/native/baseline.c");
    // A host other than the target makes the crate look for the cross compiler.
    let host = if cfg!(windows) { WINDOWS } else { "x86_64-unknown-linux-gnu" };
    let mut build = cc::Build::new();
    flags::set(&mut build, mimalloc.headers());
    flags::without_checks(&mut build);
    build.file(&source).target(WINDOWS).host(host).out_dir(&folder).cargo_metadata(false);
    let compiler = build.try_get_compiler()?;
    let library = folder.join("libbaseline.a");
    let recipe_file = layout::beside(&library, "command");
    let recipe = format!(
        "{}\n{}",
        step::shown(&compiler.to_command()),
        fs::read_to_string(&source).with_context(|| format!("reading {}", source.display()))?
    );
    if !library.is_file() || !fs::read_to_string(&recipe_file).is_ok_and(|made| made == recipe) {
        build.try_compile("baseline").context("compiling mimalloc for the bench")?;
        fs::write(&recipe_file, recipe)
            .with_context(|| format!("writing {}", recipe_file.display()))?;
    }
    let mut ask = Command::new(compiler.path());
    let support = step::capture(ask.arg("-print-file-name=libgcc_eh.a"))?;
    Ok([library, PathBuf::from(support.trim())])
}
