//! What the command does, from its arguments to its answer.

use super::session::Session;
use super::subject::Subject;
use super::trial::Trial;
use super::{BenchArgs, document, findings, page, text};
use crate::args::ModuleArgs;
use crate::error::Error;
use crate::module::Request;
use crate::search_path::locate;
use crate::windows::console;
use std::path::Path;

/// Measures the program and prints what comes of it. Returns the exit code.
///
/// # Errors
///
/// If the two cannot be compared, or a file cannot be written.
pub fn run(args: &BenchArgs) -> Result<u32, Error> {
    let subject = subject(args)?;
    let request =
        Request::resolve(&ModuleArgs { module: args.module.clone(), ..ModuleArgs::default() })?;
    let interruption = console::interruption()?;
    let trial = Trial { subject: &subject, request: &request, interruption };
    let (exit_code, rounds) = Session::new(args, trial).run()?;
    let findings = findings::findings(&rounds);
    print!("{}", text::text(&subject.file_name(), args.runs, &findings));
    if let Some(path) = &args.json {
        write(path, &document::json(&subject, exit_code, &rounds, &findings))?;
    }
    if let Some(path) = &args.html {
        write(path, &page::html(&subject, &rounds, &findings))?;
    }
    Ok(0)
}

fn subject(args: &BenchArgs) -> Result<Subject, Error> {
    let (name, arguments) = args.program.name_and_arguments();
    Ok(Subject { name: name.clone(), path: locate(name)?, arguments: arguments.to_vec() })
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    std::fs::write(path, text)
        .map_err(|source| Error::system(format_args!("write {}", path.display()), source))
}
