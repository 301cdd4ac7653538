//! Builds programs for Rust's `-msvc` targets without Microsoft's SDK: by zig's clang, which can be
//! called as `clang-cl`, on MinGW's headers and zig's libc++, by import libraries that are made
//! from MinGW's lists, and with a small start-up object of our own in place of Microsoft's.
//!
//! On Windows cargo finds Microsoft's compiler and SDK itself, and nothing of this is used.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use allograft_tests::Target;
use anyhow::{Context, Result};

use crate::cargo::{Artifacts, built_by};
use crate::files::{copy, copy_files, files_under, hex, make_folder, publish, put, write_script};
use crate::layout;
use crate::mimalloc::write_library;
use crate::programs::run_zig;
use crate::setup::{Environment, Rust};
use crate::step::{self, Step};
use sha2::{Digest, Sha256};

/// What Rust and the tools of LLVM call a processor type.
#[derive(PartialEq, Eq)]
pub struct MsvcTarget {
    pub rust: &'static str,
    /// The other target, whose Wine and whose folder of the stage programs for this one use. None
    /// where they cannot be run.
    gnu: Option<&'static Target>,
    dlltool: &'static str,
    /// MinGW's folders with lists of what DLLs export, the first that has a list counts.
    lists: &'static [&'static str],
    /// Functions of ntdll's that compilers call.
    helpers: &'static [&'static str],
    /// Options of clang that Microsoft's headers would not need.
    options: &'static [&'static str],
}

/// 64-bit programs.
pub static X64: MsvcTarget = MsvcTarget {
    rust: "x86_64-pc-windows-msvc",
    gnu: Some(&allograft_tests::X64),
    dlltool: "i386:x86-64",
    lists: &["lib64", "lib-common"],
    helpers: &["__chkstk"],
    options: &[],
};

/// 32-bit programs.
pub static X86: MsvcTarget = MsvcTarget {
    rust: "i686-pc-windows-msvc",
    gnu: Some(&allograft_tests::X86),
    dlltool: "i386",
    lists: &["lib32", "lib-common"],
    helpers: &[
        "_chkstk",
        "_alldiv",
        "_alldvrm",
        "_allmul",
        "_allrem",
        "_allshl",
        "_allshr",
        "_aulldiv",
        "_aulldvrm",
        "_aullrem",
        "_aullshr",
    ],
    options: &["-D_X86_=1"],
};

/// Programs for ARM64, which are compiled and not run.
pub static ARM64: MsvcTarget = MsvcTarget {
    rust: "aarch64-pc-windows-msvc",
    gnu: None,
    dlltool: "arm64",
    lists: &["lib-common"],
    helpers: &["__chkstk"],
    options: &[],
};

/// The DLLs that Rust's standard library and mimalloc's crate are linked with.
const SYSTEM: [&str; 10] = [
    "advapi32", "bcrypt", "dbghelp", "kernel32", "ntdll", "psapi", "shell32", "user32", "userenv",
    "ws2_32",
];

/// Import libraries by Microsoft's names for what MinGW has under another.
const RUNTIME: [(&str, &str); 2] = [("vcruntime", "vcruntime140"), ("ucrt", "ucrtbase")];

/// Libraries that programs name, and that add nothing to those above.
const EMPTY: [&str; 6] =
    ["legacy_stdio_definitions", "oldnames", "msvcprt", "libcpmt", "libvcruntime", "libucrt"];

