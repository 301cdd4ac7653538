//! `allograft run`: a program started with the module in it.

use crate::args::RunArgs;
use crate::diagnosis::{self, RunningProgram};
use crate::error::Error;
use crate::injection::{Injection, StatusPage};
use crate::module::Request;
use crate::output::{complain, notify};
use crate::page_reading::PageReading;
use crate::search_path::locate;
use crate::windows::process::Process;
use crate::windows::start::{Streams, Suspended};
use crate::windows::{console, wait_for_first};
use allograft_inject::{Ending, State};
use std::path::Path;

/// Runs the program and returns its exit code. Once the program has started, a failure to load the
/// module is a message and no error: the program runs on.
pub fn run(args: &RunArgs) -> Result<u32, Error> {
    let request = Request::resolve(&args.module)?;
    let (name, arguments) = args.program.name_and_arguments();
    let path = locate(name)?;
    console::catch_interrupts()?;
    let program = Suspended::start(&path, name, arguments, &Streams::default())
        .map_err(|error| diagnosis::start_failure(&path, name, &error))?;
    let injection = injection_into(&program, &path, &request)?;
    let (process, attempt) = match args.late {
        // Before the program's own code runs.
        None => {
            let queued = injection.queue(&program);
            let process = program.resume()?;
            let attempt = match queued {
                Ok(load) => Ok(load.wait(&process)?),
                Err(error) => Err(error),
            };
            (process, attempt)
        }
        Some(delay) => {
            let process = program.resume()?;
            if wait_for_first(&[process.handle()], Some(delay))?.is_some() {
                notify(format_args!(
                    "{} ended before the {} ms after which it was to be taken over",
                    process.name(),
                    delay.as_millis()
                ));
                return process.exit_code();
            }
            let attempt = StatusPage::for_target(&process).and_then(|page| {
                let ending = injection.load(&process, &page, None)?;
                Ok((page, ending))
            });
            (process, attempt)
        }
    };
    match attempt {
        Ok((page, Ending::Returned)) => return finish(&process, &injection.module, &page),
        Ok(_) => {}
        Err(error) => complain(error),
    }
    process.wait()
}

/// What `program`, whose file is at `path`, gets by `request`.
pub fn injection_into<'a>(
    program: &Suspended,
    path: &Path,
    request: &'a Request,
) -> Result<Injection<'a>, Error> {
    Injection::new(program.process(), request, |unreachable| {
        Error::not_executable(path, unreachable)
    })
}

/// Prints why the program is on its own heap if it is, waits for its end, and returns its exit
/// code.
fn finish(process: &Process, module: &Path, page: &StatusPage) -> Result<u32, Error> {
    let reading = page.read(process.name());
    if reading.is_on_mimalloc() {
        return process.wait();
    }
    // A process that has ended shows nothing of this.
    let program = RunningProgram::observe(process);
    let notify_of = |reading: &PageReading| {
        if let Some(reason) = diagnosis::why_on_own_heap(reading, module, &program) {
            notify(format_args!("{} runs on its own heap: {reason}", process.name()));
        }
    };
    if !matches!(reading.state, Some(State::NoRuntime | State::Active)) {
        notify_of(&reading);
        return process.wait();
    }
    // The program may still load a C runtime, which the module takes over then.
    let exit_code = process.wait()?;
    notify_of(&page.read(process.name()));
    Ok(exit_code)
}
