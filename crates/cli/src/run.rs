//! `allograft run`: a program started with the module in it.

use crate::args::RunArgs;
use crate::diagnosis::Program;
use crate::error::Error;
use crate::injection::{Injection, StatusPage};
use crate::module::Request;
use crate::outcome::Outcome;
use crate::say;
use crate::search_path::{self, Found};
use crate::windows::process::Process;
use crate::windows::start::{Streams, Suspended};
use crate::windows::{console, wait};
use allograft_inject::Ending;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Runs the program and returns its exit code.
///
/// # Errors
///
/// If the program could not be started. From then on nothing is an error any more: what goes wrong
/// with the module is said, and the program runs on.
pub fn run(args: &RunArgs) -> Result<u32, Error> {
    let request = Request::resolve(&args.module)?;
    let (name, arguments) = args.program.name_and_arguments();
    let path = locate(name)?;
    console::leave_interrupts_to_the_program()?;
    let program = Suspended::start(&path, name, arguments, &Streams::default())?;
    let injection = injection_into(&program, &path, &request)?;
    match args.late {
        None => run_early(program, &injection),
        Some(delay) => run_late(program, &injection, delay),
    }
}

/// What `program`, whose file is at `path`, gets by `request`.
///
/// # Errors
///
/// If there is no route into it, or no module for it.
pub fn injection_into<'a>(
    program: &Suspended,
    path: &Path,
    request: &'a Request,
) -> Result<Injection<'a>, Error> {
    Injection::new(program.process(), request, |unreachable| Error::ProgramUnfit {
        path: path.to_path_buf(),
        reason: unreachable.to_string(),
    })
}

/// Finds the program that the user means by `name`.
///
/// # Errors
///
/// If there is none, or it is a batch file.
pub fn locate(name: &OsStr) -> Result<PathBuf, Error> {
    let current = std::env::current_dir()
        .map_err(|source| Error::System { action: "find the current folder".to_owned(), source })?;
    let variable = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&variable).collect();
    match search_path::find(name, &current, &folders, is_file) {
        Found::Program(path) => Ok(tidy(path)),
        Found::Batch(path) => Err(Error::ProgramUnfit {
            path: tidy(path),
            reason: "it is a batch file; name the program that it starts".to_owned(),
        }),
        Found::Nothing => Err(Error::ProgramNotFound { name: name.to_string_lossy().into_owned() }),
    }
}

/// The same path without `.` and `..` where that can be had.
fn tidy(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

/// Whether there is something at `path` to be started. The programs of the Microsoft Store are
/// links that only the system can follow, so that links count unseen.
fn is_file(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|metadata| !metadata.is_dir())
}

/// Loads the module before the program's own code runs.
fn run_early(program: Suspended, injection: &Injection<'_>) -> Result<u32, Error> {
    let queued = injection.queue(&program);
    let process = program.resume()?;
    match queued {
        Ok(load) => {
            if let (page, Ending::Returned) = load.wait(&process)? {
                return finish(&process, &injection.module, &page);
            }
        }
        Err(error) => say(&error),
    }
    process.wait()
}

/// Loads the module into the running program, `delay` after its start.
fn run_late(program: Suspended, injection: &Injection<'_>, delay: Duration) -> Result<u32, Error> {
    let process = program.resume()?;
    if wait::first_of(&[process.handle()], Some(delay))?.is_some() {
        let ms = delay.as_millis();
        say(&format_args!(
            "{} ended before the {ms} ms after which it was to be taken over",
            process.name()
        ));
        return process.exit_code();
    }
    let attempt = StatusPage::for_target(&process).and_then(|page| {
        let ending = injection.load(&process, &page, None)?;
        Ok((page, ending))
    });
    match attempt {
        Ok((page, Ending::Returned)) => return finish(&process, &injection.module, &page),
        Ok(_) => {}
        Err(error) => say(&error),
    }
    process.wait()
}

/// Says what became of the takeover unless all is well, waits for the program, and returns its exit
/// code.
fn finish(process: &Process, module: &Path, page: &StatusPage) -> Result<u32, Error> {
    match page.outcome() {
        Outcome::TakenOver(takeover) if !takeover.is_of_windows_own() => process.wait(),
        Outcome::NoRuntime | Outcome::TakenOver(_) => {
            // Not the last word: the program may load a C runtime yet, and the module waits for it.
            // But the process can be looked into only now.
            let program = process.observe();
            let exit_code = process.wait()?;
            say_unless_well(process, module, &page.outcome(), &program);
            Ok(exit_code)
        }
        outcome => {
            say_unless_well(process, module, &outcome, &process.observe());
            process.wait()
        }
    }
}

fn say_unless_well(process: &Process, module: &Path, outcome: &Outcome, program: &Program) {
    if let Some(reason) = outcome.why_not(module, program) {
        say(&format_args!("{} runs on its own heap: {reason}", process.name()));
    }
}
