//! What a check is, what it finds, and what it is given.

use super::runner::{Launch, Run, Runner, read_report};
use crate::error::Error;
use allograft_image::Machine;
use allograft_laboratory::Mode;
use clap::ValueEnum;
use serde::Serialize;
use std::cell::Cell;
use std::fmt::Display;
use std::path::{Path, PathBuf};

/// A row of the table of checks.
#[derive(Debug)]
pub struct Check {
    /// For `--only`.
    pub name: &'static str,
    /// What holds if it passes.
    pub title: &'static str,
    /// The files that it uses of each machine's folder of programs.
    pub programs: &'static [&'static str],
    pub run: fn(&Context<'_>) -> Vec<Finding>,
}

/// How much is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Effort {
    Quick,
    Usual,
    Long,
}

/// What a check is given.
pub struct Context<'a> {
    pub runner: &'a dyn Runner,
    /// What the programs are made for.
    pub machine: Machine,
    pub effort: Effort,
    /// The first seed of whatever is random.
    pub seed: u64,
    /// `allograft.exe`: this program.
    pub launcher: &'a Path,
    /// The folder of the programs for `machine`.
    pub programs: &'a Path,
    /// The folder of the programs of the other bitness, or why they cannot be run.
    pub other_programs: Result<&'a Path, &'a str>,
    /// The folder of the system's DLLs for `machine`.
    pub system: &'a Path,
    pub is_wine: bool,
    /// A folder for the check alone.
    pub scratch: &'a Path,
    /// What the checks before this one have found.
    pub earlier: &'a [Finding],
    /// How many reports were asked for: each has a file of its own.
    pub reports: Cell<u32>,
}

/// What a check has found out about one subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was checked; empty where the check has one subject only.
    pub subject: String,
    #[serde(flatten)]
    pub outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    Passed {
        /// What was seen, with numbers.
        what: String,
    },
    Failed {
        what: String,
        /// What the user can do.
        advice: String,
        /// The command line that shows it, where there is one.
        command: Option<String>,
    },
    NotTried {
        why: String,
    },
}

/// Why a check has not passed: an outcome that is not [`Outcome::Passed`].
pub type Shortfall = Outcome;

/// What to do about a failure that a user cannot do anything about.
pub const REPORT_IT: &str = "report it, with the file that --html writes";

impl Outcome {
    pub fn failed(what: impl Into<String>) -> Outcome {
        Outcome::Failed { what: what.into(), advice: REPORT_IT.to_owned(), command: None }
    }

    /// A failure that `run` shows.
    pub fn failed_in(run: &Run, what: impl Display) -> Outcome {
        let words = match run.telling_line() {
            Some(words) if !words.is_empty() => format!(": {}", crate::output::printable(words)),
            _ => String::new(),
        };
        Outcome::Failed {
            what: format!("{what}{words}"),
            advice: REPORT_IT.to_owned(),
            command: Some(run.command.clone()),
        }
    }

    pub fn not_tried(why: impl Into<String>) -> Outcome {
        Outcome::NotTried { why: why.into() }
    }

    pub fn is_failure(&self) -> bool {
        matches!(self, Outcome::Failed { .. })
    }

    /// For a table.
    pub fn word(&self) -> &'static str {
        match self {
            Outcome::Passed { .. } => "passed",
            Outcome::Failed { .. } => "FAILED",
            Outcome::NotTried { .. } => "not tried",
        }
    }

    /// What was seen, or why nothing was.
    pub fn text(&self) -> &str {
        match self {
            Outcome::Passed { what } | Outcome::Failed { what, .. } => what,
            Outcome::NotTried { why } => why,
        }
    }
}

impl From<Error> for Outcome {
    fn from(error: Error) -> Outcome {
        Outcome::failed(error.to_string())
    }
}

impl Finding {
    /// What was found out about `subject`: what was seen, or why it has not passed.
    pub fn new(subject: impl Into<String>, result: Result<String, Shortfall>) -> Finding {
        let outcome = result.map_or_else(|shortfall| shortfall, |what| Outcome::Passed { what });
        Finding { subject: subject.into(), outcome }
    }
}

impl Effort {
    /// One of three values.
    pub fn pick<T>(self, quick: T, usual: T, long: T) -> T {
        match self {
            Effort::Quick => quick,
            Effort::Usual => usual,
            Effort::Long => long,
        }
    }
}

impl Context<'_> {
    pub fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// Runs the launcher with these arguments.
    pub fn allograft(&self) -> Launch {
        Launch::new(self.launcher)
    }

    /// Runs `launch` with the module coming as `mode` says, and reads the module's report.
    /// `options` are those of `allograft run` or `allograft inject`.
    pub fn run_with_module(
        &self,
        launch: Launch,
        mode: Mode,
        options: &[&str],
    ) -> Result<Run, Error> {
        let number = self.reports.replace(self.reports.get() + 1);
        let report = self.scratch.join(format!("report{number}.json"));
        let wrapped = match mode {
            Mode::Plain => launch,
            Mode::Injected => {
                let inject = self.allograft().args(["inject", "--report"]).arg(&report);
                let inject = inject.args(options).arg("--pid");
                Launch { meeting: Some(Box::new(inject)), ..launch }
            }
            Mode::Early | Mode::Late(_) => {
                let mut run = self.allograft().args(["run", "--report"]).arg(&report);
                if let Mode::Late(milliseconds) = mode {
                    run = run.arg("--late").arg(milliseconds.to_string());
                }
                let Launch { program, arguments, .. } = &launch;
                let run = run.args(options).arg("--").arg(program).args(arguments);
                Launch { program: run.program, arguments: run.arguments, ..launch }
            }
        };
        let run = self.runner.run(&wrapped)?;
        Ok(Run { report: read_report(&report), ..run })
    }
}

/// A run that ended in time with the exit code `code`; else the failure.
pub fn expect_code(run: &Run, code: u32) -> Result<(), Shortfall> {
    if let Some(injection) = &run.meeting {
        expect_code(injection, 0)?;
    }
    match run.exit_code {
        Some(got) if got == code => Ok(()),
        Some(got) => Err(Outcome::failed_in(
            run,
            format_args!("it ended with {} instead of {code}", shown(got)),
        )),
        None => Err(Outcome::failed_in(run, "it did not end in time")),
    }
}

/// A run in which the module took a heap over; else the failure.
pub fn expect_taken_over(run: &Run) -> Result<(), Shortfall> {
    match &run.report {
        Some(report) if report.is_active() => Ok(()),
        Some(report) if report.message.is_empty() => Err(Outcome::failed_in(
            run,
            format_args!("the program stayed on its own heap (state {})", report.state),
        )),
        Some(report) => Err(Outcome::failed_in(
            run,
            format_args!("the program stayed on its own heap: {}", report.message),
        )),
        None => Err(Outcome::failed_in(run, "the module wrote no report")),
    }
}

/// An exit code as Windows' documents write it: exceptions in hexadecimal.
fn shown(code: u32) -> String {
    if code > 0xFFFF { format!("{code:#010x}") } else { code.to_string() }
}