/// What clang-cl needs to compile with MinGW's headers, and its C++ headers to be configured as
/// zig configures them.
const OPTIONS: [&str; 28] = [
    "-X",
    "-fgnuc-version=4.2.1",
    "-D__MINGW32__",
    "-D_UCRT",
    "-D_LIBCPP_ABI_NAMESPACE=__1",
    "-D_LIBCPP_ABI_VERSION=1",
    "-D_LIBCPP_HARDENING_MODE_DEFAULT=_LIBCPP_HARDENING_MODE_NONE",
    "-D_LIBCPP_HAS_FILESYSTEM=0",
    "-D_LIBCPP_HAS_LOCALIZATION=0",
    "-D_LIBCPP_HAS_MONOTONIC_CLOCK=1",
    "-D_LIBCPP_HAS_MUSL_LIBC=0",
    "-D_LIBCPP_HAS_RANDOM_DEVICE=0",
    "-D_LIBCPP_HAS_TERMINAL=1",
    "-D_LIBCPP_HAS_THREADS=0",
    "-D_LIBCPP_HAS_THREAD_API_EXTERNAL=0",
    "-D_LIBCPP_HAS_THREAD_API_PTHREAD=0",
    "-D_LIBCPP_HAS_THREAD_API_WIN32=0",
    "-D_LIBCPP_HAS_TIME_ZONE_DATABASE=0",
    "-D_LIBCPP_HAS_UNICODE=0",
    "-D_LIBCPP_HAS_VENDOR_AVAILABILITY_ANNOTATIONS=0",
    "-D_LIBCPP_HAS_WIDE_CHARACTERS=1",
    "-D_LIBCPP_NO_AUTO_LINK",
    "-D_LIBCPP_NO_VCRUNTIME",
    "-Wno-ignored-attributes",
    "-Wno-nonportable-include-path",
    "-Wno-pragma-pack",
    "-Wno-unused-command-line-argument",
    "-Wno-unknown-attributes",
];

/// How the programs get their C runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runtime {
    /// As a DLL.
    Dynamic,
    /// Linked in: Rust's `+crt-static`.
    LinkedIn,
}

impl Runtime {
    /// The folder for such programs, below that of the test programs; and cargo's, below its own.
    pub fn folder(self) -> &'static str {
        match self {
            Runtime::Dynamic => "msvc",
            Runtime::LinkedIn => "msvc-static",
        }
    }
}

/// Tools and libraries for one target, in the cache.
struct Kit {
    folder: PathBuf,
    target: &'static MsvcTarget,
}

impl Kit {
    /// The kit of `target`, made if there is none of these sources and this zig.
    fn prepare(zig: &Path, target: &'static MsvcTarget) -> Result<Kit> {
        let mut recipe = Sha256::new();
        recipe.update(include_str!("msvc.rs"));
        recipe.update(zig.as_os_str().as_encoded_bytes());
        for source in files_under(&sources())? {
            recipe.update(fs::read(source)?);
        }
        let name = format!("{}-{}", target.rust, &hex(&recipe.finalize())[..12]);
        let kit = Kit { folder: layout::cache()?.join(name), target };
        if !kit.folder.is_dir() {
            let step = Step::begin(format!("set-up: making libraries for {}", target.rust));
            let partial = Kit { folder: layout::partial(&kit.folder), target };
            partial.fill(zig).with_context(|| format!("making libraries for {}", target.rust))?;
            // Its tools name the folder that they lie in.
            partial.write_tools(zig, &kit.folder)?;
            publish(&partial.folder, &kit.folder, || kit.folder.is_dir())?;
            step.done();
        }
        Ok(kit)
    }

    fn library(&self, name: &str) -> PathBuf {
        self.folder.join(format!("lib/{name}.lib"))
    }

    fn tool(&self, name: &str) -> PathBuf {
        self.folder.join("bin").join(name)
    }

