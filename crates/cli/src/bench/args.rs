//! The command line of `allograft bench` and its manual.

use crate::args::ProgramArgs;
use clap::Args;
use std::path::PathBuf;

/// More rounds would not show more.
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
    /// Show the program's output
    #[arg(long)]
    pub show_output: bool,
    /// Write all measurements and findings to FILE as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write a page with charts to FILE
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    #[command(flatten)]
    pub program: ProgramArgs,
}

/// What `allograft bench --help` prints after the options.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser;

    fn parsed(arguments: &[&str]) -> Result<BenchArgs, clap::Error> {
        match Cli::try_parse_from(["allograft", "bench"].iter().chain(arguments))?.command {
            Command::Bench(args) => Ok(args),
            other => panic!("not a bench: {other:?}"),
        }
    }

    #[test]
    fn what_follows_the_program_belongs_to_the_program() {
        let args = parsed(&["--runs", "3", "--", "z3", "--json", "a"]).unwrap();
        let (name, arguments) = args.program.name_and_arguments();
        assert_eq!((name.to_str(), arguments), (Some("z3"), &["--json".into(), "a".into()][..]));
        assert_eq!((args.runs, args.json, args.show_output), (3, None, false));
    }

    #[test]
    fn the_default_is_ten_runs_and_other_sensible_numbers_are_accepted() {
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
