//! Assembles the stage under `target/allograft`: everything that scenarios, benches and the demo
//! run.

use std::path::PathBuf;

use allograft_tests::{Crt, Stage, Stage32, Target, X64, X86};
use anyhow::{Context, Result};

use crate::cargo::{EXAMPLE, LAUNCHER, MODULE, RUST_PROGRAM, WindowsBuild};
use crate::commit::Commit;
use crate::dist;
use crate::files::put;
use crate::layout;
use crate::mimalloc::{self, Mimalloc};
use crate::redirect::{self, KitOptions};
use crate::setup::Environment;
use crate::wine::Prefix;
use crate::{bench, programs};

/// The options of the second kit on the stage: those that change how `mimalloc.dll` begins and
/// ends, on every processor.
const RAW_KIT: KitOptions =
    KitOptions { x86: false, avx2: false, skip_collect_on_exit: true, raw_entry: true };

/// The folder with the kit that has no such options.
const KIT: &str = "redirected";

/// What is built besides the modules and launchers.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    /// The names of the test programs; `None` for all.
    pub programs: Option<Vec<String>>,
    /// `mimalloc.dll` and the kits.
    pub mimalloc: bool,
    /// The example that mixes Rust and C++.
    pub example: bool,
    /// The test program that is written in Rust.
    pub rust_program: bool,
    /// The programs of the bench, in 64 bits.
    pub bench: bool,
    /// The module that checks every free.
    pub checking: bool,
    /// What `cargo xtask dist` makes.
    pub dist: bool,
    /// The programs of `allograft verify`, beside the launchers.
    pub verify: bool,
    /// All of that in 32 bits too, where that is possible.
    pub x86: bool,
}

impl Parts {
    /// All but what users download, which is made of parts of its own.
    pub const ALL: Parts = Parts {
        programs: None,
        mimalloc: true,
        example: true,
        rust_program: true,
        bench: true,
        checking: true,
        dist: false,
        verify: true,
        x86: true,
    };

    /// Only the module and the launcher for 64-bit programs.
    pub fn none() -> Parts {
        Parts { programs: Some(Vec::new()), ..Parts::default() }
    }
}

/// Builds `parts` and returns the description of the stage. The description names all files, also
/// those of parts that are not built.
pub fn build(environment: &Environment, build: WindowsBuild, parts: &Parts) -> Result<Stage> {
    build_for_target(environment, build, parts)?;
    if parts.x86 && environment.x86.is_ok() {
        build_for_target(environment, WindowsBuild { target: &X86, ..build }, parts)?;
    }
    if parts.dist {
        dist::make(environment, &Commit::read(), &layout::stage().join("dist"))?;
    }
    Ok(Stage { bin: bin(build.debug), ..describe(environment) })
}

/// The folder of the modules and launchers. Those of the debug variant have one of their own.
pub fn bin(debug: bool) -> PathBuf {
    layout::stage().join(if debug { "bin-debug" } else { "bin" })
}

fn build_for_target(environment: &Environment, build: WindowsBuild, parts: &Parts) -> Result<()> {
    let target = build.target;
    let stage = layout::stage().join(target.folder);
    let programs = stage.join("programs");
    let bin = bin(build.debug);
    if parts.checking {
        // Before the ordinary one, which stays in cargo's folder.
        let checking = WindowsBuild { check_frees: true, debug: false, ..build };
        let checking = checking.packages(&[MODULE])?;
        put(&checking.file("allograft.dll")?, &bin.join(target.checking_module()))?;
    }
    let built = build.packages(&[MODULE, LAUNCHER])?;
    put(&built.file("allograft.dll")?, &bin.join(target.module()))?;
    put(&built.file("allograft.exe")?, &bin.join(target.launcher()))?;
    if parts.mimalloc {
        let mimalloc = build_mimalloc(environment, build)?;
        if parts.bench && *target == X64 {
            bench::lay_out(environment, &mimalloc, &stage.join(KIT))?;
        }
    }
    if parts.example {
        let example = build.packages(&[EXAMPLE])?.file("rust-and-cpp.exe")?;
        put(&example, &programs.join("rust-and-cpp.exe"))?;
    }
    if parts.rust_program {
        let program = build.packages(&[RUST_PROGRAM])?.file("rust-collections.exe")?;
        put(&program, &programs.join("rust-collections.exe"))?;
    }
    let folder = programs::Folder {
        what: "the test programs",
        target,
        sources: &layout::root().join("tests/programs"),
        only: parts.programs.as_deref(),
        output: &programs,
        flags: &[],
        linked: &[],
    };
    programs::build(&environment.zig, &folder)?;
    if parts.verify {
        programs::lay_out_for_verify(&environment.zig, target, &bin)?;
    }
    Ok(())
}

/// Builds what programs link with that use `mimalloc.dll`, and the kits of an unmodified one with
/// our redirection module.
fn build_mimalloc(environment: &Environment, build: WindowsBuild) -> Result<Mimalloc> {
    let mimalloc = Mimalloc::build(build)?;
    let module = redirect::build(build)?;
    let stage = layout::stage().join(build.target.folder);
    for (options, name) in [(KitOptions::default(), KIT), (RAW_KIT, "redirected-raw")] {
        let options = KitOptions { x86: *build.target == X86, ..options };
        let folder = stage.join(name);
        redirect::lay_out_kit(&environment.zig, &mimalloc.sources, options, &module, &folder)?;
    }
    mimalloc.lay_out(&environment.zig, &layout::stage())?;
    mimalloc::lay_out_for_cmake(&layout::stage())?;
    put(&mimalloc.dll, &stage.join("programs").join(mimalloc::DLL))?;
    Ok(mimalloc)
}

pub fn describe(environment: &Environment) -> Stage {
    let programs = |target: &Target| layout::stage().join(target.folder).join("programs");
    let crts = |prefixes: &[Prefix]| -> Vec<Crt> {
        if environment.wine.is_some() {
            prefixes.iter().map(crt_of).collect()
        } else {
            let overrides = String::new();
            vec![Crt { name: "system".to_owned(), version: None, prefix: None, overrides }]
        }
    };
    Stage {
        bin: bin(false),
        programs: programs(&X64),
        wine: environment.wine.as_ref().map(|wine| wine.loader.clone()),
        crts: crts(&environment.prefixes),
        real: environment.real.clone(),
        zig: environment.zig.clone(),
        cmake: environment.cmake.clone(),
        x86: environment.x86.as_ref().ok().map(|x86| Stage32 {
            programs: programs(&X86),
            crts: crts(&x86.prefixes),
            real: x86.real.clone(),
        }),
        target: &X64,
    }
}

fn crt_of(prefix: &Prefix) -> Crt {
    Crt {
        name: prefix.name.clone(),
        version: prefix.version().map(str::to_owned),
        prefix: Some(prefix.folder.clone()),
        overrides: prefix.overrides().to_owned(),
    }
}

/// Builds `parts` and writes the description to where scenarios look for it.
pub fn build_and_write(
    environment: &Environment,
    options: WindowsBuild,
    parts: &Parts,
) -> Result<()> {
    let stage = build(environment, options, parts)?;
    let file = layout::stage_file(options.debug);
    stage.write(&file).with_context(|| format!("writing {}", file.display()))
}
