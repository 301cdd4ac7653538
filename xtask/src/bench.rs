//! Builds the programs of the bench and the baseline that they are measured against.

use std::path::{Path, PathBuf};
use std::process::Command;

use allograft_tests::X64;
use anyhow::{Context, Result};

use crate::files::{copy, copy_files, make_once, read};
use crate::layout;
use crate::mimalloc::{self, Mimalloc};
use crate::setup::Environment;
use crate::{flags, programs, step};

/// Lays the programs on the stage, in a folder for each way in which they are linked; `mimalloc`
/// and `redirected`, the folder with an unmodified `mimalloc.dll` and our redirection module, were
/// built before.
pub fn lay_out(environment: &Environment, mimalloc: &Mimalloc, redirected: &Path) -> Result<()> {
    let baseline = build_baseline(mimalloc)?;
    build_programs(environment, "plain", None, &[], &[])?;
    build_programs(environment, "baseline", None, &["-DBENCH_BASELINE"], &baseline)?;
    let with_runtime = ["loops", "kinds", "threads"].map(str::to_owned);
    // Microsoft's compiler keeps no frame pointers in the runtime's functions.
    let flags = ["-DBENCH_RUNTIME_LINKED_IN", "-fomit-frame-pointer"];
    build_programs(environment, "linked-in", Some(&with_runtime), &flags, &[])?;
    let flags = [&flags[..], &["-DBENCH_LAYERED"]].concat();
    build_programs(environment, "layered", Some(&with_runtime), &flags, &baseline)?;
    // A flag, not an input: it is copied anew each time, and the programs need nothing of it but
    // its names.
    let import_library = layout::stage().join("lib/libmimalloc.dll.a");
    let flags = ["-DBENCH_LINKED", &import_library.to_string_lossy()];
    let linked = build_programs(environment, "linked", None, &flags, &[])?;
    copy(&mimalloc.dll, &linked.join(mimalloc::DLL))?;
    // The same programs beside the other mimalloc.dll.
    let is_run = |path: &Path| {
        path.extension().is_some_and(|extension| extension == "exe" || extension == "dll")
    };
    let other = folder("redirect");
    copy_files(&linked, &other, is_run)?;
    copy_files(redirected, &other, is_run)
}

fn folder(part: &str) -> PathBuf {
    layout::stage().join("bench").join(part)
}

fn build_programs(
    environment: &Environment,
    kind: &str,
    only: Option<&[String]>,
    flags: &[&str],
    linked: &[PathBuf],
) -> Result<PathBuf> {
    let output = folder(kind);
    let bench = programs::Folder {
        target: &X64,
        only,
        what: &format!("the programs of the bench ({kind})"),
        sources: &layout::root().join("bench/programs"),
        output: &output,
        flags,
        linked,
    };
    programs::build(&environment.zig, &bench)?;
    Ok(output)
}

/// Compiles mimalloc as the modules have it into a library to link with, by the same compiler with
/// the same flags. Returns what a program is linked with: that library, and the compiler's own,
/// which has its thread-local variables.
fn build_baseline(mimalloc: &Mimalloc) -> Result<[PathBuf; 2]> {
    let folder = layout::stage().join("lib/baseline");
    let source = layout::root().join("bench/native/baseline.c");
    // Anything but the target has cross compilation's compiler looked for.
    let host = if cfg!(windows) { X64.rust } else { "x86_64-unknown-linux-gnu" };
    let mut build = cc::Build::new();
    build.file(&source).target(X64.rust).host(host).out_dir(&folder).cargo_metadata(false);
    flags::set(&mut build, &mimalloc.sources.headers);
    flags::without_checks(&mut build);
    let compiler = build.try_get_compiler()?;
    let library = folder.join("libbaseline.a");
    let recipe = format!("{}\n{}", step::shown(&compiler.to_command()), read(&source)?);
    make_once(&library, &recipe, || {
        build.try_compile("baseline").context("compiling mimalloc for the bench")
    })?;
    let mut ask = Command::new(compiler.path());
    let support = step::capture(ask.arg("-print-file-name=libgcc_eh.a"))?;
    Ok([library, PathBuf::from(support.trim())])
}
