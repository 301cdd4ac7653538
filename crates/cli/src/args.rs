//! The command line of `allograft` and its manual.

use crate::bench::{BENCH_MANUAL, BenchArgs};
use crate::check::{CHECK_MANUAL, CheckArgs};
use crate::patch::{PATCH_MANUAL, PatchArgs};
use crate::proxy::{PROXY_MANUAL, ProxyArgs};
use allograft_inject::MIMALLOC_VERSION;
use clap::error::ErrorKind;
use clap::{ArgGroup, Args, CommandFactory, Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

/// The version of this program with mimalloc's, as `--version` tells it.
fn version() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        let own = env!("CARGO_PKG_VERSION");
        format!("{own} (mimalloc {MIMALLOC_VERSION})")
    });
    &TEXT
}

/// Puts mimalloc into Windows programs, without rebuilding them.
///
/// allograft loads a module, allograft.dll, into a program. The module redirects the heap functions
/// of the program's C runtime (the Universal CRT, ucrtbase.dll) to mimalloc. Blocks that the old
/// heap already handed out stay valid, and move to mimalloc as the program reallocates them.
#[derive(Debug, Parser)]
#[command(
    name = "allograft",
    version = version(),
    disable_help_subcommand = true,
    max_term_width = 100,
    after_long_help = OVERVIEW
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const OVERVIEW: &str = "\
Examples:
  Run a program on mimalloc:
      allograft run -- z3.exe -smt2 problem.smt2

  Put mimalloc into a program that is running already:
      allograft inject --name game.exe

  Measure what it brings:
      allograft bench -- z3.exe -smt2 problem.smt2

  See whether it worked, and what it did:
      allograft run --report report.json -- java.exe -jar server.jar

Environment, read by the module inside the program:
  ALLOGRAFT_LOG=FILE            log what the module does (as --log)
  ALLOGRAFT_REPORT=FILE         write the report (as --report)
  MIMALLOC_DISABLE_REDIRECT=1   load the module and redirect nothing
  MIMALLOC_VERBOSE=1            say whether the takeover worked, and with which settings
  MIMALLOC_*                    mimalloc's own options

`allograft run --help` and `allograft inject --help` tell more.";

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start a program on mimalloc.
    ///
    /// The module is loaded before the program's own code runs. Standard streams, working
    /// directory, environment and arguments are those of this command; Ctrl+C reaches the program;
    /// the exit code is the program's. A takeover that fails does no harm: the program runs on its
    /// own heap, and one line on standard error says why.
    #[command(after_long_help = RUN_MANUAL)]
    Run(RunArgs),
    /// Put mimalloc into a running program.
    ///
    /// Loads the module into the process, waits for the outcome and prints it. The program is
    /// stopped for a moment during the takeover; if that fails it runs on as before.
    #[command(after_long_help = INJECT_MANUAL)]
    Inject(InjectArgs),
    /// Show what the module does in running programs.
    ///
    /// Says what was taken over and when, what has become of the old heap's blocks since, and how
    /// much memory mimalloc holds.
    #[command(after_long_help = STATUS_MANUAL)]
    Status(StatusArgs),
    /// Make a program load mimalloc by itself.
    ///
    /// Puts the module first in the import table of programs and DLLs, or takes it out again.
    #[command(after_long_help = PATCH_MANUAL)]
    Patch(PatchArgs),
    /// Say whether it will work on a program, and how.
    ///
    /// Looks at the program's files: its machine, its C runtime, anti-cheat software, what forbids
    /// patching or injecting; and names the recommended command.
    #[command(after_long_help = CHECK_MANUAL)]
    Check(CheckArgs),
    /// Write a DLL that a program loads by itself, such as version.dll.
    ///
    /// Nothing of the program is changed: it loads the DLL in the place of the system's, and with
    /// it mimalloc.
    #[command(after_long_help = PROXY_MANUAL)]
    Proxy(ProxyArgs),
    /// Measure a program without and with mimalloc.
    ///
    /// Runs it several times either way, in turn, and says how time and memory differ, and whether
    /// that is more than noise.
    #[command(after_long_help = BENCH_MANUAL)]
    Bench(BenchArgs),
    /// Load the module into a process that was handed down: what the launcher and the module ask of
    /// the launcher of another word size.
    #[command(hide = true)]
    Assist(AssistArgs),
}

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
        allow_hyphen_values = true,
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

    /// An option of ours that there is not, where the program was expected: the arguments behind it
    /// may begin with hyphens, so that the parser takes any word. A program whose name does has
    /// `--` before it. `line` is the whole command line.
    fn mistaken_option(&self, line: &[OsString]) -> Option<&OsString> {
        let (name, _) = self.name_and_arguments();
        let before = line.len().checked_sub(self.words.len() + 1)?;
        let is_option = name.as_encoded_bytes().starts_with(b"-") && line[before] != "--";
        is_option.then_some(name)
    }
}

