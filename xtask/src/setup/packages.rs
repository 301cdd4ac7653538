//! Debian packages. On Windows the same programs must be installed by hand.

use std::process::Command;

use anyhow::{Context, Result};

use crate::layout;
use crate::step::{self, Step};
use crate::wine::Wine;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// In Debian 12.
    pub package: &'static str,
    purpose: &'static str,
}

const fn need(package: &'static str, purpose: &'static str) -> Need {
    Need { package, purpose }
}

const WINE: Need = need("wine64", "runs Windows programs (wine64, wineserver)");

pub const PIP: [Need; 2] =
    [need("python3", "downloads from PyPI, with pip"), need("python3-pip", "downloads from PyPI")];

pub const RUST: [Need; 2] = [
    need("rustc-web", "compiles Rust for Windows where rustup cannot fetch the target"),
    need("rust-web-src", "the sources of its standard library"),
];

/// The packages without which nothing can be built or run, as far as they are missing.
pub fn missing() -> Vec<Need> {
    let mut missing = mingw(
        "x86_64-w64-mingw32",
        [
            need(
                "gcc-mingw-w64-x86-64-win32",
                "compiles the C part of the module and links Windows code",
            ),
            need("g++-mingw-w64-x86-64-win32", "compiles the C++ library of an example"),
        ],
    );
    if !cfg!(windows) && Wine::find().is_none() {
        missing.push(WINE);
    }
    missing
}

/// The packages that 32-bit programs need, as far as they are missing.
pub fn missing_for_32_bits() -> Vec<Need> {
    mingw(
        "i686-w64-mingw32",
        [
            need("gcc-mingw-w64-i686-win32", "compiles and links 32-bit Windows code"),
            need("g++-mingw-w64-i686-win32", "compiles 32-bit C++"),
        ],
    )
}

/// The packages that the tests of windows need, as far as they are missing.
pub fn missing_for_windows() -> Vec<Need> {
    let needs = [
        ("Xvfb", need("xvfb", "a screen for the tests of the launcher's window")),
        ("scrot", need("scrot", "takes pictures of that screen")),
    ];
    if cfg!(windows) {
        return Vec::new();
    }
    let missing = needs.into_iter().filter(|(program, _)| layout::in_path(program).is_none());
    missing.map(|(_, need)| need).collect()
}

/// Those packages with the C compiler and the C++ compiler for `target` that are missing.
fn mingw(target: &str, packages: [Need; 2]) -> Vec<Need> {
    let compilers = ["gcc", "g++"].map(|name| format!("{target}-{name}"));
    let pairs = compilers.iter().zip(packages);
    let missing = pairs.filter(|(compiler, _)| layout::in_path(compiler).is_none());
    missing.map(|(_, need)| need).collect()
}

/// Whether this program may install packages: it is root, and there is apt-get.
pub fn can_install() -> bool {
    is_root() && layout::in_path("apt-get").is_some()
}

#[cfg(unix)]
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;

    // The owner of /proc/self is the user whom this process acts as.
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

#[cfg(not(unix))]
fn is_root() -> bool {
    false
}

/// The error where packages are missing and cannot be installed from here: which, and how to get
/// them.
pub fn refusal(missing: &[Need]) -> String {
    let list: String =
        missing.iter().map(|need| format!("\n  {:27} {}", need.package, need.purpose)).collect();
    if cfg!(windows) {
        return format!(
            "these are missing and are to be installed by hand, so that they are found in PATH \
             (MinGW-w64's gcc from MSYS2 or another distribution of it, Python from its makers; the names are Debian's):{list}"
        );
    }
    let names: Vec<&str> = missing.iter().map(|need| need.package).collect();
    let reason = if layout::in_path("apt-get").is_none() {
        "there is no apt-get"
    } else {
        "this is not root"
    };
    format!(
        "these packages are missing and cannot be installed from here ({reason}); nothing was done:{list}\n  \
         as root: apt-get install {}",
        names.join(" ")
    )
}

pub fn install(missing: &[Need]) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|need| need.package).collect();
    let shown = names.join(" ");
    // Always: a list that is there may be too old to find a package's file, or know an older
    // version than is needed.
    let step = Step::begin("set-up: bringing apt's list of packages up to date");
    let updated = step::capture(Command::new("apt-get").args(["update", "--quiet"]));
    match &updated {
        Ok(_) => step.done(),
        Err(error) => step::say(&format!("set-up: going on with apt's list as it is ({error:#})")),
    }
    let step = Step::begin(format!("set-up: installing Debian packages: {shown}"));
    let mut command = Command::new("apt-get");
    command
        .args(["install", "--yes", "--quiet", "--no-install-recommends"])
        .args(&names)
        .env("DEBIAN_FRONTEND", "noninteractive");
    step::capture(&mut command).with_context(|| format!("installing {shown}"))?;
    step.done();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_each_package_its_purpose_and_the_command() {
        let text = refusal(&[WINE, PIP[1]]);
        assert!(text.contains("wine64"), "{text}");
        assert!(text.contains(WINE.purpose), "{text}");
        if !cfg!(windows) {
            assert!(text.ends_with("apt-get install wine64 python3-pip"), "{text}");
        }
    }
}
