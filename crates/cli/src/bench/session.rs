//! All the runs, in their order.

use super::args::BenchArgs;
use super::exit_code::objection;
use super::findings::Round;
use super::measure::Measurement;
use super::order::{Side, of_round};
use super::progress::Progress;
use super::trial::{Ended, Trial};
use crate::error::Error;
use crate::windows::start::Streams;
use std::fs::{File, OpenOptions};
use std::path::Path;

/// The device that is empty, and takes everything.
const NOTHING: &str = "NUL";

/// A comparison under way.
pub struct Session<'a> {
    args: &'a BenchArgs,
    trial: Trial<'a>,
    progress: Progress,
    /// What the program's first run ended with.
    exit_code: Option<u32>,
}

impl<'a> Session<'a> {
    /// A session of the runs that `args` asks for.
    pub fn new(args: &'a BenchArgs, trial: Trial<'a>) -> Session<'a> {
        let runs = (u64::from(args.runs) + 1) * Side::BOTH.len() as u64;
        Session { args, trial, progress: Progress::of(runs, !args.show_output), exit_code: None }
    }

    /// Runs the program as often as asked for. Returns what every run ended with, and what they
    /// took.
    ///
    /// # Errors
    ///
    /// If a run does not come to its end, or not to the same one as the others, or has its own heap
    /// where it should not.
    pub fn run(mut self) -> Result<(u32, Vec<Round>), Error> {
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
        for side in of_round(number) {
            let measurement = self.measure(side, &place)?;
            match side {
                Side::Without => round.without = measurement,
                Side::With => round.with = measurement,
            }
        }
        Ok(round)
    }

    /// Runs the program once. `place` says where in the session that is.
    fn measure(&mut self, side: Side, place: &str) -> Result<Measurement, Error> {
        self.progress.begin(&format!("{place}, {}", side.phrase()));
        let Some(ended) = self.run_once(side)? else {
            return Err(
                self.not_compared(format!("interrupted ({place}); nothing is left running"))
            );
        };
        if let Some(reason) = objection(side, ended.exit_code, self.exit_code) {
            return Err(self.not_compared(format!("{reason} ({place})")));
        }
        if let Some(reason) = ended.not_on_mimalloc {
            return Err(self.not_compared(format!("it stays on its own heap: {reason}")));
        }
        self.exit_code = Some(ended.exit_code);
        self.progress.advance();
        Ok(ended.measurement)
    }

    /// Runs the program once, with streams of its own; nothing if it was interrupted.
    fn run_once(&self, side: Side) -> Result<Option<Ended>, Error> {
        let input = open(self.args.input.as_deref().unwrap_or(Path::new(NOTHING)), false)?;
        let output = match self.args.show_output {
            true => None,
            false => Some(open(Path::new(NOTHING), true)?),
        };
        let streams = Streams { input: Some(&input), output: output.as_ref() };
        self.trial.run(side, &streams)
    }

    fn not_compared(&self, reason: String) -> Error {
        Error::new(format!("no comparison of {}: {reason}", self.trial.subject.file_name()))
    }
}

fn open(path: &Path, writes: bool) -> Result<File, Error> {
    let file = OpenOptions::new().read(!writes).write(writes).open(path);
    file.map_err(|source| Error::system(format_args!("open {}", path.display()), source))
}
