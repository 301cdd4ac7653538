//! The command line of `allograft bench` and its manual.

use crate::args::ProgramArgs;
use clap::Args;
use std::path::PathBuf;

/// More rounds would show nothing that these do not.
const MOST_ROUNDS: i64 = 1000;

/// Arguments of `allograft bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Run it N times without and N times with the module
    #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u32).range(1..=MOST_ROUNDS))]
    pub runs: u32,
    /// The module to load [default: that of the program's machine, beside this program]
    #[arg(long, value_name = "DLL")]
    pub module: Option<PathBuf>,
    /// Give the program FILE as its standard input, from the beginning in every run [default:
    /// nothing]
    #[arg(long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// Let the program's output be seen
    #[arg(long)]
    pub show_output: bool,
    /// Write every measurement and what comes of them to FILE
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write a page with charts to FILE
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// The program to start.
    #[command(flatten)]
    pub program: ProgramArgs,
}

/// What `allograft bench --help` says behind the options.
pub const BENCH_MANUAL: &str = "\
The program must end by itself, do the same work in every run, and need nobody
at its keyboard. Each round runs it once without and once with the module, the
next round the other way about; one run of each goes before and does not count.

Measured, of the program alone and not of those that it starts: the time from
its first instruction to its end, the loading of the module included; CPU time;
the most memory that it had committed, and the most that was in use at a time
(its working set). Where the system forgets the memory of a program that has
ended, as Wine does, it is looked at every few milliseconds while the program
runs; where it does not tell the CPU time, that is left out.

The table has medians, with half the distance between the quartiles as their
spread. \"8% faster\" is 8% less wall time. A difference counts if it is 95%
sure: it is estimated from the ratios of the two runs of each round (by the
Hodges-Lehmann estimator, with the interval of Wilcoxon's signed-rank test).
Fewer than 6 rounds cannot show any.

Whatever the program leaves running is ended with it.

Examples:
      allograft bench -- z3.exe -smt2 problem.smt2
      allograft bench --runs 30 --html z3.html -- z3.exe -smt2 problem.smt2
      allograft bench --input big.cpp --json times.json -- clang-format.exe

Exit codes:
  0    both were measured, whatever the verdict
  125  they cannot be compared: the program is not on mimalloc with the module
       either, ends with different exit codes, crashes, or was interrupted; one
       line on standard error says which
  126  the program cannot be executed
  127  the program was not found";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::Parser;

    fn parsed(arguments: &[&str]) -> Result<BenchArgs, clap::Error> {
        match Cli::try_parse_from(["allograft", "bench"].iter().chain(arguments))?.command {
            Command::Bench(args) => Ok(args),
            other => panic!("not a bench: {other:?}"),
        }
    }

    #[test]
    fn everything_behind_the_program_belongs_to_the_program() {
        let args = parsed(&["--runs", "3", "--", "z3", "--json", "a"]).unwrap();
        let (name, arguments) = args.program.name_and_arguments();
        assert_eq!((name.to_str(), arguments), (Some("z3"), &["--json".into(), "a".into()][..]));
        assert_eq!((args.runs, args.json, args.show_output), (3, None, false));
    }

    #[test]
    fn ten_runs_are_made_unless_another_sensible_number_is_asked_for() {
        assert_eq!(parsed(&["z3"]).unwrap().runs, 10);
        for runs in ["0", "-1", "1001", "many"] {
            assert!(parsed(&["--runs", runs, "z3"]).is_err(), "{runs}");
        }
        assert!(parsed(&[]).is_err());
    }

    #[test]
    fn the_manual_has_examples_and_names_the_least_number_of_rounds() {
        let manual = parsed(&["--help"]).unwrap_err().render().to_string();
        let least = allograft_measure::comparison::MINIMUM_ROUNDS;
        let words = format!("Fewer than {least} rounds");
        for words in ["allograft bench --", "Exit codes", &words] {
            assert!(manual.contains(words), "{words:?} is not in {manual}");
        }
    }
}
