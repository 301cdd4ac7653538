//! `cargo xtask test`: everything that is checked, as numbered steps, the fast ones first. With a
//! name, only the tests of that name, and only what they need is built.

mod members;
mod scenarios;
mod steps;

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use allograft_tests::{Target, X64, X86};
use anyhow::{Result, bail};
use cargo_metadata::Package;

use crate::cargo::{BENCH, SCENARIOS, WindowsBuild};
use crate::files::{entries, files_under};
use crate::msvc::{self, MsvcTarget, Runtime};
use crate::setup::{self, Environment, Request, Rust};
use crate::tools::exit_code;
use crate::wine::{Prefix, Servers};
use crate::{crt, layout, site, stage, step, workflows};
use members::{Members, has_test, test_in};
use scenarios::Scenarios;
use steps::Steps;

/// Sets up, and runs every check and test; with `filter`, only the scenario of this name, or the
/// tests whose names contain it.
///
/// With `debug`, only scenarios are run, with the debug variant of the module; with `wine_10`, only
/// scenarios on Wine 10.
pub fn run(long: bool, debug: bool, wine_10: bool, filter: Option<&str>) -> Result<ExitCode> {
    let crts = if wine_10 { vec![crt::newest()] } else { crt::all() };
    let environment = setup::run(&Request::everything(crts))?;
    let scenarios = Scenarios::find(filter)?;
    let members = Members::read()?;
    let variant = if debug { Variant::Debug } else { Variant::Usual };
    let session = Session { environment, members, scenarios, long, variant, filter };
    let mut steps = Steps::default();
    if wine_10 {
        session.on_wine_10()?.run_scenarios(&mut steps);
        return finish(&steps);
    }
    if filter.is_none() && !debug {
        session.check_source(&mut steps);
    }
    if !debug && !session.scenarios.is_named() {
        session.run_unit_tests(&mut steps);
    }
    session.run_scenarios(&mut steps);
    if filter.is_none() && !debug {
        // The other scenarios take their time: `--debug` and `--wine 10` run them.
        let on_wine_10 = match (cfg!(windows), session.on_wine_10()) {
            (true, _) => None,
            (false, Ok(other)) => Some(other),
            (false, Err(error)) => {
                steps.skip("scenarios on Wine 10", &format!("{error:#}"));
                None
            }
        };
        let scenarios = Scenarios::named(&[HEAP_SCENARIO])?;
        Session { scenarios, variant: Variant::Debug, ..session }.run_scenarios(&mut steps);
        if let Some(other) = on_wine_10 {
            let scenarios = Scenarios::named(&ON_BOTH_WINES)?;
            Session { scenarios, ..other }.run_scenarios(&mut steps);
        }
    }
    finish(&steps)
}

fn finish(steps: &Steps) -> Result<ExitCode> {
    if steps.is_empty() {
        bail!("there is no test and no scenario of that name");
    }
    steps.close();
    Ok(exit_code(!steps.failed()))
}

/// The crate for Rust programs.
const CRATE: &str = "allograft";
const HEAP: &str = "allograft-heap";

/// The scenario that is run with both variants of the module.
const HEAP_SCENARIO: &str = "process_heap";

/// The scenarios that are run on Wine 10 too, which is nearer to Windows 11: those whose result
/// depends most on the system.
const ON_BOTH_WINES: [&str; 5] = ["contract", "heap_api", "launcher", "module", "takeover"];

/// What the scenarios of a session are run with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Variant {
    Usual,
    /// The debug variant of the module.
    Debug,
    /// Wine 10.
    Wine10,
}

impl Variant {
    /// What is said of it behind the name of a step.
    fn words(self) -> &'static str {
        match self {
            Variant::Usual => "",
            Variant::Debug => ", debug variant",
            Variant::Wine10 => ", Wine 10",
        }
    }

    /// Where the description of its stage is.
    fn stage_file(self) -> PathBuf {
        layout::stage_file(match self {
            Variant::Usual => "",
            Variant::Debug => "-debug",
            Variant::Wine10 => "-wine-10",
        })
    }
}

struct Session<'a> {
    environment: Environment,
    members: Members,
    scenarios: Scenarios,
    long: bool,
    variant: Variant,
    filter: Option<&'a str>,
}

