//! The command line of `allograft` as a whole, and its manual. Each command declares its own
//! arguments.

use crate::args::{
    AssistArgs, BENCH_MANUAL, BenchArgs, INJECT_MANUAL, InjectArgs, RUN_MANUAL, RunArgs,
    STATUS_MANUAL, StatusArgs,
};
use crate::check::{CHECK_MANUAL, CheckArgs};
use crate::completions::{COMPLETIONS_MANUAL, CompletionsArgs};
use crate::patch::{PATCH_MANUAL, PatchArgs};
use crate::proxy::{PROXY_MANUAL, ProxyArgs};
use crate::verify::{VERIFY_MANUAL, VerifyArgs};
use allograft_image::Machine;
use allograft_inject::MIMALLOC_VERSION;
use clap::{Parser, Subcommand};
use std::sync::LazyLock;

/// What `--version` prints behind the name: what this program is built from, and for which
/// processors.
fn version() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        let (version, commit) = (env!("CARGO_PKG_VERSION"), env!("ALLOGRAFT_COMMIT"));
        format!("{version} (commit {commit}, mimalloc {MIMALLOC_VERSION}, {})", Machine::OWN)
    });
    &TEXT
}

/// Puts mimalloc into Windows programs, without rebuilding them.
///
/// allograft loads a module, allograft.dll, into a program. The module redirects the heap functions
/// of the program's C runtime (the Universal CRT, ucrtbase.dll) to mimalloc. Blocks that the
/// program got from the old heap stay valid, and move to mimalloc when the program reallocates
/// them.
#[derive(Debug, Parser)]
#[command(
    name = "allograft",
    version = version(),
    disable_help_subcommand = true,
    max_term_width = 100,
    after_long_help = OVERVIEW
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

const OVERVIEW: &str = "\
Examples:
  Run a program on mimalloc:
      allograft run -- z3.exe -smt2 problem.smt2

  Put mimalloc into a running program:
      allograft inject --name game.exe

  Measure the difference:
      allograft bench -- z3.exe -smt2 problem.smt2

  Get a report of what was taken over:
      allograft run --report report.json -- java.exe -jar server.jar

Environment, read by the module inside the program:
  ALLOGRAFT_LOG=FILE            log what the module does (as --log)
  ALLOGRAFT_REPORT=FILE         write the report (as --report)
  MIMALLOC_DISABLE_REDIRECT=1   load the module and redirect nothing
  MIMALLOC_VERBOSE=1            print whether the takeover worked, and the settings
  MIMALLOC_*                    mimalloc's own options