    fn fill(&self, zig: &Path) -> Result<()> {
        let headers = self.folder.join("include");
        copy_files(&sources().join("include"), &headers, Path::is_file)?;
        // Before clang's own, which are for Microsoft's.
        let mingw = part_of(zig, "libc/include/any-windows-any");
        copy(&mingw.join("intrin.h"), &headers.join("intrin.h"))?;
        make_folder(&self.folder.join("lib"))?;
        let own = SYSTEM.map(|name| (name, name));
        for (name, list) in own.into_iter().chain(RUNTIME) {
            self.import(zig, &self.definitions(zig, list)?, name)?;
        }
        let helpers = self.target.helpers.join("\n");
        self.import(zig, &format!("LIBRARY ntdll.dll\nEXPORTS\n{helpers}\n"), "helpers")?;
        for name in EMPTY {
            copy(&self.library("helpers"), &self.library(name))?;
        }
        self.write_tools(zig, &self.folder)?;
        let objects = ["startup.c", "cpp_runtime.cpp", "linked_in_heap.c"]
            .map(|source| self.compile(source))
            .into_iter()
            .collect::<Result<Vec<_>>>()?;
        self.archive(zig, "msvcrt", &objects[..2])?;
        self.archive(zig, "libcmt", &objects)
    }

    /// What the DLL exports, by MinGW's list, as a module definition for this processor.
    fn definitions(&self, zig: &Path, list: &str) -> Result<String> {
        let folder = part_of(zig, "libc/mingw");
        let file = self
            .target
            .lists
            .iter()
            .flat_map(|place| ["def.in", "def"].map(|end| format!("{place}/{list}.{end}")))
            .map(|path| folder.join(path))
            .find(|file| file.is_file())
            .with_context(|| format!("zig has no list of what {list}.dll exports"))?;
        let gnu = self.target.rust.replace("-msvc", "-gnu");
        let mut command = Command::new(zig);
        command.args(["clang", "-E", "-P", "-w", "-x", "c", &format!("--target={gnu}"), "-I"]);
        let text = step::capture(command.arg(folder.join("def-include")).arg(file))?;
        let is_decorated = self.target.gnu == Some(&allograft_tests::X86);
        Ok(if is_decorated { text } else { undecorated(&text) })
    }

    fn import(&self, zig: &Path, definitions: &str, name: &str) -> Result<()> {
        write_library(zig, self.target.dlltool, definitions, &self.library(name))
    }

    fn compile(&self, source: &str) -> Result<PathBuf> {
        let object = self.folder.join(source).with_extension("obj");
        let mut command = Command::new(self.tool("clang-cl"));
        command.args(["/O2", "/GS-", "/W3", "/WX", "/c"]).arg(sources().join(source));
        command.arg(format!("/Fo{}", object.display()));
        run_zig(&mut command)?;
        Ok(object)
    }

    fn archive(&self, zig: &Path, name: &str, objects: &[PathBuf]) -> Result<()> {
        let mut command = Command::new(zig);
        command.arg("lib").arg(format!("/out:{}", self.library(name).display())).args(objects);
        run_zig(&mut command)
    }

    /// Writes scripts that call zig by the names that cargo and crates know; `folder` is where the
    /// headers will be.
    fn write_tools(&self, zig: &Path, folder: &Path) -> Result<()> {
        let zig_shown = zig.display();
        let headers = [
            folder.join("include"),
            part_of(zig, "libcxx/include"),
            part_of(zig, "include"),
            part_of(zig, "libc/include/any-windows-any"),
        ];
        let headers = headers.map(|folder| format!("-imsvc '{}'", folder.display())).join(" ");
        let options = [OPTIONS.join(" "), self.target.options.join(" ")].join(" ");
        let target = self.target.rust;
        let scripts = [
            (
                "clang-cl",
                format!("clang --driver-mode=cl --target={target} {options} {headers} \"$@\""),
            ),
            ("llvm-lib", "lib \"$@\"".to_owned()),
            ("lld-link", "lld-link \"$@\"".to_owned()),
        ];
        for (name, arguments) in scripts {
            // rustc names the flavour of a linker that it takes for its own.
            let skip = "if [ \"$1\" = -flavor ]; then shift 2; fi";
            let script = format!("#!/bin/sh\n{skip}\nexec '{zig_shown}' {arguments}\n");
            write_script(&self.tool(name), &script)?;
        }
        Ok(())
    }

