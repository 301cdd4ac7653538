//! `mimalloc-redirect.dll`, and an unmodified `mimalloc.dll` that imports a module of that name, ours or another.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::compile::{self, Output, Variant};
use crate::layout;
use crate::mimalloc::Mimalloc;
use crate::setup::Rust;
use crate::step;

/// The package of the module.
const PACKAGE: &str = "allograft-redirect";

/// The file name that `mimalloc.dll` imports.
const MODULE: &str = "mimalloc-redirect.dll";

/// Builds the module, by itself: together with others cargo would give it a mimalloc of its own.
pub fn build(rust: Rust, variant: Variant, output: Output) -> Result<PathBuf> {
    let messages = compile::packages(rust, variant, output, &[PACKAGE], None)?;
    compile::artifact(&messages, PACKAGE, "mimalloc_redirect.dll")
}

/// Lays `module` and an unmodified `mimalloc.dll` for it out in `folder`, by `zig`.
pub fn lay_out_kit(zig: &Path, mimalloc: &Mimalloc, module: &Path, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let library = folder.join("lib");
    fs::create_dir_all(&library).with_context(|| format!("making {}", library.display()))?;
    write_import_library(zig, &library)?;
    build_mimalloc(zig, mimalloc, &library, &folder.join("mimalloc.dll"))?;
    fs::copy(module, folder.join(MODULE))
        .map(drop)
        .with_context(|| format!("copying {}", module.display()))
}

/// The import library of any module of that name: mimalloc calls two of its functions.
fn write_import_library(zig: &Path, folder: &Path) -> Result<()> {
    let definitions = folder.join("mimalloc-redirect.def");
    let text = format!("LIBRARY {MODULE}\nEXPORTS\n    mi_allocator_init\n    mi_allocator_done\n");
    fs::write(&definitions, text).with_context(|| format!("writing {}", definitions.display()))?;
    let mut command = Command::new(zig);
    command
        .args(["dlltool", "-m", "i386:x86-64", "-d"])
        .arg(&definitions)
        .arg("-l")
        .arg(folder.join("libmimalloc-redirect.a"));
    step::capture(&mut command).map(drop)
}

/// mimalloc's own sources as its own build compiles them into a DLL.
fn build_mimalloc(zig: &Path, mimalloc: &Mimalloc, libraries: &Path, output: &Path) -> Result<()> {
    let include = mimalloc.headers();
    let sources = include.with_file_name("src");
    let cache = layout::cache()?.join("zig");
    let mut command = Command::new(zig);
    command
        .args([
            "cc",
            "-target",
            "x86_64-windows-gnu",
            "-O2",
            "-s",
            "-shared",
        ])
        .args(["-DNDEBUG", "-DMI_SHARED_LIB", "-DMI_SHARED_LIB_EXPORT"])
        // mimalloc's other ways to start need Microsoft's compiler.
        .args(["-DMI_WIN_INIT_USE_TLS_DLLMAIN", "-Wno-date-time"])
        .arg("-I")
        .arg(include)
        .arg("-I")
        .arg(&sources)
        .arg(sources.join("static.c"))
        .arg("-o")
        .arg(output)
        .arg("-L")
        .arg(libraries)
        .args(["-lmimalloc-redirect", "-ladvapi32", "-lbcrypt", "-lpsapi"])
        .env("ZIG_GLOBAL_CACHE_DIR", &cache)
        .env("ZIG_LOCAL_CACHE_DIR", &cache);
    step::capture(&mut command).map(drop)
}
