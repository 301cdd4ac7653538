//! `mimalloc-redirect.dll`, `mimalloc-redirect32.dll` for 32-bit programs, and an unmodified
//! `mimalloc.dll` that imports a module of that name, ours or another.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use allograft_tests::{Target, X64, X86};
use anyhow::Result;
use clap::Args;

use crate::cargo::{REDIRECT, WindowsBuild};
use crate::files::{copy, make_once};
use crate::layout;
use crate::mimalloc::{self, Sources};
use crate::{programs, step};

/// The folder of a kit in which it is built.
pub const SCRATCH: &str = "build";

/// The library by which `mimalloc.dll` imports the redirection module.
const IMPORTS: &str = "module.a";

// The options of mimalloc's own build that matter to a DLL for a redirection module.
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
    pub fn target(self) -> &'static Target {
        if self.x86 { &X86 } else { &X64 }
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

    fn flags(self) -> Vec<&'static str> {
        // The third way to start mimalloc, its default, needs pragmas of Microsoft's compiler.
        let start = ["-DMI_WIN_INIT_USE_TLS_DLLMAIN=1", "-DMI_WIN_INIT_USE_RAW_DLLMAIN=1"];
        let mut flags = Vec::new();
        if self.avx2 {
            flags.extend(["-march=haswell", "-mavx2", "-DMI_OPT_SIMD=1"]);
        }
        if self.skip_collect_on_exit {
            flags.push("-DMI_SKIP_COLLECT_ON_EXIT=1");
        }
        flags.push(start[usize::from(self.raw_entry)]);
        flags
    }
}

/// Builds the module alone: in one call of cargo with others, it would get a mimalloc of its own.
pub fn build(build: WindowsBuild) -> Result<PathBuf> {
    build.packages(&[REDIRECT])?.file("mimalloc_redirect.dll")
}

/// Lays out in `folder` an unmodified `mimalloc.dll`, what programs are linked with to use it, and
/// the redirection module `module`.
pub fn lay_out_kit(
    zig: &Path,
    sources: &Sources,
    options: KitOptions,
    module: &Path,
    folder: &Path,
) -> Result<()> {
    let target = options.target();
    // zig leaves other files beside what it links.
    let built = folder.join(SCRATCH).join(mimalloc::DLL);
    let raw_entry = layout::own("redirect-kit/raw_entry.c");
    let mut command = mimalloc_command(zig, sources, options, &built);
    if options.raw_entry {
        command.arg(&raw_entry).arg("-Wl,--entry,raw_entry");
    }
    let recipe = format!("{}\n{}", step::shown(&command), fs::read_to_string(&raw_entry)?);
    make_once(&built, &recipe, || {
        // mimalloc calls two functions of the module.
        let functions = ["mi_allocator_init", "mi_allocator_done"].map(str::to_owned);
        let definitions = mimalloc::definitions(target.redirection_module, functions);
        mimalloc::write_library(zig, target.dlltool, &definitions, &built.with_file_name(IMPORTS))?;
        programs::run_zig(&mut command)?;
        for name in ["libmimalloc.dll.a", "mimalloc.dll.lib"] {
            let library = built.with_file_name(name);
            mimalloc::write_import_library(zig, target, &built, &library)?;
            copy(&library, &folder.join("lib").join(name))?;
        }
        copy(&built, &folder.join(mimalloc::DLL))?;
        sources.copy_headers(&folder.join("include"))
    })?;
    copy(module, &folder.join(target.redirection_module))
}

/// The command that compiles mimalloc's sources into `dll`, as its own build does.
fn mimalloc_command(zig: &Path, sources: &Sources, options: KitOptions, dll: &Path) -> Command {
    let mut command = programs::zig_cc(zig, "cc", options.target());
    command
        .args(["-O2", "-s", "-shared", "-Wno-date-time"])
        .args(["-DNDEBUG", "-DMI_SHARED_LIB", "-DMI_SHARED_LIB_EXPORT"])
        .args(options.flags())
        .arg("-I")
        .arg(&sources.headers)
        .arg("-I")
        .arg(&sources.code)
        .arg(sources.code.join("static.c"))
        .arg("-o")
        .arg(dll)
        .arg(dll.with_file_name(IMPORTS))
        .args(["-ladvapi32", "-lbcrypt", "-lpsapi"]);
    command
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
            assert!(flags.contains(&format!("_{define}=1")), "{define}: {flags}");
        }
        assert_eq!(KitOptions::default().flags(), ["-DMI_WIN_INIT_USE_TLS_DLLMAIN=1"]);
    }
}
