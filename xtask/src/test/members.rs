//! The packages of the workspace, as far as tests tell them apart. They are read from cargo, so that
//! no new one is forgotten.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use cargo_metadata::Package;

use crate::cargo::{self, BENCH, SCENARIOS};
use crate::files::files_under;

/// Those that run on this machine and start the others.
const DRIVERS: [&str; 3] = ["xtask", SCENARIOS, BENCH];

pub struct Member {
    pub name: String,
    folder: PathBuf,
}

/// The packages of the workspace, in groups that overlap.
pub struct Members {
    /// What builds on any host.
    pub host: Vec<Member>,
    /// What is compiled for Windows: everything but this package, the scenarios and the benches.
    pub windows: Vec<Member>,
    /// What has tests that run on Windows.
    pub windows_tests: Vec<Member>,
    /// What of that is linked into the DLLs, and so runs in programs of either bitness.
    pub dll_tests: Vec<Member>,
}

impl Members {
    pub fn read() -> Result<Members> {
        let metadata = cargo::metadata(&[])?;
        let linked = linked_into_dlls(&metadata.packages);
        let defaults = metadata.workspace_default_packages();
        let group = |is_in: &dyn Fn(&Package) -> bool| -> Vec<Member> {
            metadata.packages.iter().filter(|package| is_in(package)).map(Member::new).collect()
        };
        let is_driver = |package: &Package| DRIVERS.contains(&package.name.as_str());
        let is_default = |package: &Package| defaults.iter().any(|one| one.id == package.id);
        let is_tested = |package: &Package| {
            !is_driver(package) && package.targets.iter().any(|target| target.test)
        };
        Ok(Members {
            host: group(&|package| is_driver(package) || is_default(package)),
            windows: group(&|package| !is_driver(package)),
            windows_tests: group(&is_tested),
            dll_tests: group(&|package| {
                is_tested(package) && linked.contains(&package.name.as_str())
            }),
        })
    }
}

/// The names of the packages that the DLLs among `packages` are made of.
fn linked_into_dlls(packages: &[Package]) -> Vec<&str> {
    let is_dll = |package: &&Package| package.targets.iter().any(|target| target.is_cdylib());
    let mut linked: Vec<&str> =
        packages.iter().filter(is_dll).map(|package| package.name.as_str()).collect();
    let mut next = 0;
    while let Some(name) = linked.get(next).copied() {
        next += 1;
        let package = packages.iter().find(|package| package.name.as_str() == name);
        for dependency in package.into_iter().flat_map(|package| &package.dependencies) {
            let name = dependency.name.as_str();
            if dependency.path.is_some() && !linked.contains(&name) {
                linked.push(name);
            }
        }
    }
    linked
}

impl Member {
    fn new(package: &Package) -> Member {
        let folder = package.manifest_path.as_std_path().parent().unwrap_or(Path::new("."));
        Member { name: package.name.to_string(), folder: folder.to_owned() }
    }

    /// Whether the name of one of its tests, with its module, contains `filter`.
    pub fn has_test(&self, filter: &str) -> bool {
        let sources = files_under(&self.folder.join("src")).unwrap_or_default();
        let files = files_under(&self.folder.join("tests")).unwrap_or_default();
        let in_module = |path: &PathBuf| {
            let path = path.strip_prefix(self.folder.join("src")).unwrap_or(path);
            let module = path.with_extension("").to_string_lossy().replace(['/', '\\'], "::");
            format!("{}::tests::", module.trim_end_matches("::mod"))
        };
        sources.iter().any(|path| test_in(path, &in_module(path), filter))
            || files.iter().any(|path| test_in(path, "", filter))
    }
}

/// Whether the file has a test whose name, behind `module`, contains `filter`.
pub fn test_in(file: &Path, module: &str, filter: &str) -> bool {
    let text = fs::read_to_string(file).unwrap_or_default();
    test_names(&text).any(|name| format!("{module}{name}").contains(filter))
}

/// The names of the functions that follow `#[test]` in a source.
fn test_names(source: &str) -> impl Iterator<Item = &str> {
    source.split("#[test]").skip(1).filter_map(|rest| {
        let (_, rest) = rest.split_once("fn ")?;
        rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(members: &[Member]) -> Vec<&str> {
        members.iter().map(|member| member.name.as_str()).collect()
    }

    #[test]
    fn packages_are_told_apart_by_where_they_run() {
        let members = Members::read().unwrap();
        let host = names(&members.host);
        assert!(host.contains(&"xtask") && host.contains(&"allograft-heap"));
        assert!(!host.contains(&"allograft-dll"));
        assert!(names(&members.windows).contains(&"allograft-dll"));
        assert!(!names(&members.windows).contains(&SCENARIOS));
    }

    #[test]
    fn code_of_the_dlls_is_what_they_depend_on() {
        let members = Members::read().unwrap();
        let dll_tests = names(&members.dll_tests);
        assert!(dll_tests.contains(&"allograft-heap") && dll_tests.contains(&"allograft-detour"));
        assert!(!dll_tests.contains(&"allograft-cli") && !dll_tests.contains(&"allograft-image"));
    }

    #[test]
    fn a_package_is_known_by_the_names_of_its_tests() {
        let members = Members::read().unwrap();
        let own = members.host.iter().find(|member| member.name == "xtask").unwrap();
        assert!(own.has_test("test::members::tests::a_package_is_known"));
        assert!(!own.has_test(&["no", "such", "test"].concat()));
    }
}
