//! Runs the program without and with the module, round after round, and prints the answer.

use super::output::{Answer, Subject};
use super::rounds::{Measurement, Round, Side, objection};
use crate::args::{BenchArgs, ModuleArgs};
use crate::diagnosis::{self, RunningProgram};
use crate::error::Error;
use crate::module::Request;
use crate::output::pretty_json;
use crate::run::injection_into;
use crate::search_path::locate;
use crate::windows::job::Job;
use crate::windows::process::Process;
use crate::windows::start::{Streams, Suspended};
use crate::windows::usage::{self, PeakMemory};
use crate::windows::{console, wait_for_first};
use allograft_inject::Ending;
use indicatif::{ProgressBar, ProgressStyle};
use std::fs::{self, File, OpenOptions};
use std::os::windows::io::BorrowedHandle;
use std::path::Path;
use std::time::{Duration, Instant};

/// The device that reads as empty, and discards what is written.
const NULL_DEVICE: &str = "NUL";

/// How often to sample the program's memory: Wine forgets the peak when the program ends.
const SAMPLING_INTERVAL: Duration = Duration::from_millis(10);

struct BenchSession<'a> {
    args: &'a BenchArgs,
    subject: &'a Subject,
    request: Request,
    /// An event that ends the run in progress.
    interruption: BorrowedHandle<'static>,
    progress: ProgressBar,
    /// Of the program's first run.
    exit_code: Option<u32>,
}

/// A run that came to its end.
struct EndedRun {
    exit_code: u32,
    measurement: Measurement,
    /// Why it ran on its own heap although the module was to be loaded.
    not_on_mimalloc: Option<String>,
}

/// Measures the program and prints the answer. Returns the exit code.
pub fn run(args: &BenchArgs) -> Result<u32, Error> {
    let (name, arguments) = args.program.name_and_arguments();
    let (name, arguments) = (name.clone(), arguments.to_vec());
    let subject = Subject { path: locate(&name)?, name, arguments };
    let (exit_code, rounds) = BenchSession::new(args, &subject)?.run()?;
    let answer = Answer::new(&subject, exit_code, &rounds);
    print!("{}", answer.text());
    if let Some(path) = &args.json {
        write(path, &pretty_json(&answer)?)?;
    }
    if let Some(path) = &args.html {
        write(path, &answer.html())?;
    }
    Ok(0)
}

