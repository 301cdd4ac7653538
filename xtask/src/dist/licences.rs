//! Whose code is linked into what we hand out, and the texts of its licences.

use std::path::{Path, PathBuf};
use std::process::Command;

use allograft_tests::{X64, X86};
use anyhow::{Result, bail};

use super::linked::linked_into;
use crate::cargo;
use crate::files::{copy, entries};
use crate::mimalloc;
use crate::step;

/// Copies into `folder` the licence texts of what is linked into the packages `roots`: one folder
/// for each package of others. A package without a text is an error.
pub fn copy_licences(roots: &[&str], folder: &Path) -> Result<()> {
    let metadata = cargo::metadata(&[&X64, &X86])?;
    let linked = linked_into(&metadata, roots)?;
    for package in linked.into_iter().filter(|package| package.source.is_some()) {
        let to = folder.join(format!("{}-{}", package.name, package.version));
        let from = package.manifest_path.as_std_path().with_file_name("");
        let texts = licence_texts(&from)?;
        if texts.is_empty() {
            bail!("the package {} {} carries no licence text", package.name, package.version);
        }
        copy_all(&texts, &to)?;
        if package.name.as_str() == mimalloc::PACKAGE {
            let text = from.join("c_src/mimalloc/v3/LICENSE");
            copy(&text, &folder.join("mimalloc/LICENSE"))?;
        }
    }
    copy_all(&rust_texts()?, &folder.join("rust-standard-library"))?;
    copy_mingw_text(&folder.join("mingw-w64"))
}

fn licence_texts(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut texts = entries(folder)?;
    texts.retain(|path| {
        path.is_file() && is_licence(&path.file_name().unwrap_or_default().to_string_lossy())
    });
    Ok(texts)
}

fn is_licence(name: &str) -> bool {
    let name = name.to_lowercase();
    ["license", "licence", "copying", "unlicense", "notice", "copyright"]
        .iter()
        .any(|word| name.starts_with(word))
}

fn copy_all(texts: &[PathBuf], folder: &Path) -> Result<()> {
    for text in texts {
        copy(text, &folder.join(text.file_name().unwrap_or_default()))?;
    }
    Ok(())
}

/// The terms of Rust's standard library: rustup's documentation has them, or the distribution's.
fn rust_texts() -> Result<Vec<PathBuf>> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let sysroot = step::capture(Command::new(rustc).args(["--print", "sysroot"]))?;
    let documentation = Path::new(sysroot.trim()).join("share/doc/rust");
    let rustup = ["COPYRIGHT-library.html", "licenses/MIT.txt", "licenses/Apache-2.0.txt"];
    let distribution = ["rustc-web/copyright", "rustc/copyright"];
    let there = |folder: &Path, names: &[&str]| -> Vec<PathBuf> {
        names.iter().map(|name| folder.join(name)).filter(|text| text.is_file()).collect()
    };
    let mut texts = there(&documentation, &rustup);
    if texts.is_empty() {
        texts = there(Path::new("/usr/share/doc"), &distribution);
    }
    if texts.is_empty() {
        bail!(
            "no licence text of Rust's standard library: it is in neither {} nor /usr/share/doc",
            documentation.display()
        );
    }
    Ok(texts)
}

/// The terms of the start-up code that MinGW-w64 links into the launcher.
fn copy_mingw_text(folder: &Path) -> Result<()> {
    let debian = Path::new("/usr/share/doc/mingw-w64-common/copyright");
    if debian.is_file() {
        return copy(debian, &folder.join("copyright"));
    }
    step::say(
        "dist: no licence text of MinGW-w64 is on this machine; add the one of your MinGW-w64 before handing this out",
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licence_texts_are_known_by_their_names() {
        for name in ["LICENSE", "license-mit", "COPYING", "UNLICENSE", "NOTICE.txt"] {
            assert!(is_licence(name), "{name}");
        }
        assert!(!is_licence("README.md"));
    }
}
