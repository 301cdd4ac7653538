//! Debian packages, and on Windows the one thing that must be there.

use std::process::Command;

use anyhow::{Context, Result};

use crate::layout;
use crate::step::{self, Step};
use crate::wine::Wine;

/// A package that is missing, and what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// Its name in Debian 12.
    pub package: &'static str,
    /// What it is needed for.
    pub purpose: &'static str,
}

const MINGW: Need = Need {
    package: "gcc-mingw-w64-x86-64-win32",
    purpose: "compiles the C part of the module and links Windows code (x86_64-w64-mingw32-gcc)",
};

const MINGW_CPP: Need = Need {
    package: "g++-mingw-w64-x86-64-win32",
    purpose: "compiles the C++ library of an example (x86_64-w64-mingw32-g++)",
};

const MINGW_32: Need = Need {
    package: "gcc-mingw-w64-i686-win32",
    purpose: "compiles and links 32-bit Windows code (i686-w64-mingw32-gcc)",
};

const MINGW_CPP_32: Need = Need {
    package: "g++-mingw-w64-i686-win32",
    purpose: "compiles 32-bit C++ (i686-w64-mingw32-g++)",
};

const WINE: Need =
    Need { package: "wine64", purpose: "runs Windows programs (wine64, wineserver)" };

/// What a Python with pip takes.
pub const PIP: [Need; 2] = [
    Need { package: "python3", purpose: "downloads from PyPI, with pip" },
    Need { package: "python3-pip", purpose: "downloads from PyPI" },
];

/// What the Rust compiler of the distribution takes.
pub const RUST: [Need; 2] = [
    Need {
        package: "rustc-web",
        purpose: "compiles Rust for Windows where rustup cannot fetch the target",
    },
    Need { package: "rust-web-src", purpose: "the sources of its standard library" },
];

/// Which of the packages that are needed in any case are missing.
pub fn missing() -> Vec<Need> {
    let mut missing = Vec::new();
    if layout::in_path("x86_64-w64-mingw32-gcc").is_none() {
        missing.push(MINGW);
    }
    if layout::in_path("x86_64-w64-mingw32-g++").is_none() {
        missing.push(MINGW_CPP);
    }
    if !cfg!(windows) && Wine::find().is_none() {
        missing.push(WINE);
    }
    missing
}

/// Which of the packages that 32-bit programs take are missing.
pub fn missing_for_32_bits() -> Vec<Need> {
    [("i686-w64-mingw32-gcc", MINGW_32), ("i686-w64-mingw32-g++", MINGW_CPP_32)]
        .into_iter()
        .filter(|(program, _)| layout::in_path(program).is_none())
        .map(|(_, need)| need)
        .collect()
}

/// Whether this program may install packages: it is root, and there is apt-get.
pub fn can_install() -> bool {
    is_root() && layout::in_path("apt-get").is_some()
}

#[cfg(unix)]
pub(super) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;

    // The owner of /proc/self is the user whom this process acts as.
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

#[cfg(not(unix))]
pub(super) fn is_root() -> bool {
    false
}

/// Says what is missing and how to get it; for where it cannot be installed from here.
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

/// Installs packages.
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
    apt_get(&names).with_context(|| format!("installing {shown}"))?;
    step.done();
    Ok(())
}

fn apt_get(names: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    command
        .args(["install", "--yes", "--quiet", "--no-install-recommends"])
        .args(names)
        .env("DEBIAN_FRONTEND", "noninteractive");
    step::capture(&mut command).map(drop)
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
