//! `cargo xtask demo`: real programs on real input, without and with allograft, side by side.

mod report;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::crt;
use crate::layout;
use crate::setup::{self, Environment};
use crate::stage::Stage;
use crate::step::{self, Step};
use crate::wine::{self, Prefix};
use crate::{compile, stage};
use report::Report;

/// How long one run may take; it takes seconds.
const LIMIT: Duration = Duration::from_secs(120);

/// A program, and what it is to do.
struct Program<'a> {
    name: &'static str,
    task: &'static str,
    executable: &'a Path,
    arguments: Vec<String>,
    /// Options of the launcher: when the module is loaded.
    launch: &'static [&'static str],
    /// Arguments with which it starts, says its version and ends; for a first start that nobody
    /// times.
    version: &'static str,
}

/// One run of it.
struct Run {
    output: Vec<u8>,
    exit_code: Option<i32>,
    took: Duration,
}

/// Runs the demonstration; the exit code says whether every program ran on mimalloc and did the
/// same as without.
pub fn run() -> Result<ExitCode> {
    let environment = setup::run(&crt::default())?;
    let building = Step::begin("demo: building the module, the launcher and the test programs");
    let stage = compile::stage(&environment, compile::Variant::default(), compile::Output::Quiet)?;
    building.done();
    let host = Host::of(&environment, &stage);
    let _servers = environment
        .wine
        .as_ref()
        .map(|wine| wine.keep_alive(&host.prefix.iter().cloned().collect::<Vec<_>>()));
    println!("On {}:", host.describe());
    let mut all_well = true;
    for program in programs(&stage.real)? {
        all_well &= show(&host, &program)?;
    }
    if host.prefix.is_some() {
        println!("\nThe times without allograft are those of Wine's heap, not of Windows' own.");
    }
    Ok(if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn programs(real: &stage::Real) -> Result<[Program<'_>; 3]> {
    let input = windows_path(&layout::own("demo/factor.smt2"))?;
    let keytool =
        "-m java.base/sun.security.tools.keytool.Main -list -v -cacerts -storepass changeit";
    Ok([
        Program {
            name: "z3",
            task: "factors an 11-digit number as a question of bit-vectors (xtask/demo/factor.smt2)",
            executable: &real.z3,
            arguments: vec![input.clone()],
            launch: &[],
            version: "--version",
        },
        Program {
            name: "z3, taken over while it runs,",
            task: "does the same; what it had allocated before moves to mimalloc as it is reallocated",
            executable: &real.z3,
            arguments: vec![input],
            launch: &["--late", "500", "--count"],
            version: "--version",
        },
        Program {
            name: "java",
            task: "lists the certificates of its own key store (the class sun.security.tools.keytool.Main)",
            executable: &real.java,
            arguments: keytool.split(' ').map(str::to_owned).collect(),
            launch: &[],
            version: "-version",
        },
    ])
}

/// What the programs run on.
struct Host<'a> {
    wine: Option<&'a wine::Wine>,
    prefix: Option<Prefix>,
    launcher: PathBuf,
}

impl<'a> Host<'a> {
    fn of(environment: &'a Environment, stage: &Stage) -> Host<'a> {
        let newest = environment
            .prefixes
            .iter()
            .find(|prefix| prefix.version() == Some(crt::newest().version));
        Host {
            wine: environment.wine.as_ref(),
            prefix: newest.cloned(),
            launcher: stage.bin.join("allograft.exe"),
        }
    }

    fn describe(&self) -> String {
        match &self.prefix {
            Some(prefix) => format!("Microsoft's ucrtbase.dll {} under Wine", prefix.name),
            None => "this Windows and its own C runtime".to_owned(),
        }
    }

    fn command(&self, program: &Path) -> Command {
        match (self.wine, &self.prefix) {
            (Some(wine), Some(prefix)) => wine.command(prefix, program),
            _ => Command::new(program),
        }
    }

    /// Runs a program. Its output goes to a file: a pipe would stay open as long as anything that
    /// it started.
    fn run(&self, command: &mut Command) -> Result<Run> {
        let file = folder()?.join("output.txt");
        let output = File::create(&file).with_context(|| format!("writing {}", file.display()))?;
        let began = Instant::now();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start `{}`", step::shown(command)))?;
        let Some(status) = step::wait_within(&mut child, LIMIT)? else {
            bail!("`{}` took longer than {}", step::shown(command), step::seconds(LIMIT));
        };
        let took = began.elapsed();
        let output = fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
        Ok(Run { output, exit_code: status.code(), took })
    }
}

fn show(host: &Host, program: &Program) -> Result<bool> {
    let step = Step::begin(format!("demo: running {} without and with allograft", program.name));
    host.run(host.command(program.executable).arg(program.version))?;
    let without = host.run(host.command(program.executable).args(&program.arguments))?;
    let report_file = report_file(program.name)?;
    let mut launcher = host.command(&host.launcher);
    launcher
        .args(["run", "--report", &windows_path(&report_file)?])
        .args(program.launch)
        .arg("--")
        .arg(windows_path(program.executable)?)
        .args(&program.arguments);
    let with = host.run(&mut launcher)?;
    step.done();

    let report = Report::read(&report_file)?;
    println!("\n{} {}", program.name, program.task);
    for (what, value) in rows(&report, &without, &with) {
        println!("    {what:20} {value}");
    }
    Ok(report.is_active() && same(&without, &with))
}

fn same(without: &Run, with: &Run) -> bool {
    without.output == with.output && without.exit_code == with.exit_code
}

fn rows(report: &Report, without: &Run, with: &Run) -> Vec<(&'static str, String)> {
    let lines = without.output.iter().filter(|byte| **byte == b'\n').count();
    let mut rows = report.rows();
    rows.push(("same output", format!("{} ({lines} lines)", yes(without.output == with.output))));
    let code =
        |run: &Run| run.exit_code.map_or("ended by a signal".to_owned(), |code| code.to_string());
    let codes = if without.exit_code == with.exit_code {
        code(without)
    } else {
        format!("{} without, {} with", code(without), code(with))
    };
    rows.push((
        "same exit code",
        format!("{} ({codes})", yes(without.exit_code == with.exit_code)),
    ));
    let times = (without.took.as_secs_f64(), with.took.as_secs_f64());
    rows.push(("time, start to end", format!("{:.2} s without, {:.2} s with", times.0, times.1)));
    rows
}

fn yes(is: bool) -> &'static str {
    if is { "yes" } else { "NO" }
}

/// Where the demonstration writes.
fn folder() -> Result<PathBuf> {
    let folder = layout::stage().join("demo");
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    Ok(folder)
}

/// Where the module is to write its report; one of an earlier run is removed, so that it cannot be
/// taken for this one's.
fn report_file(name: &str) -> Result<PathBuf> {
    let file = folder()?.join(format!("{}.json", name.replace([',', ' '], "")));
    fs::remove_file(&file).ok();
    Ok(file)
}

/// A path of this machine as the Windows programs call it.
fn windows_path(path: &Path) -> Result<String> {
    if cfg!(windows) { Ok(path.display().to_string()) } else { wine::dos_path(path) }
}