`allograft COMMAND --help` is the manual of a command.";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start a program on mimalloc.
    ///
    /// Loads the module before the program's own code runs. The program gets the standard streams,
    /// the working directory and the environment of this command, and Ctrl+C; the exit code is the
    /// program's. A takeover that fails does no harm: the program runs on its own heap, and one
    /// line on standard error gives the reason.
    #[command(after_long_help = RUN_MANUAL)]
    Run(RunArgs),
    /// Put mimalloc into a running program.
    ///
    /// Loads the module into the process, waits for the outcome and prints it. The takeover
    /// suspends the program for a moment. If it fails the program runs on as before.
    #[command(after_long_help = INJECT_MANUAL)]
    Inject(InjectArgs),
    /// Show what the module does in running programs.
    ///
    /// Prints what was taken over and when, what has become of the old heap's blocks since, and how
    /// much memory mimalloc has committed.
    #[command(after_long_help = STATUS_MANUAL)]
    Status(StatusArgs),
    /// Make a program load mimalloc by itself.
    ///
    /// Puts the module first in the import table of programs and DLLs, or takes it out again.
    #[command(after_long_help = PATCH_MANUAL)]
    Patch(PatchArgs),
    /// Check whether mimalloc will work in a program.
    ///
    /// Reads the program's files: its machine, its C runtime, anti-cheat software, and settings
    /// that forbid patching or injecting. Recommends a command.
    #[command(after_long_help = CHECK_MANUAL)]
    Check(CheckArgs),
    /// Write a DLL that a program loads by itself, such as version.dll.
    ///
    /// Changes nothing in the program: it loads the DLL instead of the system's, and mimalloc with
    /// it.
    #[command(after_long_help = PROXY_MANUAL)]
    Proxy(ProxyArgs),
    /// Measure a program without and with mimalloc.
    ///
    /// Runs it several times each way, alternately, and reports how time and memory differ, and
    /// whether the differences are larger than the noise.
    #[command(after_long_help = BENCH_MANUAL)]
    Bench(BenchArgs),
    /// Prove that allograft works on this machine.
    ///
    /// Runs programs of its own, without and with mimalloc, and compares what they do. Ends with a
    /// table, and one line that says whether allograft works here.
    #[command(after_long_help = VERIFY_MANUAL)]
    Verify(VerifyArgs),
    /// Print a script that completes the commands and options of allograft in a shell.
    #[command(after_long_help = COMPLETIONS_MANUAL)]
    Completions(CompletionsArgs),
    /// Load the module into a process given by its handle. The launcher and the module run this
    /// command of the launcher of the other bitness.
    #[command(hide = true)]
    Assist(AssistArgs),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use clap::error::ErrorKind;
    use libmimalloc_sys as _;
    use std::ffi::OsStr;
    use std::path::Path;
    use std::time::Duration;

    unsafe extern "C" {
        safe fn mi_version() -> i32;
    }

    fn parse(line: &str) -> Result<Command, clap::Error> {
        Cli::try_parse_from(line.split(' ')).map(|cli| cli.command)
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
            version().contains(&format!(", mimalloc {mimalloc}, ")),
            "{} against {mimalloc}",
            version()
        );
    }

    #[test]
    fn everything_behind_the_program_belongs_to_the_program() {
        for line in
            ["allograft run --late 5 -- z3 --log -- -h", "allograft run --late 5 z3 --log -- -h"]
        {
            let Command::Run(args) = parse(line).unwrap() else { panic!("not a run") };
            let (name, arguments) = args.program.name_and_arguments();
            assert_eq!(name, "z3");
            assert_eq!(arguments, ["--log", "--", "-h"]);
            assert_eq!(args.late, Some(Duration::from_millis(5)));
            assert_eq!(args.module.log, None);
        }
        let args = bench("allograft bench --runs 3 -- z3 --json a").unwrap();
        let (name, arguments) = args.program.name_and_arguments();
        assert_eq!(name, "z3");
        assert_eq!(arguments, ["--json", "a"]);
        assert_eq!((args.runs, args.json, args.show_output), (3, None, false));
    }

    fn bench(line: &str) -> Result<BenchArgs, clap::Error> {
        let Command::Bench(args) = parse(line)? else { panic!("not a bench") };
        Ok(args)
    }

    #[test]
    fn a_bench_has_ten_runs_or_another_sensible_number() {
        assert_eq!(bench("allograft bench z3").unwrap().runs, 10);
        for runs in ["0", "-1", "1001", "many"] {
            assert!(bench(&format!("allograft bench --runs {runs} z3")).is_err(), "{runs}");
        }
        assert!(bench("allograft bench").is_err());
    }

    #[test]
    fn an_unknown_option_is_not_taken_for_a_program() {
        for line in ["allograft run --lat 5 z3", "allograft bench --rounds 4 -- z3"] {
            assert_eq!(parse(line).unwrap_err().kind(), ErrorKind::UnknownArgument, "{line}");
        }
        let Command::Run(args) = parse("allograft run -- -odd-name.exe -x").unwrap() else {
            panic!("not a run")
        };
        let (name, arguments) = args.program.name_and_arguments();
        assert_eq!((name.as_os_str(), arguments.len()), (OsStr::new("-odd-name.exe"), 1));
    }

    /// The module writes this command line (`inject/src/assistant.rs`).
    #[test]
    fn the_command_line_by_which_a_module_asks_for_assistance_is_understood() {
        let line = "allograft assist --module C:\\m.dll --process 12 --thread 4294967295";
        let Command::Assist(args) = parse(line).unwrap() else { panic!("not an assistance") };
        assert_eq!((args.process, args.thread), (12, Some(u32::MAX)));
        assert_eq!((args.event, args.timeout), (None, None));
        assert_eq!(args.module, Path::new("C:\\m.dll"));
    }

    #[test]
    fn the_manual_hides_the_assist_command() {
        assert!(!Cli::command().render_long_help().to_string().contains("assist"));
    }

    #[test]
    fn the_manual_has_examples_and_exit_codes() {
        for command in ["run", "inject", "status", "bench", "verify"] {
            let manual = parse(&format!("allograft {command} --help")).unwrap_err();
            let text = manual.render().to_string();
            assert!(text.contains(&format!("allograft {command} --")), "{text}");
            assert!(text.contains("Exit codes"), "{text}");
        }
        let least = allograft_measure::comparison::MINIMUM_ROUNDS;
        assert!(BENCH_MANUAL.contains(&format!("Fewer than {least} rounds")));
    }
}
