//! One program with bounded waits: read line by line, and ended with everything that it started.

use super::job::Job;
use super::process::Process;
use super::start::{Environment, Streams, Suspended};
use super::wait_for_first;
use crate::error::Error;
use allograft_laboratory::{lines_of, text_of};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, PipeWriter, Write};
use std::os::windows::io::{BorrowedHandle, OwnedHandle};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How often to ask whether the program has ended.
const POLL: Duration = Duration::from_millis(10);

/// How long after the end of a program its output is still waited for, if something holds its pipes
/// open.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// A program whose three standard streams are ours.
pub struct Bounded {
    process: Process,
    /// None once the program has ended.
    job: Option<Job>,
    input: Option<PipeWriter>,
    lines: Receiver<String>,
    errors: Receiver<String>,
    deadline: Instant,
    interruption: BorrowedHandle<'static>,
    was_interrupted: bool,
}

impl Bounded {
    /// Starts the program at `path` with these variables as its whole environment. It may run for
    /// `limit`, or until `interruption` is signalled.
    pub fn start(
        path: &Path,
        arguments: &[OsString],
        variables: &[(OsString, OsString)],
        limit: Duration,
        interruption: BorrowedHandle<'static>,
    ) -> Result<Bounded, Error> {
        let failure = |source| Error::system(format_args!("start {}", path.display()), source);
        let (input, our_input) = io::pipe().map_err(failure)?;
        let (our_output, output) = io::pipe().map_err(failure)?;
        let (our_errors, errors) = io::pipe().map_err(failure)?;
        let [input, output, errors] =
            [input.into(), output.into(), errors.into()].map(|end: OwnedHandle| File::from(end));
        let streams = Streams { input: Some(&input), output: Some(&output), errors: Some(&errors) };
        let environment = Environment::new(variables);
        let program =
            Suspended::start_in(path, path.as_os_str(), arguments, &streams, Some(&environment))
                .map_err(failure)?;
        let job = Job::new()?;
        job.assign(program.process())?;
        Ok(Bounded {
            process: program.resume()?,
            job: Some(job),
            input: Some(our_input),
            lines: lines_of(our_output),
            errors: lines_of(our_errors),
            deadline: Instant::now() + limit,
            interruption,
            was_interrupted: false,
        })
    }

    /// Writes to standard input. A program that has ended is no error: its exit code tells more.
    pub fn write(&mut self, text: &str) {
        if let Some(input) = &mut self.input {
            let _ = input.write_all(text.as_bytes());
        }
    }

    pub fn close_input(&mut self) {
        self.input = None;
    }

    /// The next line of standard output; none at its end, or if the time was used up.
    pub fn next_line(&mut self) -> Result<Option<String>, Error> {
        loop {
            let has_ended = self.has_ended()?;
            match self.lines.recv_timeout(if has_ended { LAST_WORDS } else { POLL }) {
                Ok(line) => return Ok(Some(line)),
                Err(RecvTimeoutError::Timeout) if !has_ended && !self.is_over() => {}
                Err(_) => return Ok(None),
            }
        }
    }

    /// Waits for the end and returns the exit code; none if the program was ended by us.
    pub fn wait(&mut self) -> Result<Option<u32>, Error> {
        self.close_input();
        while !self.has_ended()? {
            if self.is_over() {
                self.job = None;
                return Ok(None);
            }
            wait_for_first(&[self.interruption, self.process.handle()], Some(POLL))?;
        }
        self.process.exit_code().map(Some)
    }

    /// The text of standard error. Call it after the end.
    pub fn errors(&self) -> String {
        text_of(&self.errors, LAST_WORDS)
    }

    pub fn was_interrupted(&self) -> bool {
        self.was_interrupted
    }

    /// Whether the program has ended. What it has started ends with it, and so lets go of the
    /// pipes.
    fn has_ended(&mut self) -> Result<bool, Error> {
        let has_ended = wait_for_first(&[self.process.handle()], Some(Duration::ZERO))?.is_some();
        if has_ended {
            self.job = None;
        }
        Ok(has_ended)
    }

    /// Whether its time is up, or the user does not want to wait.
    fn is_over(&mut self) -> bool {
        let interrupted = wait_for_first(&[self.interruption], Some(Duration::ZERO));
        self.was_interrupted |= matches!(interrupted, Ok(Some(_)));
        self.was_interrupted || Instant::now() >= self.deadline
    }
}
