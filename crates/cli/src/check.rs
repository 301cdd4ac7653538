//! `allograft check`: says before anyone patches or injects whether it will work.

mod programs;
#[cfg(test)]
mod tests;
mod text;

use crate::error::Error;
use allograft_image::check::{CheckReport, UNSEEN, check};
use clap::Args;
use serde::Serialize;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Arguments of `allograft check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// A program or DLL, or a folder whose programs are looked at
    #[arg(required = true, value_name = "IMAGE|FOLDER")]
    pub paths: Vec<PathBuf>,
    /// Answer in JSON, one object for each image
    #[arg(long)]
    pub json: bool,
}

/// What `allograft check --help` says behind the options.
pub const CHECK_MANUAL: &str = "\
Reads the files alone: nothing is started and nothing is changed. Works on every system.

Examples:
      allograft check game.exe
      allograft check \"C:\\Program Files\\Some Game\"
      allograft check --json java.exe

Exit codes:
  0    every file could be read, whatever the verdict
  125  at least one could not; one line on standard error for each says why";

/// What became of one file.
#[derive(Serialize)]
#[serde(untagged)]
enum Answer {
    Report(Box<CheckReport>),
    Refused { path: PathBuf, error: String },
}

/// Checks everything that `args` name. Returns the exit code.
///
/// # Errors
///
/// If the answer cannot be printed. What is wrong with a file is said on standard error, and the
/// others go on.
pub fn run(args: &CheckArgs) -> Result<u32, Error> {
    let answers: Vec<Answer> = args.paths.iter().flat_map(|path| answers_for(path)).collect();
    let text = if args.json { json(&answers)? } else { plain(&answers) };
    let mut has_failed = false;
    for answer in &answers {
        if let Answer::Refused { path, error } = answer {
            has_failed = true;
            crate::say(&format_args!("{}: {error}", path.display()));
        }
    }
    std::io::stdout().lock().write_all(text.as_bytes()).map_err(unprintable)?;
    Ok(if has_failed { 125 } else { 0 })
}

fn answers_for(path: &Path) -> Vec<Answer> {
    let refused = |error: String| Answer::Refused { path: path.to_owned(), error };
    if !path.is_dir() {
        return vec![answer_for(path)];
    }
    match programs::below(path) {
        Ok(programs) if programs.is_empty() => {
            vec![refused("no program in this folder, nor in those inside it".to_owned())]
        }
        Ok(programs) => programs.iter().map(|program| answer_for(program)).collect(),
        Err(error) => vec![refused(format!("cannot read: {error}"))],
    }
}

fn answer_for(path: &Path) -> Answer {
    match check(path) {
        Ok(report) => Answer::Report(Box::new(report)),
        Err(error) => Answer::Refused { path: path.to_owned(), error: error.to_string() },
    }
}

fn json(answers: &[Answer]) -> Result<String, Error> {
    let json = serde_json::to_string_pretty(answers).map_err(|error| unprintable(error.into()))?;
    Ok(json + "\n")
}

fn plain(answers: &[Answer]) -> String {
    let mut text = String::new();
    let reports = answers.iter().filter_map(|answer| match answer {
        Answer::Report(report) => Some(report),
        Answer::Refused { .. } => None,
    });
    for report in reports {
        text::write(&mut text, report);
        text.push('\n');
    }
    if !text.is_empty() {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{UNSEEN}");
    }
    text
}

fn unprintable(source: std::io::Error) -> Error {
    Error::System { action: "print the answer".to_owned(), source }
}
