//! Arguments that several commands have, and those of the commands whose code only Windows
//! compiles.

use allograft_inject::HeapScope;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgGroup, Args};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// More rounds would not show more.
const MOST_ROUNDS: i64 = 1000;

/// Which module to load, and its options.
#[derive(Debug, Default, Args)]
pub struct ModuleArgs {
    /// The module to load [default: allograft.dll, or allograft32.dll for 32-bit programs, beside
    /// this program]
    #[arg(long, value_name = "DLL")]
    pub module: Option<PathBuf>,
    /// Write a report to FILE as JSON, at the takeover and again when the program ends
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Append a log of what the module does to FILE
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// Count the blocks of the old heap at the takeover, for the output and the report; takes time
    /// for each block
    #[arg(long)]
    pub count: bool,
    /// Load the module into the programs that the program starts too, and into those that they
    /// start
    #[arg(long)]
    pub follow_children: bool,
    /// Look for mistakes of the program's: blocks that are freed twice or written past their end;
    /// the program is slower then
    #[arg(long, conflicts_with = "module")]
    pub check_frees: bool,
    #[command(flatten)]
    pub heap: HeapArgs,
}

/// What else than the C runtimes' functions leads to mimalloc.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct HeapArgs {
    /// Whose allocations from the process's heap (HeapAlloc) come from mimalloc: nobody's, those of
    /// the program's own file, or those of every module that is not Windows' [default: those of the
    /// program's own file, if it imports the heap API]
    #[arg(long, value_name = "off|program|all", value_parser = heap_scope(), hide_possible_values = true)]
    pub heap: Option<HeapScope>,
    /// Have the C runtimes' _msize answer exactly what was asked for, as HeapSize does
    #[arg(long)]
    pub exact_sizes: bool,
}

/// A program to start, which takes the rest of the command line.
#[derive(Debug, Args)]
pub struct ProgramArgs {
    /// The program and its arguments, which it gets unchanged
    #[arg(
        required = true,
        num_args = 1..,
        trailing_var_arg = true,
        value_names = ["PROGRAM", "ARGS"]
    )]
    words: Vec<OsString>,
}

impl ProgramArgs {
    /// What the user calls the program, and its arguments.
    pub fn name_and_arguments(&self) -> (&OsString, &[OsString]) {
        let (name, arguments) = self.words.split_first().expect("one word is required");
        (name, arguments)
    }
}

#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub module: ModuleArgs,
    /// Start the program without the module and load it MS milliseconds later
    #[arg(long, value_name = "MS", value_parser = milliseconds)]
    pub late: Option<Duration>,
    #[command(flatten)]
    pub program: ProgramArgs,
}

pub const RUN_MANUAL: &str = "\
allograft looks for the program at the path given. It looks for a bare name in
the current folder, then in the folders of PATH. `.exe` may be left off. Batch
files are refused: name the program that they start.

A program with its C runtime linked in, or one that calls Windows' heap functions
itself, as Rust programs do, is served through these. --heap off leaves them alone,
--heap all serves the DLLs that are not Windows' too.

With --follow-children the programs that the program starts get the module too,
except those that another process starts for it (services, elevation). Each
writes a report of its own, with its process id before the extension.

If allograft is ended from outside, the program runs on.

Examples:
      allograft run -- z3.exe -smt2 problem.smt2
      allograft run --report report.json -- java -Xmx1g -jar server.jar
      allograft run --late 2000 -- game.exe -windowed

Exit codes: the program's own (all 32 bits of it), or
  125  allograft failed; one line on standard error gives the reason
  126  the program cannot be executed: not a program for Windows, one for a
       machine without a module, a batch file, or one that needs administrator
       rights
  127  the program was not found";

#[derive(Debug, Args)]
pub struct InjectArgs {
    #[command(flatten)]
    pub target: TargetArgs,
    #[command(flatten)]
    pub module: ModuleArgs,
    /// How long to wait for the module to load
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub timeout: Duration,
}

/// Which process: by its id or by the name of its program.
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
The process must belong to the same session, and to the same user unless you run
allograft as administrator. Do not do this to an online game with anti-cheat
software: it may get the account banned.

Examples:
      allograft inject --name game.exe
      allograft inject --pid 4711 --report C:\\temp\\report.json

Exit codes:
  0    the program is on mimalloc, or was already, which the output states
  125  it is not: it runs on as before, and one line on standard error gives the
       reason";

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
    /// Print it again every second, until the process ends
    #[arg(long)]
    pub watch: bool,
}

