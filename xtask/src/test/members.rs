//! The packages of the workspace, as far as tests tell them apart; read from cargo, so that a new
//! one is not forgotten.

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::{layout, step};

/// Names of packages.
pub struct Members {
    /// What builds on any host: the default members.
    pub host: Vec<String>,
    /// What is compiled for Windows: everything but this package and the scenarios.
    pub windows: Vec<String>,
    /// What compiles for nothing but Windows.
    pub only_windows: Vec<String>,
    /// What has tests that run on Windows.
    pub windows_tests: Vec<String>,
}

/// Those that drive the others from this machine.
const DRIVERS: [&str; 3] = ["xtask", super::SCENARIOS, crate::bench::HARNESS];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_default_members: Vec<String>,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    test: bool,
}

impl Members {
    /// Asks cargo.
    pub fn read() -> Result<Members> {
        let mut cargo = layout::cargo();
        let text = step::capture(cargo.args(["metadata", "--no-deps", "--format-version", "1"]))?;
        Self::parse(&text).context("reading what cargo says of the workspace")
    }

    fn parse(text: &str) -> Result<Members> {
        let metadata: Metadata = serde_json::from_str(text)?;
        let names = |wanted: &dyn Fn(&Package) -> bool| -> Vec<String> {
            metadata
                .packages
                .iter()
                .filter(|package| wanted(package))
                .map(|package| package.name.clone())
                .collect()
        };
        let on_host = |package: &Package| metadata.workspace_default_members.contains(&package.id);
        let on_windows = |package: &Package| !DRIVERS.contains(&package.name.as_str());
        Ok(Members {
            host: names(&on_host),
            windows: names(&on_windows),
            only_windows: names(&|package| !on_host(package)),
            windows_tests: names(&|package| {
                on_windows(package) && package.targets.iter().any(|target| target.test)
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_told_apart_by_where_they_run_and_what_they_test() {
        let text = r#"{
            "packages": [
                {"id": "1", "name": "xtask", "targets": [{"test": true}]},
                {"id": "2", "name": "allograft-image", "targets": [{"test": true}]},
                {"id": "3", "name": "allograft-heap", "targets": [{"test": true}, {"test": false}]},
                {"id": "4", "name": "allograft-dll", "targets": [{"test": false}]}
            ],
            "workspace_default_members": ["1", "2"]
        }"#;
        let members = Members::parse(text).unwrap();
        assert_eq!(members.host, ["xtask", "allograft-image"]);
        assert_eq!(members.windows, ["allograft-image", "allograft-heap", "allograft-dll"]);
        assert_eq!(members.only_windows, ["allograft-heap", "allograft-dll"]);
        assert_eq!(members.windows_tests, ["allograft-image", "allograft-heap"]);
    }
}
