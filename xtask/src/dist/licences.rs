//! Whose code is linked into what we hand out, and the texts of its licences.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use allograft_tests::{X64, X86};
use anyhow::{Context, Result, bail};
use cargo_metadata::{DependencyKind, Metadata, Package};

use crate::cargo;
use crate::files::{copy, entries};
use crate::step;

/// Copies into `folder` the licence texts of what is linked into the packages `roots`: one folder
/// for each package of others. A package without a text is an error.
pub fn copy_licences(roots: &[&str], folder: &Path) -> Result<()> {
    let metadata = cargo::metadata(&[&X64, &X86])?;
    for package in linked_into(&metadata, roots)? {
        let to = folder.join(format!("{}-{}", package.name, package.version));
        let from = package.manifest_path.as_std_path().with_file_name("");
        let texts = licence_texts(&from)?;
        if texts.is_empty() {
            bail!("the package {} {} carries no licence text", package.name, package.version);
        }
        copy_all(&texts, &to)?;
        if package.name.as_str() == "libmimalloc-sys" {
            let text = from.join("c_src/mimalloc/v3/LICENSE");
            copy(&text, &folder.join("mimalloc/LICENSE"))?;
        }
    }
    copy_all(&rust_texts()?, &folder.join("rust-standard-library"))?;
    copy_mingw_text(&folder.join("mingw-w64"))
}

/// The packages of others that are linked into `roots`.
fn linked_into<'m>(metadata: &'m Metadata, roots: &[&str]) -> Result<Vec<&'m Package>> {
    let nodes = &metadata.resolve.as_ref().context("cargo names no dependencies")?.nodes;
    let is_root = |package: &&Package| roots.contains(&package.name.as_str());
    let mut waiting: Vec<_> =
        metadata.packages.iter().filter(is_root).map(|package| &package.id).collect();
    if waiting.len() != roots.len() {
        bail!("not all of these are packages: {}", roots.join(", "));
    }
    let mut seen = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        // A procedural macro runs in the compiler; neither it nor what it depends on is linked.
        let is_macro = metadata[id].targets.iter().any(|target| target.is_proc_macro());
        if is_macro || !seen.insert(id) {
            continue;
        }
        let dependencies = nodes.iter().filter(|node| node.id == *id).flat_map(|node| &node.deps);
        let linked = dependencies.filter(|dependency| {
            dependency.dep_kinds.iter().any(|one| one.kind == DependencyKind::Normal)
        });
        waiting.extend(linked.map(|dependency| &dependency.pkg));
    }
    let linked = seen.into_iter().map(|id| &metadata[id]);
    Ok(linked.filter(|package| package.source.is_some()).collect())
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
    use crate::cargo::{LAUNCHER, MODULE};

    #[test]
    fn only_what_is_linked_counts() {
        let metadata = cargo::metadata(&[&X64, &X86]).unwrap();
        let linked = linked_into(&metadata, &[MODULE, LAUNCHER]).unwrap();
        let names: Vec<&str> = linked.iter().map(|package| package.name.as_str()).collect();
        for name in ["libmimalloc-sys", "clap", "windows-sys"] {
            assert!(names.contains(&name), "{name} is not in {names:?}");
        }
        // A build dependency, a procedural macro, what only that uses, a dependency of tests, and
        // a package of our own.
        for name in ["cc", "clap_derive", "syn", "proptest", "allograft-heap"] {
            assert!(!names.contains(&name), "{name} is in {names:?}");
        }
        assert!(linked_into(&metadata, &["no-such-package"]).is_err());
    }

    #[test]
    fn licence_texts_are_known_by_their_names() {
        for name in ["LICENSE", "license-mit", "COPYING", "UNLICENSE", "NOTICE.txt"] {
            assert!(is_licence(name), "{name}");
        }
        assert!(!is_licence("README.md"));
    }
}
