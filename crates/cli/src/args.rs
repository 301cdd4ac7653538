//! Arguments that several commands have, and those of `run`, `inject`, `status` and `assist`, whose
//! code only Windows compiles.

use clap::{ArgGroup, Args};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Which module to load, and what to tell it: the same for every way of loading it.
#[derive(Debug, Default, Args)]
pub struct ModuleArgs {
    /// The module to load [default: allograft.dll, or allograft32.dll for 32-bit programs, beside
    /// this program]
    #[arg(long, value_name = "DLL")]
    pub module: Option<PathBuf>,
    /// Write what was taken over, and what came of it, to FILE as JSON: at the takeover, and again
    /// when the program ends
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Append what the module does to FILE
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// Count the blocks of the old heap at the takeover: it is said, and in the report; takes time
    /// for each block
    #[arg(long)]
    pub count: bool,
    /// Give the module to the programs that the program starts, and to those that they start
    #[arg(long)]
    pub follow_children: bool,
}

/// A program to start: the end of a command line.
#[derive(Debug, Args)]
pub struct ProgramArgs {
    /// The program, and its arguments as they are
    #[arg(
        required = true,
        num_args = 1..,
        trailing_var_arg = true,
        value_names = ["PROGRAM", "ARGS"]
    )]
    words: Vec<OsString>,
}

impl ProgramArgs {
    /// The program's name and its arguments.
    pub fn name_and_arguments(&self) -> (&OsString, &[OsString]) {
        let (name, arguments) = self.words.split_first().expect("one word is required");
        (name, arguments)
    }
}

/// Arguments of `allograft run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The module and its options.
    #[command(flatten)]
    pub module: ModuleArgs,
    /// Start the program without the module and load it MS milliseconds later
    #[arg(long, value_name = "MS", value_parser = milliseconds)]
    pub late: Option<Duration>,
    /// The program to start.
    #[command(flatten)]
    pub program: ProgramArgs,
}

pub const RUN_MANUAL: &str = "\
The program is looked for as given; a bare name in the current folder, then in
the folders of PATH. `.exe` may be left off. Batch files are refused: name the
program that they start.

Programs started by the program get the module with --follow-children, except
those that another process starts for it (services, elevation); each writes a
report of its own, with its process id before the extension. Ending allograft from outside does not end the program.

Examples:
      allograft run -- z3.exe -smt2 problem.smt2
      allograft run --report report.json -- java -Xmx1g -jar server.jar
      allograft run --late 2000 -- game.exe -windowed

Exit codes: the program's own (all 32 bits of it), or
  125  allograft failed; one line on standard error says at what
  126  the program cannot be executed: not a program for Windows, one for a
       machine that there is no module for, a batch file, administrator rights
       needed
  127  the program was not found";

/// Arguments of `allograft inject`.
#[derive(Debug, Args)]
pub struct InjectArgs {
    /// Which process.
    #[command(flatten)]
    pub target: TargetArgs,
    /// The module and its options.
    #[command(flatten)]
    pub module: ModuleArgs,
    /// Wait so long for the module to be loaded
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub timeout: Duration,
}

/// The two ways to say which process.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct TargetArgs {
    /// The process with this id
    #[arg(long, value_name = "N")]
    pub pid: Option<u32>,
    /// The process that runs a file of this name (`.exe` may be left off)
    #[arg(long, value_name = "EXE")]
    pub name: Option<String>,
}

pub const INJECT_MANUAL: &str = "\
The process must be of the same session, and of the same user unless allograft
is run as administrator. Do not do this to an online game with
anti-cheat software: it may get the account banned.

Examples:
      allograft inject --name game.exe
      allograft inject --pid 4711 --report C:\\temp\\report.json

Exit codes:
  0    taken over; or it was already, which is said
  125  it was not; one line on standard error says why, and the program runs on
       as before";

/// Arguments of `allograft status`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("which").required(true).args(["pid", "all"])))]
pub struct StatusArgs {
    /// The process with this id
    #[arg(long, value_name = "N")]
    pub pid: Option<u32>,
    /// Every process of this session that has the module
    #[arg(long)]
    pub all: bool,
    /// Print JSON: an object for one process, an array for all
    #[arg(long)]
    pub json: bool,
    /// Show it again every second, until the process ends
    #[arg(long)]
    pub watch: bool,
}

pub const STATUS_MANUAL: &str = "\
Blocks that the program got from its old heap before the takeover move to
mimalloc when it reallocates them. How many there were is known if they were
counted at the takeover (--count of run and inject, or ALLOGRAFT_COUNT=1); a bar
shows what is left. All blocks of that heap are counted, some of which belong to
Windows and stay. mimalloc's figures are as of the last time that the program
ended a thread or went through some hundred old blocks.

Examples:
      allograft status --all
      allograft status --pid 4711 --watch
      allograft status --pid 4711 --json

Exit codes:
  0    the state was printed
  125  there is no module in the process, or its word cannot be trusted; one line
       on standard error says which";

/// Arguments of `allograft assist`.
#[derive(Debug, Args)]
pub struct AssistArgs {
    /// The process, as a handle that was handed down
    #[arg(long, value_name = "HANDLE")]
    pub process: u32,
    /// Its first thread, which has not begun and is to load the module before it does
    #[arg(long, value_name = "HANDLE")]
    pub thread: Option<u32>,
    /// An event to be set after that; the handle is one of the process's
    #[arg(long, value_name = "HANDLE", requires = "thread")]
    pub event: Option<u32>,
    /// Without a thread: wait so long for the module to be loaded
    #[arg(long, value_name = "SECONDS", value_parser = seconds, conflicts_with = "thread")]
    pub timeout: Option<Duration>,
    /// The module to load
    #[arg(long, value_name = "DLL")]
    pub module: PathBuf,
}

fn milliseconds(text: &str) -> Result<Duration, String> {
    let number: u32 = text
        .parse()
        .map_err(|_| format!("a whole number of milliseconds from 0 to {} is wanted", u32::MAX))?;
    Ok(Duration::from_millis(number.into()))
}

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .filter(|number| (0.0..=86_400.0).contains(number))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "a number of seconds from 0 to 86400 is wanted".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_may_have_a_fraction_and_must_be_sensible() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for text in ["-1", "NaN", "1e9", "soon"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
