//! What 32-bit programs take on top. Where some of it cannot be had, they are left out, and a line
//! says so.

use std::path::PathBuf;

use anyhow::{Result, bail};

use super::downloads::{Download, Platform};
use super::rust_target::Rust;
use super::windows_prefix::{self, Runtimes};
use super::{packages, wine32};
use crate::crt::Crt;
use crate::step;
use crate::wine::{Prefix, Wine};

/// A machine that builds and runs 32-bit programs.
pub struct X86 {
    /// The Wine prefixes whose C runtime is there in 32 bits, Wine's own first; empty on Windows.
    pub prefixes: Vec<Prefix>,
    /// The 32-bit `clang-format.exe`
    pub clang_format: PathBuf,
}

/// Sees to the compilers and downloads.
///
/// # Errors
///
/// With the first that cannot be had.
pub fn prepare(rust: Rust, crts: &[&Crt]) -> Result<()> {
    if let Some(need) = packages::missing_for_32_bits().first() {
        bail!("the package {} is missing", need.package);
    }
    rust.complete_for_32_bits()?;
    clang_format()?.fetch()?;
    if !cfg!(windows) {
        for crt in crts {
            if let Some(package) = package_of(crt)? {
                package.fetch()?;
            }
        }
    }
    Ok(())
}

/// The Wine to use for everything: one that runs 32-bit programs too, if it can be had and `x86`
/// says that they are wanted.
pub fn choose_wine(installed: Wine, x86: &mut Result<()>) -> Wine {
    if x86.is_ok() {
        match wine32::complete(&installed) {
            Ok(whole) => return whole,
            Err(error) => *x86 = Err(error.context("adding the 32-bit half of Wine")),
        }
    }
    installed
}

/// Microsoft's runtimes for 32-bit programs, where a package carries them for the version `crt`.
pub fn runtimes(crt: &Crt) -> Result<Option<Runtimes>> {
    let (Some(package), Some(x86)) = (package_of(crt)?, &crt.x86) else {
        return Ok(None);
    };
    Ok(Some(Runtimes {
        crt: package.file(x86.file)?,
        sha256: x86.sha256,
        // The package's are too old for programs of today; Wine's own do.
        cpp: Vec::new(),
    }))
}

/// What there is, once `prefixes` with the C runtimes `crts` are made; or the reason why there is
/// nothing, which a line says.
pub fn conclude(x86: Result<()>, prefixes: &[Prefix], crts: &[&Crt]) -> Result<X86, String> {
    let whole = prefixes.first().is_none_or(windows_prefix::runs_32_bits);
    let outcome = x86.and_then(|()| {
        if !whole {
            bail!("Wine made a prefix that runs no 32-bit programs");
        }
        Ok(X86 {
            prefixes: prefixes
                .iter()
                .filter(|prefix| is_in_32_bits(prefix, crts))
                .cloned()
                .collect(),
            clang_format: clang_format()?.file("clang_format/data/bin/clang-format.exe")?,
        })
    });
    outcome.map_err(|error| {
        let reason = format!("{error:#}");
        step::say(&format!("set-up: 32-BIT PROGRAMS ARE LEFT OUT: {reason}"));
        reason
    })
}

fn is_in_32_bits(prefix: &Prefix, crts: &[&Crt]) -> bool {
    match prefix.version() {
        None => true,
        Some(version) => crts.iter().any(|crt| crt.version == version && crt.x86.is_some()),
    }
}

fn package_of(crt: &Crt) -> Result<Option<Download>> {
    crt.x86.as_ref().map(|x86| Download::of(x86.package, Platform::Windows32)).transpose()
}

fn clang_format() -> Result<Download> {
    Download::of("clang-format", Platform::Windows32)
}
