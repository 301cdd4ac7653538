//! One run of the program.

use super::measure::Measurement;
use super::order::Side;
use super::subject::Subject;
use crate::diagnosis::{self, RunningProgram};
use crate::error::Error;
use crate::module::Request;
use crate::page_reading::PageReading;
use crate::run::injection_into;
use crate::windows::job::Job;
use crate::windows::process::Process;
use crate::windows::start::{Streams, Suspended};
use crate::windows::usage::{self, PeakMemory};
use crate::windows::wait;
use allograft_inject::Ending;
use std::os::windows::io::BorrowedHandle;
use std::time::{Duration, Instant};

/// How often the program's memory is looked at while it runs: Wine forgets the peak when the
/// program ends.
const LOOK: Duration = Duration::from_millis(10);

/// How to run the program.
pub struct Trial<'a> {
    /// What to run.
    pub subject: &'a Subject,
    /// The module's options.
    pub request: &'a Request,
    /// An event that ends the run.
    pub interruption: BorrowedHandle<'a>,
}

/// A run that came to its end.
pub struct Ended {
    /// What the program ended with.
    pub exit_code: u32,
    /// What it took.
    pub measurement: Measurement,
    /// Why it was on its own heap although the module was to be loaded.
    pub not_on_mimalloc: Option<String>,
}

/// A program that has begun. Dropped, it ends, with everything that it has started.
struct Running {
    process: Process,
    began: Instant,
    memory: PeakMemory,
    _job: Job,
}

impl Trial<'_> {
    /// Runs the program with these streams; nothing if it was interrupted. Nothing of it is left
    /// running then.
    ///
    /// # Errors
    ///
    /// If it cannot be started, or the module cannot be loaded into it.
    pub fn run(&self, side: Side, streams: &Streams<'_>) -> Result<Option<Ended>, Error> {
        let Subject { path, name, arguments } = self.subject;
        let program = Suspended::start(path, name, arguments, streams)
            .map_err(|error| diagnosis::start_failure(path, name, error))?;
        let job = Job::new()?;
        job.assign(program.process())?;
        match side {
            Side::Without => self.run_without(program, job),
            Side::With => self.run_with(program, job),
        }
    }

    fn run_without(&self, program: Suspended, job: Job) -> Result<Option<Ended>, Error> {
        Running::begin(program, job)?.finish(self.interruption)
    }

    fn run_with(&self, program: Suspended, job: Job) -> Result<Option<Ended>, Error> {
        let injection = injection_into(&program, &self.subject.path, self.request)?;
        let load = injection.queue(&program)?;
        let running = Running::begin(program, job)?;
        let (page, ending) = load.wait(&running.process)?;
        let read = || PageReading::new(&page.copy(), &self.subject.file_name());
        let is_well = read().is_on_mimalloc();
        // For the diagnosis, which cannot be had of a process that has ended.
        let program = match ending == Ending::Returned && !is_well {
            true => RunningProgram::observe(&running.process),
            false => RunningProgram::default(),
        };
        let Some(mut ended) = running.finish(self.interruption)? else {
            return Ok(None);
        };
        ended.not_on_mimalloc = diagnosis::why_on_own_heap(&read(), &injection.module, &program);
        Ok(Some(ended))
    }
}

impl Running {
    fn begin(program: Suspended, job: Job) -> Result<Running, Error> {
        let began = Instant::now();
        Ok(Running { process: program.resume()?, began, memory: PeakMemory::default(), _job: job })
    }

    fn finish(mut self, interruption: BorrowedHandle<'_>) -> Result<Option<Ended>, Error> {
        let objects = [interruption, self.process.handle()];
        let wall_seconds = loop {
            match wait::first_of(&objects, Some(LOOK))? {
                Some(0) => return Ok(None),
                Some(_) => break self.began.elapsed().as_secs_f64(),
                None => self.memory.note(&self.process),
            }
        };
        self.memory.note(&self.process);
        Ok(Some(Ended {
            exit_code: self.process.exit_code()?,
            measurement: Measurement {
                wall_seconds,
                cpu_seconds: usage::cpu_seconds(&self.process),
                peak_commit_bytes: self.memory.commit,
                peak_working_set_bytes: self.memory.working_set,
            },
            not_on_mimalloc: None,
        }))
    }
}
