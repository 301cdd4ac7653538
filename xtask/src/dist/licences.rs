//! Whose code is linked into what we hand out, and the texts of its licences.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::files::copy;
use crate::layout::{self, WINDOWS, WINDOWS_32};
use crate::step;

/// The packages of others that are linked into what we hand out.
pub struct Linked {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize, Clone)]
struct Package {
    id: String,
    name: String,
    version: String,
    /// Empty for the packages of this workspace.
    source: Option<String>,
    manifest_path: PathBuf,
    targets: Vec<Target>,
}

#[derive(Deserialize, Clone)]
struct Target {
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    /// `dev`, `build`, or nothing for an ordinary one.
    kind: Option<String>,
}

impl Linked {
    /// Asks cargo what is linked into the packages `roots`.
    pub fn into(roots: &[&str]) -> Result<Linked> {
        let mut cargo = layout::cargo();
        cargo.args(["metadata", "--format-version", "1"]);
        for target in [WINDOWS, WINDOWS_32] {
            cargo.args(["--filter-platform", target]);
        }
        Self::parse(&step::capture(&mut cargo)?, roots)
            .context("reading what cargo says of the dependencies")
    }

    fn parse(text: &str, roots: &[&str]) -> Result<Linked> {
        let metadata: Metadata = serde_json::from_str(text)?;
        let packages: BTreeMap<&str, &Package> =
            metadata.packages.iter().map(|package| (package.id.as_str(), package)).collect();
        let nodes: BTreeMap<&str, &Node> =
            metadata.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
        let mut waiting: Vec<&str> = metadata
            .packages
            .iter()
            .filter(|package| roots.contains(&package.name.as_str()))
            .map(|package| package.id.as_str())
            .collect();
        if waiting.len() != roots.len() {
            bail!("not all of these are packages: {}", roots.join(", "));
        }
        let mut seen = BTreeSet::new();
        while let Some(id) = waiting.pop() {
            // A procedural macro runs in the compiler; neither it nor what it depends on is linked.
            if packages.get(id).is_some_and(|package| package.is_macro()) || !seen.insert(id) {
                continue;
            }
            let dependencies = nodes.get(id).into_iter().flat_map(|node| &node.deps);
            waiting
                .extend(dependencies.filter(|one| one.is_ordinary()).map(|one| one.pkg.as_str()));
        }
        let linked = seen.into_iter().filter_map(|id| packages.get(id).copied());
        Ok(Linked {
            packages: linked.filter(|package| package.source.is_some()).cloned().collect(),
        })
    }

    /// Copies the licence texts into `folder`, one folder for each package.
    ///
    /// # Errors
    ///
    /// When a package carries none: what we hand out has to name its terms.
    pub fn copy_licences(&self, folder: &Path) -> Result<()> {
        for package in &self.packages {
            let to = folder.join(format!("{}-{}", package.name, package.version));
            let texts = package.licence_texts()?;
            if texts.is_empty() {
                bail!("the package {} {} carries no licence text", package.name, package.version);
            }
            copy_all(&texts, &to)?;
            if package.name == "libmimalloc-sys" {
                copy(
                    &package.folder().join("c_src/mimalloc/v3/LICENSE"),
                    &folder.join("mimalloc/LICENSE"),
                )?;
            }
        }
        copy_all(&rust_texts()?, &folder.join("rust-standard-library"))?;
        copy_mingw_text(&folder.join("mingw-w64"))
    }
}

impl Package {
    fn is_macro(&self) -> bool {
        self.targets.iter().any(|target| target.kind.iter().any(|kind| kind == "proc-macro"))
    }

    fn folder(&self) -> &Path {
        self.manifest_path.parent().unwrap_or(Path::new("."))
    }

    fn licence_texts(&self) -> Result<Vec<PathBuf>> {
        let mut texts = Vec::new();
        for entry in fs::read_dir(self.folder())
            .with_context(|| format!("reading {}", self.folder().display()))?
        {
            let entry = entry?;
            if entry.file_type()?.is_file() && is_licence(&entry.file_name().to_string_lossy()) {
                texts.push(entry.path());
            }
        }
        Ok(texts)
    }
}

impl Dependency {
    fn is_ordinary(&self) -> bool {
        self.dep_kinds.iter().any(|kind| kind.kind.is_none())
    }
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
    let candidates = [
        documentation.join("COPYRIGHT-library.html"),
        documentation.join("licenses/MIT.txt"),
        documentation.join("licenses/Apache-2.0.txt"),
        PathBuf::from("/usr/share/doc/rustc-web/copyright"),
        PathBuf::from("/usr/share/doc/rustc/copyright"),
    ];
    let (rustup, distribution) = candidates.split_at(3);
    for texts in [rustup, distribution] {
        let there: Vec<PathBuf> = texts.iter().filter(|text| text.is_file()).cloned().collect();
        if !there.is_empty() {
            return Ok(there);
        }
    }
    bail!(
        "no licence text of Rust's standard library: it is in neither {} nor /usr/share/doc",
        documentation.display()
    )
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
    use crate::compile::{LAUNCHER_PACKAGE, MODULE_PACKAGE};

    #[test]
    fn only_what_is_linked_counts() {
        let package = |name: &str, source: &str, kind: &str| {
            format!(
                r#"{{"id": "{name}", "name": "{name}", "version": "1.0.0", "source": {source},
                    "manifest_path": "/p/{name}/Cargo.toml", "targets": [{{"kind": ["{kind}"]}}]}}"#
            )
        };
        let packages = [
            package(MODULE_PACKAGE, "null", "cdylib"),
            package(LAUNCHER_PACKAGE, "null", "bin"),
            package("linked", "\"registry\"", "lib"),
            package("builder", "\"registry\"", "lib"),
            package("macros", "\"registry\"", "proc-macro"),
            package("parser", "\"registry\"", "lib"),
        ];
        let text = format!(
            r#"{{"packages": [{}], "resolve": {{"nodes": [
                {{"id": "{MODULE_PACKAGE}", "deps": [
                    {{"pkg": "linked", "dep_kinds": [{{"kind": null}}]}},
                    {{"pkg": "builder", "dep_kinds": [{{"kind": "build"}}]}},
                    {{"pkg": "macros", "dep_kinds": [{{"kind": null}}]}}]}},
                {{"id": "macros", "deps": [{{"pkg": "parser", "dep_kinds": [{{"kind": null}}]}}]}}
            ]}}}}"#,
            packages.join(",")
        );
        let linked = Linked::parse(&text, &[MODULE_PACKAGE, LAUNCHER_PACKAGE]).unwrap();
        let names: Vec<&str> =
            linked.packages.iter().map(|package| package.name.as_str()).collect();
        assert_eq!(names, ["linked"]);
    }

    #[test]
    fn licence_texts_are_known_by_their_names() {
        for name in ["LICENSE", "license-mit", "COPYING", "UNLICENSE", "NOTICE.txt"] {
            assert!(is_licence(name), "{name}");
        }
        assert!(!is_licence("README.md"));
    }
}