impl Cli {
    /// Reads a command line, whose first word is this program's own name.
    ///
    /// # Errors
    /// What there is to say of a wrong one; and the manual or the version, if that is asked for.
    pub fn read(words: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
        let words: Vec<OsString> = words.into_iter().collect();
        let cli = Cli::try_parse_from(&words)?;
        match cli.command.program().and_then(|program| program.mistaken_option(&words)) {
            None => Ok(cli),
            Some(option) => {
                let complaint = format!("unexpected argument '{}' found", option.display());
                Err(Cli::command().error(ErrorKind::UnknownArgument, complaint))
            }
        }
    }
}

impl Command {
    /// The program that it starts, if it starts one.
    fn program(&self) -> Option<&ProgramArgs> {
        match self {
            Command::Run(args) => Some(&args.program),
            Command::Bench(args) => Some(&args.program),
            _ => None,
        }
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

const RUN_MANUAL: &str = "\
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

const INJECT_MANUAL: &str = "\
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

const STATUS_MANUAL: &str = "\
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
    use libmimalloc_sys as _;

    unsafe extern "C" {
        safe fn mi_version() -> i32;
    }

    fn run(arguments: &[&str]) -> RunArgs {
        match Cli::try_parse_from(["allograft", "run"].iter().chain(arguments)).unwrap().command {
            Command::Run(args) => args,
            other => panic!("not a run: {other:?}"),
        }
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_version_names_the_mimalloc_that_is_built_in() {
        let number = mi_version();
        let mimalloc = format!("{}.{}.{}", number / 10_000, number / 100 % 100, number % 100);
        assert!(
            version().ends_with(&format!("(mimalloc {mimalloc})")),
            "{} against {mimalloc}",
            version()
        );
    }

    #[test]
    fn everything_behind_the_program_belongs_to_the_program() {
        for arguments in [
            &["--late", "5", "--", "z3", "--log", "--", "-h"][..],
            &["--late", "5", "z3", "--log", "--", "-h"],
        ] {
            let args = run(arguments);
            assert_eq!(args.program.words, ["z3", "--log", "--", "-h"]);
            assert_eq!(args.late, Some(Duration::from_millis(5)));
            assert_eq!(args.module.log, None);
        }
    }

    #[test]
    fn an_option_that_there_is_not_is_no_program() {
        let read = |line: &str| Cli::read(line.split(' ').map(OsString::from));
        for line in ["allograft run --lat 5 z3", "allograft bench --rounds 4 -- z3"] {
            let complaint = read(line).unwrap_err();
            assert_eq!(complaint.kind(), ErrorKind::UnknownArgument, "{line}");
        }
        let cli = read("allograft run -- -odd-name.exe -x").unwrap();
        let (name, arguments) = cli.command.program().unwrap().name_and_arguments();
        assert_eq!((name.to_str(), arguments.len()), (Some("-odd-name.exe"), 1));
    }

    /// As the module's own code has them (`module/src/children/assistant.rs`).
    #[test]
    fn the_words_by_which_a_module_asks_for_assistance_are_understood() {
        let words = "allograft assist --module C:\\m.dll --process 12 --thread 4294967295";
        match Cli::try_parse_from(words.split(' ')).unwrap().command {
            Command::Assist(args) => {
                assert_eq!((args.process, args.thread), (12, Some(u32::MAX)));
                assert_eq!((args.event, args.timeout), (None, None));
                assert_eq!(args.module, PathBuf::from("C:\\m.dll"));
            }
            other => panic!("not an assistance: {other:?}"),
        }
    }

    #[test]
    fn the_manual_does_not_speak_of_assistance_which_nobody_types() {
        assert!(!Cli::command().render_long_help().to_string().contains("assist"));
    }

    #[test]
    fn seconds_may_have_a_fraction_and_must_be_sensible() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for text in ["-1", "NaN", "1e9", "soon"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_manual_has_examples() {
        for command in ["run", "inject", "status"] {
            let manual = Cli::try_parse_from(["allograft", command, "--help"]).unwrap_err();
            let text = manual.render().to_string();
            assert!(text.contains(&format!("allograft {command} --")), "{text}");
            assert!(text.contains("Exit codes"), "{text}");
        }
    }
}