impl<'a> BenchSession<'a> {
    fn new(args: &'a BenchArgs, subject: &'a Subject) -> Result<BenchSession<'a>, Error> {
        let module =
            ModuleArgs { module: args.module.clone(), heap: args.heap, ..ModuleArgs::default() };
        let request = Request::resolve(&module)?;
        let interruption = console::catch_interrupts()?;
        let runs = (u64::from(args.runs) + 1) * Side::BOTH.len() as u64;
        let progress = match args.show_output {
            true => ProgressBar::hidden(),
            false => ProgressBar::new(runs),
        };
        let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len}, {eta} left");
        progress.set_style(style.expect("the template is well-formed"));
        progress.enable_steady_tick(Duration::from_secs(1));
        Ok(BenchSession { args, subject, request, interruption, progress, exit_code: None })
    }

    /// Returns the exit code of every run, and all rounds.
    fn run(mut self) -> Result<(u32, Vec<Round>), Error> {
        for side in Side::BOTH {
            self.measure(side, "warming up")?;
        }
        let rounds =
            (0..self.args.runs).map(|round| self.round(round)).collect::<Result<_, _>>()?;
        Ok((self.exit_code.unwrap_or_default(), rounds))
    }

    fn round(&mut self, number: u32) -> Result<Round, Error> {
        let place = format!("round {} of {}", number + 1, self.args.runs);
        let mut round = Round::default();
        for side in Side::in_round(number) {
            let measurement = self.measure(side, &place)?;
            match side {
                Side::Without => round.without = measurement,
                Side::With => round.with = measurement,
            }
        }
        Ok(round)
    }

    /// Runs the program once, and checks that the run counts. `place` is for messages.
    fn measure(&mut self, side: Side, place: &str) -> Result<Measurement, Error> {
        let what = format!("{place}, {} mimalloc", side.name());
        if self.args.progress {
            let length = self.progress.length().unwrap_or_default();
            eprintln!("progress {}/{length} {what}", self.progress.position());
        }
        self.progress.set_message(what);
        let not_compared = |reason: String| {
            Error::new(format!("no comparison of {}: {reason}", self.subject.file_name()))
        };
        let ended = self.run_once(side)?.ok_or_else(|| {
            not_compared(format!("interrupted ({place}); nothing is left running"))
        })?;
        if let Some(reason) = objection(side, ended.exit_code, self.exit_code) {
            return Err(not_compared(format!("{reason} ({place})")));
        }
        if let Some(reason) = ended.not_on_mimalloc {
            return Err(not_compared(format!("it stays on its own heap: {reason}")));
        }
        self.exit_code = Some(ended.exit_code);
        self.progress.inc(1);
        Ok(ended.measurement)
    }

    /// Runs the program once, with new streams. `None` if it was interrupted; it has ended then,
    /// too.
    fn run_once(&self, side: Side) -> Result<Option<EndedRun>, Error> {
        let input = self.args.input.as_deref().unwrap_or(Path::new(NULL_DEVICE));
        let input = open(input, OpenOptions::new().read(true))?;
        let hide = || open(Path::new(NULL_DEVICE), OpenOptions::new().write(true));
        let output = (!self.args.show_output).then(hide).transpose()?;
        let streams =
            Streams { input: Some(&input), output: output.as_ref(), errors: output.as_ref() };
        let Subject { path, name, arguments } = self.subject;
        let program = Suspended::start(path, name, arguments, &streams)
            .map_err(|error| diagnosis::start_failure(path, name, &error))?;
        // On return this ends the program, if it has not ended, and all processes that it started.
        let job = Job::new()?;
        job.assign(program.process())?;
        match side {
            Side::Without => {
                let began = Instant::now();
                self.finish(&program.resume()?, began)
            }
            Side::With => self.run_with_module(program),
        }
    }

    fn run_with_module(&self, program: Suspended) -> Result<Option<EndedRun>, Error> {
        let injection = injection_into(&program, &self.subject.path, &self.request)?;
        let load = injection.queue(&program)?;
        let began = Instant::now();
        let process = program.resume()?;
        let (page, ending) = load.wait(&process)?;
        let read = || page.read(&self.subject.file_name());
        // For the diagnosis, which a process that has ended does not allow.
        let program = match ending == Ending::Returned && !read().is_on_mimalloc() {
            true => RunningProgram::observe(&process),
            false => RunningProgram::default(),
        };
        let ended = self.finish(&process, began)?;
        Ok(ended.map(|ended| EndedRun {
            not_on_mimalloc: diagnosis::why_on_own_heap(&read(), &injection.module, &program),
            ..ended
        }))
    }

    /// Waits for the program to end. `None` if it was interrupted.
    fn finish(&self, process: &Process, began: Instant) -> Result<Option<EndedRun>, Error> {
        let objects = [self.interruption, process.handle()];
        let mut memory = PeakMemory::default();
        let wall_seconds = loop {
            match wait_for_first(&objects, Some(SAMPLING_INTERVAL))? {
                Some(0) => return Ok(None),
                Some(_) => break began.elapsed().as_secs_f64(),
                None => memory.note(process),
            }
        };
        memory.note(process);
        Ok(Some(EndedRun {
            exit_code: process.exit_code()?,
            measurement: Measurement {
                wall_seconds,
                cpu_seconds: usage::cpu_seconds(process),
                peak_commit_bytes: memory.commit,
                peak_working_set_bytes: memory.working_set,
            },
            not_on_mimalloc: None,
        }))
    }
}

impl Drop for BenchSession<'_> {
    fn drop(&mut self) {
        self.progress.finish_and_clear();
    }
}

fn open(path: &Path, options: &OpenOptions) -> Result<File, Error> {
    options
        .open(path)
        .map_err(|source| Error::system(format_args!("open {}", path.display()), source))
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text)
        .map_err(|source| Error::system(format_args!("write {}", path.display()), source))
}
