//! What is linked into the files that we hand out, as cargo knows it.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use cargo_metadata::{DependencyKind, Metadata, Node, Package, PackageId};

/// The packages that are linked into the packages `roots`, with these, sorted by
/// their names.
pub fn linked_into<'m>(metadata: &'m Metadata, roots: &[&str]) -> Result<Vec<&'m Package>> {
    let is_root = |package: &&Package| roots.contains(&package.name.as_str());
    let mut waiting: Vec<_> =
        metadata.packages.iter().filter(is_root).map(|package| &package.id).collect();
    if waiting.len() != roots.len() {
        bail!("not all of these are packages: {}", roots.join(", "));
    }
    let mut seen = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        if seen.insert(id) {
            waiting.extend(dependencies_of(metadata, id)?);
        }
    }
    let mut linked: Vec<_> = seen.into_iter().map(|id| &metadata[id]).collect();
    linked.sort_by_key(|package| (&package.name, &package.version));
    Ok(linked)
}

/// What the package itself names as its dependencies, as far as it is linked.
pub fn dependencies_of<'m>(
    metadata: &'m Metadata,
    id: &PackageId,
) -> Result<impl Iterator<Item = &'m PackageId>> {
    let nodes = &metadata.resolve.as_ref().context("cargo names no dependencies")?.nodes;
    let node: Option<&Node> = nodes.iter().find(|node| node.id == *id);
    let linked = node.into_iter().flat_map(|node| &node.deps).filter(|dependency| {
        dependency.dep_kinds.iter().any(|one| one.kind == DependencyKind::Normal)
    });
    // A procedural macro runs in the compiler; neither it nor what it depends on is linked.
    let is_macro = |id: &PackageId| metadata[id].targets.iter().any(|one| one.is_proc_macro());
    Ok(linked.map(|dependency| &dependency.pkg).filter(move |id| !is_macro(id)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cargo::{self, LAUNCHER, MODULE};
    use allograft_tests::{X64, X86};

    #[test]
    fn only_what_is_linked_counts() {
        let metadata = cargo::metadata(&[&X64, &X86]).unwrap();
        let linked = linked_into(&metadata, &[MODULE, LAUNCHER]).unwrap();
        let names: Vec<&str> = linked.iter().map(|package| package.name.as_str()).collect();
        for name in [MODULE, LAUNCHER, "allograft-heap", "libmimalloc-sys", "clap", "windows-sys"] {
            assert!(names.contains(&name), "{name} is not in {names:?}");
        }
        // A build dependency, one of our own, a procedural macro, what only that uses, and a
        // dependency of tests.
        for name in ["cc", "allograft-resources", "clap_derive", "syn", "proptest"] {
            assert!(!names.contains(&name), "{name} is in {names:?}");
        }
        assert!(linked_into(&metadata, &["no-such-package"]).is_err());
    }
}