impl<'a> Session<'a> {
    /// The same scenarios on Wine 10. The error is why it cannot be had.
    fn on_wine_10(&self) -> Result<Session<'a>> {
        Ok(Session {
            environment: setup::on_wine_10(&self.environment)?,
            members: self.members.clone(),
            scenarios: self.scenarios.clone(),
            variant: Variant::Wine10,
            ..*self
        })
    }

    fn check_source(&self, steps: &mut Steps) {
        let Members { host, windows, .. } = &self.members;
        let clippy = |mut cargo: Command, members| {
            cargo.arg("--all-targets").args(packages(members));
            step::run(cargo.args(["--", "--deny", "warnings"]))
        };
        let document = |mut cargo: Command, members| {
            cargo.env("RUSTDOCFLAGS", "--deny warnings");
            step::run(cargo.arg("--no-deps").args(packages(members)))
        };
        steps.step("formatting", || step::run(host_cargo("fmt").args(["--all", "--check"])));
        steps.step("formatting of C and C++", || self.check_c_formatting());
        steps.step("clippy, host code", || clippy(host_cargo("clippy"), host));
        if self.environment.rust == Rust::Usual {
            steps.step("clippy, Windows code", || {
                clippy(self.windows_cargo("clippy", &X64), windows)
            });
        } else {
            steps.skip(
                "clippy, Windows code",
                "the toolchain with clippy has no standard library for Windows; `rustup target add x86_64-pc-windows-gnu` gives it one",
            );
        }
        if self.environment.rust == Rust::Usual {
            // For ARM64 this is all that is done: there is nothing to run it on.
            for target in [&msvc::X64, &msvc::X86, &msvc::ARM64] {
                steps.step(&format!("clippy, {}", target.rust), || {
                    let mut cargo = self.msvc_cargo(target, "clippy")?;
                    cargo.args(["--package", CRATE, "--", "--deny", "warnings"]);
                    step::run(&mut cargo)
                });
            }
        }
        steps.step("documentation, host code", || document(host_cargo("doc"), host));
        steps.step("documentation, Windows code", || {
            document(self.windows_cargo("doc", &X64), windows)
        });
        steps.step("workflows and forms, against their schemas", workflows::check);
        steps.step("documents as a site, with its links", || site::build(&site::folder()));
        steps.step("packages as they would be published", || self.check_packages());
    }

    /// Packs what is published, and compiles it for Windows from the packages alone.
    fn check_packages(&self) -> Result<()> {
        let mut cargo = self.windows_cargo("package", &X64);
        cargo.args(["--quiet", "--offline", "--allow-dirty"]);
        step::run(cargo.args(packages(&self.members.published)))
    }

    /// By the `clang-format.exe` of the scenarios.
    fn check_c_formatting(&self) -> Result<()> {
        let clang_format = &self.environment.real.clang_format;
        let mut command = match &self.environment.wine {
            Some(wine) => wine.command(&Prefix::named(Prefix::OWN), clang_format),
            None => Command::new(clang_format),
        };
        command.current_dir(layout::root()).args(["--dry-run", "-Werror"]);
        for folder in ["bench", "crates", "examples", "include", "tests", "xtask"] {
            let is_c = |path: &PathBuf| {
                let extension = path.extension().unwrap_or_default();
                ["c", "cpp", "h"].iter().any(|name| extension == *name)
            };
            let files = files_under(&layout::root().join(folder))?.into_iter().filter(is_c);
            for file in files {
                command.arg(file.strip_prefix(layout::root())?);
            }
        }
        step::run(&mut command)
    }

    fn run_unit_tests(&self, steps: &mut Steps) {
        let (harness, host): (Vec<_>, Vec<_>) = self
            .matching(&self.members.host)
            .into_iter()
            .partition(|member| [SCENARIOS, BENCH].contains(&member.name.as_str()));
        if !host.is_empty() {
            steps.step("unit tests on this machine", || {
                self.run_tests(host_cargo("test").args(packages(host)), self.filter)
            });
        }
        // Without a filter they run with the scenarios.
        if self.filter.is_some() && !harness.is_empty() {
            steps.step("unit tests of the harness and the bench", || {
                let mut cargo = host_cargo("test");
                self.run_tests(cargo.arg("--lib").args(packages(harness)), self.filter)
            });
        }
        let real_images = layout::root().join("crates/image/tests/real_images.rs");
        if self.filter.is_none_or(|filter| test_in(&real_images, "", filter)) {
            steps.step("images of real programs, against objdump", || {
                let mut cargo = host_cargo("test");
                cargo.args(["--package", "allograft-image", "--test", "real_images"]);
                cargo.env("ALLOGRAFT_IMAGES", std::env::join_paths(downloaded_for_windows()?)?);
                let filter = self.filter.into_iter();
                self.run_tests(&mut cargo, filter.chain(["--", "--ignored"]))
            });
        }
        let windows = self.matching(&self.members.windows_tests);
        let dlls = self.matching(&self.members.dll_tests);
        if windows.is_empty() {
            return;
        }
        let _servers = self.keep_wine_alive();
        // What the tests find on Wine's C runtime and on Microsoft's differs. The scenarios run on
        // all versions.
        let microsoft = crt::newest().version;
        let crts = if cfg!(windows) { vec!["system"] } else { vec![Prefix::OWN, microsoft] };
        for crt in crts {
            steps.step(&format!("unit tests of Windows code, {crt}"), || {
                self.run_windows_tests(&X64, &windows, crt)
            });
        }
        if windows.iter().any(|member| member.name.as_str() == HEAP) {
            steps.step("unit tests of the secure variant's heap", || {
                let mut cargo = self.windows_cargo("test", &X64);
                cargo.args(["--package", HEAP, "--features", "secure"]);
                cargo.env("ALLOGRAFT_CRT", Prefix::OWN);
                self.run_tests(&mut cargo, self.filter)
            });
        }
        if windows.iter().any(|member| [CRATE, HEAP].contains(&member.name.as_str())) {
            for target in [&msvc::X64, &msvc::X86] {
                let name = format!("unit tests of code for {}", target.rust);
                if *target == msvc::X86 && !self.is_in_32_bits(steps, &name) {
                    continue;
                }
                steps.step(&name, || {
                    let mut cargo = self.msvc_cargo(target, "test")?;
                    cargo.args(["--lib", "--tests", "--package", CRATE, "--package", HEAP]);
                    self.run_tests(&mut cargo, self.filter)
                });
            }
        }
        let name = "unit tests of 32-bit code";
        if !dlls.is_empty() && self.is_in_32_bits(steps, name) {
            steps.step(name, || self.run_windows_tests(&X86, &dlls, Prefix::OWN));
        }
    }

    fn run_windows_tests(&self, target: &Target, members: &[&Package], crt: &str) -> Result<()> {
        let mut cargo = self.windows_cargo("test", target);
        cargo.args(packages(members.iter().copied())).env("ALLOGRAFT_CRT", crt);
        self.run_tests(&mut cargo, self.filter)
    }

    fn run_scenarios(&self, steps: &mut Steps) {
        if self.scenarios.are_none() {
            return;
        }
        let variant = self.variant.words();
        let stage_file = self.variant.stage_file();
        let built = steps.step(&format!("building what the scenarios run{variant}"), || {
            let build = WindowsBuild::new(self.environment.rust, &X64);
            let debug = self.variant == Variant::Debug;
            let build = WindowsBuild { quiet: self.filter.is_some(), debug, ..build };
            let parts = self.scenarios.parts()?;
            stage::build_and_write(&self.environment, build, &parts, &stage_file)
        });
        if !built {
            steps.skip("scenarios", "nothing to run them on: the build failed");
            return;
        }
        let _servers = self.keep_wine_alive();
        for target in [&X64, &X86] {
            let arguments = self.scenarios.arguments(target);
            let name = format!("scenarios, {} programs{variant}", target.machine);
            if arguments.is_empty() || (*target == X86 && !self.is_in_32_bits(steps, &name)) {
                continue;
            }
            steps.step(&name, || {
                let mut cargo = host_cargo("test");
                cargo.args(arguments).env("ALLOGRAFT_MACHINE", target.machine.to_string());
                cargo.env("ALLOGRAFT_STAGE", &stage_file);
                self.run_tests(&mut cargo, None)
            });
        }
    }

    /// Whether 32-bit programs are tested; if not, `steps` records that `what` is left out, and
    /// why.
    fn is_in_32_bits(&self, steps: &mut Steps, what: &str) -> bool {
        if let Err(reason) = &self.environment.x86 {
            steps.skip(what, reason);
        }
        self.environment.x86.is_ok()
    }

    fn keep_wine_alive(&self) -> Option<Servers> {
        let environment = &self.environment;
        if self.filter.is_some() { environment.keep_wine_alive() } else { environment.start_wine() }
    }

    fn windows_cargo(&self, command: &str, target: &Target) -> Command {
        let mut cargo = layout::cargo();
        self.environment.rust.apply(&mut cargo);
        cargo.args([command, "--target", target.rust]);
        cargo
    }

    fn msvc_cargo(&self, target: &'static MsvcTarget, command: &str) -> Result<Command> {
        let mut cargo = msvc::cargo(&self.environment, target, Runtime::Dynamic, command)?;
        cargo.env("ALLOGRAFT_CRT", Prefix::OWN);
        Ok(cargo)
    }

    fn run_tests<'t>(
        &self,
        cargo: &mut Command,
        arguments: impl IntoIterator<Item = &'t str>,
    ) -> Result<()> {
        if self.long {
            cargo.env("ALLOGRAFT_LONG", "1");
        }
        // Without this one failing test binary would keep the others from being run.
        step::run(cargo.arg("--no-fail-fast").args(arguments))
    }

    /// Those of `members` that have unit tests or other tests of the name that was asked for.
    fn matching<'m>(&self, members: &'m [Package]) -> Vec<&'m Package> {
        let matches = |one: &&Package| self.filter.is_none_or(|filter| has_test(one, filter));
        members.iter().filter(matches).collect()
    }
}

fn host_cargo(command: &str) -> Command {
    let mut cargo = layout::cargo();
    cargo.arg(command);
    cargo
}

fn downloaded_for_windows() -> Result<Vec<PathBuf>> {
    let mut folders = entries(&layout::cache()?)?;
    folders.retain(|folder| folder.to_string_lossy().ends_with("-windows"));
    Ok(folders)
}

fn packages<'a>(members: impl IntoIterator<Item = &'a Package>) -> impl Iterator<Item = &'a str> {
    members.into_iter().flat_map(|member| ["--package", member.name.as_str()])
}