pub const STATUS_MANUAL: &str = "\
Blocks that the program got from its old heap before the takeover move to
mimalloc when the program reallocates them. If they were counted at the takeover
(--count of run and inject, or ALLOGRAFT_COUNT=1), a bar shows what is left. The
count includes blocks that belong to Windows, which stay. mimalloc's figures are
updated when the program ends a thread, and after every few hundred old blocks.

Examples:
      allograft status --all
      allograft status --pid 4711 --watch
      allograft status --pid 4711 --json

Exit codes:
  0    the state was printed
  125  the process has no module, or its status page cannot be trusted; one line
       on standard error gives the reason";

#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Run it N times without and N times with the module
    #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u32).range(1..=MOST_ROUNDS))]
    pub runs: u32,
    /// The module to load [default: that of the program's machine, beside this program]
    #[arg(long, value_name = "DLL")]
    pub module: Option<PathBuf>,
    #[command(flatten)]
    pub heap: HeapArgs,
    /// Give the program FILE as its standard input, from the beginning in every run [default:
    /// nothing]
    #[arg(long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// Show the program's output
    #[arg(long)]
    pub show_output: bool,
    /// Print a line on standard error before each run, for a program that shows it
    #[arg(long, conflicts_with = "show_output")]
    pub progress: bool,
    /// Write all measurements and findings to FILE as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write a page with charts to FILE
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    #[command(flatten)]
    pub program: ProgramArgs,
}

pub const BENCH_MANUAL: &str = "\
The program must end without user input, and do the same work in every run.
Each round runs it once without and once with the module; the order alternates.
One run of each comes first and does not count.

Measured are, without the programs that it starts: the time from its first
instruction to its end, including the loading of the module; CPU time; the peak
of committed memory and of the working set. A system that forgets the memory of
a program that has ended, as Wine does, is asked every 10 milliseconds while
the program runs. If the system does not report the CPU time, it is left out.

The table shows medians, with half the distance between the quartiles as their
spread. \"8% faster\" is 8% less wall time. A difference counts if it is 95%
sure: it is estimated from the ratios of the two runs of each round (by the
Hodges-Lehmann estimator, with the interval of Wilcoxon's signed-rank test).
Fewer than 6 rounds cannot show any.

Processes that the program leaves running are ended with it.

Examples:
      allograft bench -- z3.exe -smt2 problem.smt2
      allograft bench --runs 30 --html z3.html -- z3.exe -smt2 problem.smt2
      allograft bench --input big.cpp --json times.json -- clang-format.exe

Exit codes:
  0    both were measured, whatever the verdict
  125  they cannot be compared: the program stays on its own heap in spite of
       the module, ends with different exit codes, crashes, or was interrupted;
       one line on standard error names the reason
  126  the program cannot be executed
  127  the program was not found";

#[derive(Debug, Args)]
pub struct AssistArgs {
    /// The process, as an inherited handle
    #[arg(long, value_name = "HANDLE")]
    pub process: u32,
    /// Its first thread, which is suspended and loads the module before the program's own code
    #[arg(long, value_name = "HANDLE")]
    pub thread: Option<u32>,
    /// An event to be set after that, as a handle of the process
    #[arg(long, value_name = "HANDLE", requires = "thread")]
    pub event: Option<u32>,
    /// How long to wait for the module to load if no thread is given
    #[arg(long, value_name = "SECONDS", value_parser = seconds, conflicts_with = "thread")]
    pub timeout: Option<Duration>,
    /// The module to load
    #[arg(long, value_name = "DLL")]
    pub module: PathBuf,
}

fn heap_scope() -> impl TypedValueParser<Value = HeapScope> {
    PossibleValuesParser::new(HeapScope::NAMED.map(|(name, _)| name)).map(|word| {
        let named = HeapScope::NAMED.into_iter().find(|(name, _)| *name == word);
        named.expect("no other word gets here").1
    })
}

fn milliseconds(text: &str) -> Result<Duration, String> {
    let number: u32 = text.parse().map_err(|_| {
        format!("a whole number of milliseconds from 0 to {} is expected", u32::MAX)
    })?;
    Ok(Duration::from_millis(number.into()))
}

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .filter(|number| (0.0..=86_400.0).contains(number))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "a number of seconds from 0 to 86400 is expected".to_owned())
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
