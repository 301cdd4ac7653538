//! The packages of the workspace, as far as tests tell them apart. They are read from cargo, so
//! that no new one is forgotten.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use cargo_metadata::Package;

use crate::cargo::{self, BENCH, SCENARIOS};
use crate::files::files_under;

/// Those that run on this machine and start the others.
const DRIVERS: [&str; 3] = ["xtask", SCENARIOS, BENCH];

/// The packages of the workspace, in groups that overlap.
#[derive(Clone)]
pub struct Members {
    /// What builds on any host.
    pub host: Vec<Package>,
    /// What is compiled for Windows: everything but this package, the scenarios and the benches.
    pub windows: Vec<Package>,
    /// What has tests that run on Windows.
    pub windows_tests: Vec<Package>,
    /// What of that is linked into the DLLs, and so runs in programs of either bitness.
    pub dll_tests: Vec<Package>,
    /// What users can depend on: the crate `allograft`, and its parts.
    pub published: Vec<Package>,
}

impl Members {
    pub fn read() -> Result<Members> {
        let metadata = cargo::metadata(&[])?;
        let linked = linked_into_dlls(&metadata.packages);
        let defaults = metadata.workspace_default_packages();
        let group = |is_in: &dyn Fn(&Package) -> bool| -> Vec<Package> {
            metadata.packages.iter().filter(|package| is_in(package)).cloned().collect()
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
            published: group(&|package| package.publish.is_none()),
        })
    }
}

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

/// Whether the name of one of the package's tests, with its module, contains `filter`.
pub fn has_test(package: &Package, filter: &str) -> bool {
    let [src, tests] =
        ["src", "tests"].map(|name| package.manifest_path.as_std_path().with_file_name(name));
    let in_module = |path: &PathBuf| {
        let path = path.strip_prefix(&src).unwrap_or(path);
        let module = path.with_extension("").to_string_lossy().replace(['/', '\\'], "::");
        format!("{}::tests::", module.trim_end_matches("::mod"))
    };
    let (sources, files) = (files_under(&src), files_under(&tests));
    sources.into_iter().flatten().any(|path| test_in(&path, &in_module(&path), filter))
        || files.into_iter().flatten().any(|path| test_in(&path, "", filter))
}

/// Whether the file has a test whose name, behind `module`, contains `filter`.
pub fn test_in(file: &Path, module: &str, filter: &str) -> bool {
    let text = fs::read_to_string(file).unwrap_or_default();
    test_names(&text).any(|name| format!("{module}{name}").contains(filter))
}

fn test_names(source: &str) -> impl Iterator<Item = &str> {
    source.split("#[test]").skip(1).filter_map(|rest| {
        let (_, rest) = rest.split_once("fn ")?;
        rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(packages: &[Package]) -> Vec<&str> {
        packages.iter().map(|package| package.name.as_str()).collect()
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
    fn the_crate_is_published_with_all_that_it_is_made_of() {
        let members = Members::read().unwrap();
        let published = names(&members.published);
        assert!(published.contains(&"allograft") && !published.contains(&"allograft-cli"));
        for package in &members.published {
            let needed = package.dependencies.iter().filter(|needed| needed.path.is_some());
            for needed in needed {
                assert!(published.contains(&needed.name.as_str()), "{}", needed.name);
            }
        }
    }

    #[test]
    fn a_package_is_known_by_the_names_of_its_tests() {
        let members = Members::read().unwrap();
        let own = members.host.iter().find(|package| package.name.as_str() == "xtask").unwrap();
        assert!(has_test(own, "test::members::tests::a_package_is_known"));
        assert!(!has_test(own, &["no", "such", "test"].concat()));
    }
}