    /// Has a call of cargo use the kit for its target.
    fn apply(&self, cargo: &mut Command) -> Result<()> {
        let target = self.target.rust;
        let variable = target.replace('-', "_");
        for (name, tool) in [("CC", "clang-cl"), ("CXX", "clang-cl"), ("AR", "llvm-lib")] {
            cargo.env(format!("{name}_{variable}"), self.tool(tool));
        }
        let cache = layout::cache()?.join("zig");
        cargo.env("ZIG_GLOBAL_CACHE_DIR", &cache).env("ZIG_LOCAL_CACHE_DIR", &cache);
        let linker = self.tool("lld-link");
        cargo.arg("--config").arg(format!("target.{target}.linker={:?}", linker));
        Ok(())
    }
}

/// `text` without the sizes of arguments, which x86 alone has in its names.
fn undecorated(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let words = line.split(' ').map(|word| match word.rsplit_once('@') {
            Some((name, size)) if !name.is_empty() && size.parse::<u32>().is_ok() => name,
            _ => word,
        });
        words.collect::<Vec<_>>().join(" ") + "\n"
    });
    lines.collect()
}

fn sources() -> PathBuf {
    layout::own("msvc")
}

/// A part of zig's library folder.
fn part_of(zig: &Path, part: &str) -> PathBuf {
    zig.with_file_name("lib").join(part)
}

/// A call of cargo for `target`, on libraries that are made first. Other options than those of the
/// usual builds have a target folder of their own.
pub fn cargo(
    environment: &Environment,
    target: &'static MsvcTarget,
    runtime: Runtime,
    command: &str,
) -> Result<Command> {
    let rust: Rust = environment.rust;
    rust.complete(target.rust)?;
    let mut cargo = layout::cargo();
    rust.apply(&mut cargo);
    cargo.args([command, "--target", target.rust, "--target-dir"]);
    cargo.arg(layout::target().join(runtime.folder()));
    // Programs unwind; our modules do not.
    cargo.args(["--config", "profile.dev.panic=\"unwind\"", "--config", "profile.dev.debug=false"]);
    let mut flags = Vec::new();
    if runtime == Runtime::LinkedIn {
        flags.push("-Ctarget-feature=+crt-static".to_owned());
    }
    if !cfg!(windows) {
        let kit = Kit::prepare(&environment.zig, target)?;
        kit.apply(&mut cargo)?;
        flags.push(format!("-Lnative={}", kit.folder.join("lib").display()));
    }
    let flags = serde_json::to_string(&flags)?;
    cargo.arg("--config").arg(format!("target.{}.rustflags={flags}", target.rust));
    Ok(cargo)
}

/// Builds `programs`, packages with a program of the same name each, and lays them where scenarios
/// look for them.
pub fn build_programs(
    environment: &Environment,
    target: &'static MsvcTarget,
    runtime: Runtime,
    programs: &[&str],
) -> Result<()> {
    let mut cargo = cargo(environment, target, runtime, "build")?;
    cargo.args(["--quiet", "--message-format=json-render-diagnostics"]);
    cargo.args(programs.iter().flat_map(|package| ["--package", package]));
    let built: Artifacts = built_by(&mut cargo)?;
    let stage = layout::stage().join(target.gnu.map_or("arm64", |gnu| gnu.folder));
    for program in programs {
        let file = format!("{program}.exe");
        let place = stage.join("programs").join(runtime.folder());
        put(&built.file(&file)?, &place.join(&file))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sizes_of_arguments_are_taken_off_names() {
        let text = "LIBRARY a.dll\nEXPORTS\nbind@12\n?f@@YAXH@Z\ng@8 == h\nplain DATA\n";
        let expected = "LIBRARY a.dll\nEXPORTS\nbind\n?f@@YAXH@Z\ng == h\nplain DATA\n";
        assert_eq!(undecorated(text), expected);
    }
}
