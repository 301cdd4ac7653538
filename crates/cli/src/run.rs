//! `allograft run`: a program started with the module in it.

use crate::args::RunArgs;
use crate::diagnosis::{self, RunningProgram};
use crate::error::Error;
use crate::machine::{Way, way_into};
use crate::module::Request;
use crate::output::notify;
use crate::page_reading::PageReading;
use crate::search_path::locate;
use crate::windows::early_load::EarlyLoad;
use crate::windows::process::Process;
use crate::windows::remote_load::{self, Ending};
use crate::windows::section::Section;
use crate::windows::start::{Streams, Suspended};
use crate::windows::{console, wait};
use allograft_image::Machine;
use allograft_status::State;
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
    let program = Suspended::start(&path, name, arguments, &Streams::default())
        .map_err(|error| diagnosis::start_failure(&path, name, error))?;
    let graft = Graft::of(&program, &path, &request)?;
    match args.late {
        None => run_early(program, &graft),
        Some(delay) => run_late(program, &graft, delay),
    }
}

/// What a program gets, and how.
pub struct Graft<'a> {
    /// The module.
    pub module: PathBuf,
    request: &'a Request,
    way: Way,
}

impl<'a> Graft<'a> {
    /// What `program`, whose file is at `path`, gets by `request`.
    ///
    /// # Errors
    ///
    /// If there is no module for it.
    pub fn of(program: &Suspended, path: &Path, request: &'a Request) -> Result<Graft<'a>, Error> {
        let machine = program.process().machine();
        Ok(Graft {
            way: way_into(machine, Machine::OWN)
                .map_err(|reason| Error::not_executable(path, reason))?,
            module: request.module_for(machine)?,
            request,
        })
    }

    /// Has the module loaded when the program is resumed, before its own code runs.
    ///
    /// # Errors
    ///
    /// If the process refuses what that takes; it then begins without.
    pub fn queue(&self, program: &Suspended) -> Result<(Section, EarlyLoad), Error> {
        let section = Section::of(program.process())?;
        section.tell(self.request);
        let load = EarlyLoad::queue(program, self.way, &self.module)?;
        Ok((section, load))
    }
}

/// Loads the module before the program's own code runs.
fn run_early(program: Suspended, graft: &Graft<'_>) -> Result<u32, Error> {
    let attempt = graft.queue(&program);
    let process = program.resume()?;
    match attempt {
        Ok((section, load)) => {
            if load.wait(&process)? == Ending::Returned {
                return finish(&process, &graft.module, &section);
            }
        }
        Err(error) => notify(error),
    }
    process.wait()
}

/// Loads the module into the running program, `delay` after its start.
fn run_late(program: Suspended, graft: &Graft<'_>, delay: Duration) -> Result<u32, Error> {
    let process = program.resume()?;
    if wait::first_of(&[process.handle()], Some(delay))?.is_some() {
        let ms = delay.as_millis();
        notify(format_args!(
            "{} ended before the {ms} ms after which it was to be taken over",
            process.name()
        ));
        return process.exit_code();
    }
    let attempt = Section::of(&process).and_then(|section| {
        section.tell(graft.request);
        let ending = remote_load::load(&process, graft.way, &graft.module, None)?;
        Ok((section, ending))
    });
    match attempt {
        Ok((section, Ending::Returned)) => return finish(&process, &graft.module, &section),
        Ok(_) => {}
        Err(error) => notify(error),
    }
    process.wait()
}

/// Prints why the program is on its own heap if it is, waits for its end, and returns its exit code.
fn finish(process: &Process, module: &Path, section: &Section) -> Result<u32, Error> {
    let read = || PageReading::new(&section.snapshot(), process.name());
    let reading = read();
    if reading.is_on_mimalloc() {
        return process.wait();
    }
    // A process that has ended shows nothing of this.
    let program = RunningProgram::observe(process);
    if matches!(reading.state, Some(State::NoRuntime | State::Active)) {
        // The program may still load a C runtime, which the module takes over then.
        let exit_code = process.wait()?;
        notify_unless_on_mimalloc(process, module, &read(), &program);
        return Ok(exit_code);
    }
    notify_unless_on_mimalloc(process, module, &reading, &program);
    process.wait()
}

fn notify_unless_on_mimalloc(
    process: &Process,
    module: &Path,
    reading: &PageReading,
    program: &RunningProgram,
) {
    if let Some(reason) = diagnosis::why_on_own_heap(reading, module, program) {
        notify(format_args!("{} runs on its own heap: {reason}", process.name()));
    }
}
