//! `cargo xtask test`: everything that is checked, as numbered steps, the fast ones first.

mod members;
mod report;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::crt;
use crate::layout::{self, WINDOWS};
use crate::machine::Machine;
use crate::setup::{self, Environment, Rust};
use crate::wine::Prefix;
use crate::{bench, compile, step};
use members::Members;
use report::Report;

/// The package that reads and patches images.
const IMAGES: &str = "allograft-image";

/// The package of the scenarios.
pub const SCENARIOS: &str = "allograft-tests";

/// The scenarios that are run with 32-bit programs too. The others are about the host, or about
/// files that there are in 64 bits only.
const SCENARIOS_IN_32_BITS: [&str; 16] = [
    "children",
    "conformance",
    "contract",
    "launcher",
    "module",
    "real_programs",
    "routes_build",
    "routes_linked",
    "routes_patch",
    "routes_proxy",
    "routes_redirect",
    "routes_rust",
    "runtimes",
    "status",
    "stress",
    "takeover",
];

/// Sets up, and runs every check and test; with `filter`, only the tests whose names contain it.
pub fn run(long: bool, filter: Option<&str>) -> Result<ExitCode> {
    let environment = setup::run(&crt::all())?;
    let members = Members::read()?;
    let session = Session { environment, members, long, filter };
    let mut report = Report::default();
    if filter.is_none() {
        session.check_source(&mut report);
    }
    session.run_tests(&mut report);
    report.close();
    Ok(if report.failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

struct Session<'a> {
    environment: Environment,
    members: Members,
    long: bool,
    filter: Option<&'a str>,
}

impl Session<'_> {
    fn check_source(&self, report: &mut Report) {
        report.step("formatting", || step::run(layout::cargo().args(["fmt", "--all", "--check"])));
        report.step("clippy, host code", || {
            let mut cargo = layout::cargo();
            cargo.args(["clippy", "--all-targets"]);
            step::run(cargo.args(packages(&self.members.host)).args(["--", "--deny", "warnings"]))
        });
        let windows_members = &self.members.windows;
        if self.environment.rust == Rust::Usual {
            report.step("clippy, Windows code", || {
                let mut cargo = layout::cargo();
                cargo.args(["clippy", "--all-targets", "--target", WINDOWS]);
                step::run(cargo.args(packages(windows_members)).args(["--", "--deny", "warnings"]))
            });
        } else {
            report.skip(
                "clippy, Windows code",
                "the toolchain with clippy has no standard library for Windows; `rustup target add x86_64-pc-windows-gnu` gives it one",
            );
        }
        report.step("documentation, host code", || {
            let mut cargo = layout::cargo();
            cargo.args(["doc", "--no-deps"]).env("RUSTDOCFLAGS", "--deny warnings");
            step::run(cargo.args(packages(&self.members.host)))
        });
        report.step("documentation, Windows code", || {
            let mut cargo = self.windows_cargo();
            cargo.args(["doc", "--no-deps", "--target", WINDOWS]);
            step::run(
                cargo
                    .env("RUSTDOCFLAGS", "--deny warnings")
                    .args(packages(&self.members.only_windows)),
            )
        });
    }

    fn run_tests(&self, report: &mut Report) {
        report.step("unit tests on this machine", || {
            let mut cargo = layout::cargo();
            let need_stage = [SCENARIOS, bench::HARNESS];
            let is_without = |name: &&String| !need_stage.contains(&name.as_str());
            let host = self.members.host.iter().filter(is_without);
            step::run(self.with_filter(cargo.arg("test").args(packages(host))))
        });
        report.step("images of real programs, against objdump", || {
            let images = std::env::join_paths(downloaded_for_windows()?)?;
            let mut cargo = layout::cargo();
            cargo
                .args(["test", "--package", IMAGES, "--test", "real_images"])
                .env("ALLOGRAFT_IMAGES", images);
            step::run(self.with_filter(&mut cargo).args(["--", "--ignored"]))
        });
        let servers =
            self.environment.wine.as_ref().map(|wine| wine.keep_alive(&self.environment.prefixes));
        for crt in self.unit_test_crts() {
            report.step(&format!("unit tests of Windows code, {crt}"), || {
                let mut cargo = self.windows_tests(Machine::X64)?;
                cargo.args(packages(&self.members.windows_tests));
                step::run(self.with_filter(cargo.env("ALLOGRAFT_CRT", crt)))
            });
        }
        self.run_unit_tests_in_32_bits(report);
        let built = report.step("building the module, the launcher and the test programs", || {
            compile::stage(&self.environment, compile::Variant::default(), compile::Output::Shown)
                .map(drop)
        });
        if !built {
            report.skip("scenarios", "nothing to run them on: the build failed");
            return;
        }
        if let Some(servers) = &servers {
            servers.start();
        }
        report.step("scenarios", || {
            let mut cargo = layout::cargo();
            cargo.args(["test", "--package", SCENARIOS, "--package", bench::HARNESS]);
            step::run(self.with_filter(&mut cargo))
        });
        if self.is_in_32_bits(report, "scenarios, 32-bit programs") {
            report.step("scenarios, 32-bit programs", || {
                let mut cargo = layout::cargo();
                cargo.args(["test", "--package", SCENARIOS]);
                for scenario in SCENARIOS_IN_32_BITS {
                    cargo.args(["--test", scenario]);
                }
                cargo.env("ALLOGRAFT_MACHINE", Machine::X86.name());
                step::run(self.with_filter(&mut cargo))
            });
        }
    }

    /// Whether 32-bit programs are tested; if not, `report` says that `what` is left out, and why.
    fn is_in_32_bits(&self, report: &mut Report, what: &str) -> bool {
        match &self.environment.x86 {
            Ok(_) => true,
            Err(reason) => {
                report.skip(what, reason);
                false
            }
        }
    }

    /// The tests of the code that is in other people's processes, which differs with the machine.
    fn run_unit_tests_in_32_bits(&self, report: &mut Report) {
        if !self.is_in_32_bits(report, "unit tests of 32-bit code") {
            return;
        }
        report.step("unit tests of 32-bit code", || {
            let members = &self.members;
            let inside =
                members.only_windows.iter().filter(|name| members.windows_tests.contains(name));
            let mut cargo = self.windows_tests(Machine::X86)?;
            cargo.args(packages(inside));
            step::run(self.with_filter(cargo.env("ALLOGRAFT_CRT", Prefix::OWN)))
        });
    }

    /// Wine's C runtime and Microsoft's newest: what the unit tests find there differs, and the
    /// scenarios run on them all.
    fn unit_test_crts(&self) -> Vec<&str> {
        if self.environment.wine.is_none() {
            return vec!["system"];
        }
        vec![Prefix::OWN, crt::newest().version]
    }

    fn windows_cargo(&self) -> Command {
        let mut cargo = layout::cargo();
        self.environment.rust.apply(&mut cargo);
        cargo
    }

    fn windows_tests(&self, machine: Machine) -> Result<Command> {
        let target = machine.rust_target();
        let mut cargo = self.windows_cargo();
        cargo.args(["test", "--target", target]);
        if self.environment.wine.is_some() {
            // By --config and not by a variable: cargo cuts the variable at every space, and this
            // program's path may have one.
            let runner = serde_json::to_string(&[
                std::env::current_exe()?.to_string_lossy().as_ref(),
                "wine",
            ])?;
            cargo.arg("--config").arg(format!("target.{target}.runner={runner}"));
        }
        Ok(cargo)
    }

    fn with_filter<'c>(&self, cargo: &'c mut Command) -> &'c mut Command {
        if self.long {
            cargo.env("ALLOGRAFT_LONG", "1");
        }
        // Without this one failing test binary would keep the others from being run.
        cargo.arg("--no-fail-fast").args(self.filter)
    }
}

/// The folders of what was downloaded for Windows.
fn downloaded_for_windows() -> Result<Vec<PathBuf>> {
    let cache = layout::cache()?;
    let mut folders = Vec::new();
    for entry in fs::read_dir(&cache).with_context(|| format!("reading {}", cache.display()))? {
        let folder = entry?.path();
        if folder.to_string_lossy().ends_with("-windows") {
            folders.push(folder);
        }
    }
    Ok(folders)
}

fn packages<'a>(names: impl IntoIterator<Item = &'a String>) -> impl Iterator<Item = &'a str> {
    names.into_iter().flat_map(|name| ["--package", name.as_str()])
}
