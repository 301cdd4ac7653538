//! The scenarios: the tests that run Windows programs on the stage. Which of them a name means, and
//! what is built for these, is read from their sources.

use std::path::{Path, PathBuf};

use allograft_tests::{Target, X64};
use anyhow::Result;

use super::members::test_in;
use crate::cargo::{BENCH, SCENARIOS};
use crate::files::{files_under, read};
use crate::layout;
use crate::stage::Parts;

/// Those that are not run with 32-bit programs: they are about the host, about both bitnesses, or
/// about the documents, or about programs that are there in 64 bits.
const ONLY_IN_64_BITS: [&str; 9] = [
    "bench_command",
    "bitness",
    "dist",
    "documents",
    "messages",
    "real_large_programs",
    "smoke",
    "verify",
    "window",
];

struct Scenario {
    package: &'static str,
    file: PathBuf,
}

impl Scenario {
    fn name(&self) -> String {
        stem(&self.file)
    }

    /// The text of the file, and of the part of the harness that has its name.
    fn source(&self) -> Result<String> {
        let harness = layout::root().join("tests/src").join(self.name());
        let mut files = if harness.is_dir() { files_under(&harness)? } else { Vec::new() };
        files.push(self.file.clone());
        files.iter().map(|file| read(file)).collect()
    }
}

pub struct Scenarios {
    chosen: Vec<Scenario>,
    /// What the names of the tests must contain.
    filter: Option<String>,
    are_all: bool,
}

impl Scenarios {
    /// All; or the one that is called `filter`; or those with tests whose names contain it.
    pub fn find(filter: Option<&str>) -> Result<Scenarios> {
        let mut all = Vec::new();
        for (package, folder) in [(SCENARIOS, "tests/scenarios"), (BENCH, "bench/tests")] {
            let files = files_under(&layout::root().join(folder))?;
            all.extend(files.into_iter().map(|file| Scenario { package, file }));
        }
        let Some(filter) = filter else {
            return Ok(Scenarios { chosen: all, filter: None, are_all: true });
        };
        let is_named = all.iter().any(|one| one.name() == filter);
        if is_named {
            all.retain(|one| one.name() == filter);
        } else {
            all.retain(|one| test_in(&one.file, "", filter));
        }
        let filter = (!is_named).then(|| filter.to_owned());
        Ok(Scenarios { chosen: all, filter, are_all: false })
    }

    /// Whether a scenario was named, and not tests.
    pub fn is_named(&self) -> bool {
        !self.are_all && self.filter.is_none()
    }

    pub fn are_none(&self) -> bool {
        self.chosen.is_empty()
    }

    /// What they need. The test programs are those whose names are in the sources.
    pub fn parts(&self) -> Result<Parts> {
        if self.are_all {
            return Ok(Parts { dist: true, ..Parts::ALL });
        }
        let source = self.chosen.iter().map(Scenario::source).collect::<Result<String>>()?;
        let programs = files_under(&layout::root().join("tests/programs"))?;
        let is_in_source = |name: &String| {
            source.contains(&format!("\"{name}\"")) || source.contains(&format!("\"{name}.exe\""))
        };
        let bench = self.chosen.iter().any(|one| one.package == BENCH);
        Ok(Parts {
            programs: Some(programs.iter().map(|path| stem(path)).filter(is_in_source).collect()),
            mimalloc: bench || source.contains("developer_files()"),
            example: source.contains("rust-and-cpp"),
            rust_program: source.contains("rust-collections"),
            bench,
            checking: source.contains("--check-frees"),
            dist: source.contains(".dist()"),
            verify: source.contains("\"verify\""),
            x86: true,
        })
    }

    /// The arguments of `cargo test` that run them with programs for `target`; none if there is
    /// nothing to run.
    pub fn arguments(&self, target: &Target) -> Vec<String> {
        if self.are_all && *target == X64 {
            return ["--package", SCENARIOS, "--package", BENCH].map(str::to_owned).into();
        }
        let runs =
            |one: &&Scenario| *target == X64 || !ONLY_IN_64_BITS.contains(&one.name().as_str());
        let chosen = self.chosen.iter().filter(runs);
        let mut arguments: Vec<String> = chosen
            .flat_map(|one| ["--package", one.package, "--test", &one.name()].map(str::to_owned))
            .collect();
        if !arguments.is_empty() {
            arguments.extend(self.filter.clone());
        }
        arguments
    }
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use allograft_tests::X86;

    fn arguments(name: &str, target: &Target) -> String {
        Scenarios::find(Some(name)).unwrap().arguments(target).join(" ")
    }

    #[test]
    fn a_name_is_a_scenario_or_part_of_the_names_of_tests() {
        assert_eq!(arguments("status", &X86), "--package allograft-tests --test status");
        let tests = arguments("a_log_option_names", &X64);
        assert_eq!(tests, "--package allograft-tests --test module a_log_option_names");
        assert_eq!(arguments("bitness", &X86), "");
        assert!(Scenarios::find(Some("no such test")).unwrap().are_none());
    }

    #[test]
    fn only_what_a_scenario_uses_is_built_for_it() {
        let parts = |name| Scenarios::find(Some(name)).unwrap().parts().unwrap();
        let status = parts("status");
        let programs = status.programs.unwrap();
        assert!(["blocks", "waiting"].iter().all(|name| programs.iter().any(|one| one == name)));
        assert!(!programs.contains(&"linked".to_owned()));
        assert!(!status.mimalloc && !status.example && !status.bench);
        assert!(parts("routes_linked").mimalloc && parts("routes_rust").example);
        assert!(parts("dist").dist && !status.dist);
        // Its programs are named in the harness.
        assert!(parts("stress").programs.unwrap().contains(&"locks".to_owned()));
    }
}
