//! The launcher's side of an injection: the module and the route for one process, and what went
//! wrong, in the launcher's words.

use crate::error::Error;
use crate::module::{Request, beside_this_program};
use crate::output::{PATIENCE, notify_of_wait};
use crate::page_reading::PageReading;
use crate::windows::process::Process;
use crate::windows::start::Suspended;
use crate::windows::{handle, wide_path};
use allograft_image::Machine;
use allograft_inject::{
    Assistant, Ending, LoadedEvent, PATH_UNITS, Route, Step, SystemError, Task, Unreachable,
    Windows, load_by_thread, queue_load,
};
use std::io::{self, Read};
use std::path::PathBuf;
use std::time::Duration;

pub struct StatusPage(allograft_inject::StatusPage<'static, Windows>);

impl StatusPage {
    /// Opens the page of `process`, or creates it.
    pub fn for_target(process: &Process) -> Result<StatusPage, Error> {
        allograft_inject::StatusPage::for_target(&Windows, process.into())
            .map(StatusPage)
            .map_err(|error| failure(process, error))
    }

    /// Reads the page of `process`, without a trace in the process; none if its module has not
    /// written one.
    pub fn read_of(process: &Process) -> Result<Option<PageReading>, Error> {
        match allograft_inject::StatusPage::open(&Windows, process.into()) {
            Ok(page) => Ok(page.map(|page| StatusPage(page).read(process.name()))),
            Err(allograft_inject::Error::Rejected(reason)) => {
                Err(Error::new(format!("no status of {process}: {reason}")))
            }
            Err(error) => Err(failure(process, error)),
        }
    }

    /// Reads the page as it is now. Its process runs the file `program`.
    pub fn read(&self, program: &str) -> PageReading {
        let mut copy = Box::new_uninit();
        self.0.copy_to(&mut copy);
        // SAFETY: `copy_to` has initialised it.
        let page = unsafe { copy.assume_init() };
        PageReading::new(&page, program)
    }
}

pub struct Injection<'a> {
    pub module: PathBuf,
    request: &'a Request,
    route: Route,
}

/// A module that is loaded when the process begins.
pub struct QueuedLoad {
    page: StatusPage,
    event: LoadedEvent<'static, Windows>,
}

impl<'a> Injection<'a> {
    /// What `process` gets by `request`; `unfit` makes the error if there is no route into it.
    pub fn new(
        process: &Process,
        request: &'a Request,
        unfit: impl FnOnce(Unreachable) -> Error,
    ) -> Result<Injection<'a>, Error> {
        let machine = process.machine();
        let route = Route::for_launcher(machine, Machine::OWN).map_err(unfit)?;
        Ok(Injection { route, module: request.module_for(machine)?, request })
    }

    /// Has the module loaded when the program is resumed, before its own code runs.
    pub fn queue(&self, program: &Suspended) -> Result<QueuedLoad, Error> {
        let (process, thread) = (program.process(), handle(&program.thread()));
        let page = StatusPage::for_target(process)?;
        page.0.set_options(&self.request.options());
        let failed = |error| failure(process, error);
        let event = LoadedEvent::new(&Windows, process.into()).map_err(failed)?;
        let loaded = Some(event.handle_there());
        match self.route {
            Route::Direct => {
                let module = wide_path(&self.module);
                queue_load(&Windows, process.into(), thread, &module, loaded).map_err(failed)?;
            }
            Route::Assistant => {
                self.assist(process, Task::Queue { thread, loaded })?;
            }
        }
        Ok(QueuedLoad { page, event })
    }

    /// Loads the module into a running process, whose `page` tells it the options, and waits until
    /// that is done, at most for `timeout`.
    pub fn load(
        &self,
        process: &Process,
        page: &StatusPage,
        timeout: Option<Duration>,
    ) -> Result<Ending, Error> {
        page.0.set_options(&self.request.options());
        match self.route {
            Route::Direct => {
                let module = wide_path(&self.module);
                load_by_thread(&Windows, process.into(), &module, timeout)
                    .map_err(|error| failure(process, error))
            }
            Route::Assistant => self.assist(process, Task::Load { timeout }),
        }
    }

    fn assist(&self, process: &Process, task: Task) -> Result<Ending, Error> {
        let path = wide_path(&beside_this_program(Assistant::NAME)?);
        let (mut errors, writer) =
            io::pipe().map_err(|source| Error::system("make a pipe", source))?;
        let assistant = Assistant {
            path: &path,
            module: &wide_path(&self.module),
            error_stream: Some(handle(&writer)),
        };
        let mut command_line = vec![0; PATH_UNITS];
        let running = assistant
            .start(&Windows, process.into(), task, &mut command_line)
            .map_err(|error| failure(process, error))?;
        // The assistant has the only other end, so reading ends when it does.
        drop(writer);
        let mut said = Vec::new();
        // What cannot be read is not said: the exit code remains.
        let _ = errors.read_to_end(&mut said);
        running.finish(None).map_err(|error| match error {
            allograft_inject::Error::AssistantFailed(code) => assistant_failure(&said, code),
            error => failure(process, error),
        })
    }
}

impl QueuedLoad {
    /// Tells a person at a terminal what is waited for, if it takes long.
    pub fn notify_if_slow(&self, process: &Process) -> Result<(), Error> {
        if !self.event.wait_at_most(PATIENCE).map_err(|error| failure(process, error))? {
            notify_of_wait(format_args!("{process} to load its DLLs and the module"));
        }
        Ok(())
    }

    /// Waits until the module is loaded in `process`, or has failed to load, or the process has
    /// ended. Returns the status page, which holds the outcome.
    pub fn wait(self, process: &Process) -> Result<(StatusPage, Ending), Error> {
        let ending = self.event.wait().map_err(|error| failure(process, error))?;
        Ok((self.page, ending))
    }
}

impl From<&Process> for allograft_inject::Handle {
    fn from(process: &Process) -> Self {
        handle(&process.handle())
    }
}

/// Explains to the user why the process did not get the module.
pub fn failure(process: &Process, error: allograft_inject::Error) -> Error {
    use allograft_inject::Error::{AssistantMissing, Refused};
    match error {
        Refused(step, SystemError::ACCESS_DENIED) if step.needs_rights() => {
            Error::access_denied(process)
        }
        Refused(step, SystemError(code)) => {
            let action = match step {
                Step::StartAssistant => format!("start {}", Assistant::NAME),
                step => format!("{step} {process}"),
            };
            Error::system(action, io::Error::from_raw_os_error(code.cast_signed()))
        }
        AssistantMissing => Error::new(format!(
            "no {} beside this program: it is what loads the module into 32-bit programs",
            Assistant::NAME
        )),
        error => Error::cannot_take_over(process, error),
    }
}

/// What an assistant that ended with this exit code wrote to its error stream.
fn assistant_failure(said: &[u8], code: u32) -> Error {
    let said = String::from_utf8_lossy(said);
    let line = said.lines().next().unwrap_or_default().trim();
    let reason = match line.strip_prefix("allograft: ").unwrap_or(line) {
        "" => format!("it ended with exit code {code}"),
        line => line.to_owned(),
    };
    Error::new(format!("{}: {reason}", Assistant::NAME))
}
