//! `mimalloc-redirect.dll`, `mimalloc-redirect32.dll` for 32-bit programs, and an unmodified
//! `mimalloc.dll` that imports a module of that name, ours or another.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;

use crate::compile::{self, Output, Variant};
use crate::files::copy;
use crate::layout;
use crate::machine::Machine;
use crate::mimalloc::{self, Sources};
use crate::setup::Rust;
use crate::step;

/// The package of the module.
pub const PACKAGE: &str = "allograft-redirect";

/// The options of mimalloc's own build that matter to a DLL for a redirection module.
#[derive(Args, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KitOptions {
    /// With --redirect-kit: lay out the kit for 32-bit programs.
    #[arg(long, requires = "redirect_kit")]
    pub x86: bool,
    /// With --redirect-kit: build mimalloc for processors with AVX2 (2013 and later). mimalloc has
    /// no such build in 32 bits.
    #[arg(long, requires = "redirect_kit", conflicts_with = "x86")]
    pub avx2: bool,
    /// With --redirect-kit: do not let mimalloc give its free memory back when the process ends.
    #[arg(long, requires = "redirect_kit")]
    pub skip_collect_on_exit: bool,
    /// With --redirect-kit: let mimalloc begin before the DLL's C runtime does, and end after it.
    #[arg(long, requires = "redirect_kit")]
    pub raw_entry: bool,
}

impl KitOptions {
    /// Which programs the kit is for.
    pub fn machine(self) -> Machine {
        if self.x86 { Machine::X86 } else { Machine::X64 }
    }

    /// The same options of mimalloc's build, for programs of `machine`.
    pub fn for_machine(self, machine: Machine) -> KitOptions {
        KitOptions { x86: machine == Machine::X86, ..self }
    }

    /// The names of the options of mimalloc's build that are set, as they are typed.
    pub fn names(self) -> Vec<&'static str> {
        [
            (self.avx2, "avx2"),
            (self.skip_collect_on_exit, "skip-collect-on-exit"),
            (self.raw_entry, "raw-entry"),
        ]
        .into_iter()
        .filter_map(|(is_set, name)| is_set.then_some(name))
        .collect()
    }

    /// What makes mimalloc's sources so, as its own build has it.
    fn flags(self) -> Vec<&'static str> {
        let mut flags = Vec::new();
        if self.avx2 {
            flags.extend(["-march=haswell", "-mavx2", "-DMI_OPT_SIMD=1"]);
        }
        if self.skip_collect_on_exit {
            flags.push("-DMI_SKIP_COLLECT_ON_EXIT=1");
        }
        // Its third way, which is its first choice, needs pragmas of Microsoft's compiler.
        flags.push(if self.raw_entry {
            "-DMI_WIN_INIT_USE_RAW_DLLMAIN=1"
        } else {
            "-DMI_WIN_INIT_USE_TLS_DLLMAIN=1"
        });
        flags
    }
}

/// Builds the module, by itself: together with others cargo would give it a mimalloc of its own.
pub fn build(rust: Rust, variant: Variant, output: Output) -> Result<PathBuf> {
    let messages = compile::packages(rust, variant, output, &[PACKAGE], None)?;
    compile::artifact(&messages, PACKAGE, "mimalloc_redirect.dll")
}

/// Lays out in `folder` an unmodified `mimalloc.dll`, what programs link with it by, and `module`
/// beside it; builds with `zig`.
pub fn lay_out_kit(
    zig: &Path,
    sources: &Sources,
    options: KitOptions,
    module: &Path,
    folder: &Path,
) -> Result<()> {
    let machine = options.machine();
    let library = folder.join("lib");
    fs::create_dir_all(&library).with_context(|| format!("making {}", library.display()))?;
    // zig leaves other files beside what it links.
    let scratch = folder.join("build");
    fs::create_dir_all(&scratch).with_context(|| format!("making {}", scratch.display()))?;
    let dll = build_mimalloc(zig, sources, options, &scratch)?;
    copy(&dll, &folder.join(mimalloc::DLL))?;
    for name in ["libmimalloc.dll.a", "mimalloc.dll.lib"] {
        mimalloc::write_import_library(zig, machine, &dll, &library.join(name))?;
    }
    fs::remove_dir_all(&scratch).with_context(|| format!("removing {}", scratch.display()))?;
    sources.copy_headers(&folder.join("include"))?;
    copy(module, &folder.join(machine.redirection_module()))
}

/// Compiles mimalloc's own sources in `folder` as its own build compiles them into a DLL. Returns
/// that.
fn build_mimalloc(
    zig: &Path,
    sources: &Sources,
    options: KitOptions,
    folder: &Path,
) -> Result<PathBuf> {
    let machine = options.machine();
    let cache = layout::cache()?.join("zig");
    let dll = folder.join(mimalloc::DLL);
    let module = folder.join("module.a");
    // mimalloc calls two functions of the module, whoever made it.
    let functions = ["mi_allocator_init", "mi_allocator_done"].map(str::to_owned);
    let definitions = mimalloc::definitions(machine.redirection_module(), functions);
    mimalloc::write_library_of(zig, machine, &definitions, &module)?;
    let mut command = Command::new(zig);
    command
        .args(["cc", "-target", machine.zig_target()])
        .args(["-O2", "-s", "-shared", "-Wno-date-time"])
        .args(["-DNDEBUG", "-DMI_SHARED_LIB", "-DMI_SHARED_LIB_EXPORT"])
        .args(options.flags())
        .arg("-I")
        .arg(sources.headers())
        .arg("-I")
        .arg(sources.code())
        .arg(sources.code().join("static.c"))
        .arg("-o")
        .arg(&dll)
        .arg(&module)
        .args(["-ladvapi32", "-lbcrypt", "-lpsapi"])
        .env("ZIG_GLOBAL_CACHE_DIR", &cache)
        .env("ZIG_LOCAL_CACHE_DIR", &cache);
    if options.raw_entry {
        command.arg(layout::own("redirect-kit/raw_entry.c")).arg("-Wl,--entry,raw_entry");
    }
    step::capture(&mut command)?;
    Ok(dll)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_option_is_one_of_mimallocs_own_build() {
        let all = KitOptions {
            avx2: true,
            skip_collect_on_exit: true,
            raw_entry: true,
            ..KitOptions::default()
        };
        assert_eq!(all.names(), ["avx2", "skip-collect-on-exit", "raw-entry"]);
        let flags = all.flags().join(" ");
        for define in ["OPT_SIMD", "SKIP_COLLECT_ON_EXIT", "INIT_USE_RAW_DLLMAIN"] {
            assert!(
                flags.contains(&format!("-DMI_{define}=1"))
                    || flags.contains(&format!("-DMI_WIN_{define}=1")),
                "{define}: {flags}"
            );
        }
        assert_eq!(KitOptions::default().flags(), ["-DMI_WIN_INIT_USE_TLS_DLLMAIN=1"]);
    }
}
