//! The command line of `allograft verify`.

use super::check::{Check, Effort};
use super::table::CHECKS;
use clap::Args;
use clap::builder::PossibleValuesParser;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Try less: a minute at most
    #[arg(long, conflicts_with = "long")]
    pub quick: bool,
    /// Try more, with more random seeds: a quarter of an hour
    #[arg(long)]
    pub long: bool,
    /// Run this check only; may be given more than once
    #[arg(long, value_name = "NAME", value_parser = names(), hide_possible_values = true)]
    pub only: Vec<String>,
    /// Use this number as the first random seed [default: 1]
    #[arg(long, value_name = "N", default_value = "1", hide_default_value = true)]
    pub seed: u64,
    /// Write what was found to FILE as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write what was found to FILE as a page, for a bug report
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

impl VerifyArgs {
    pub fn effort(&self) -> Effort {
        match (self.quick, self.long) {
            (true, _) => Effort::Quick,
            (_, true) => Effort::Long,
            _ => Effort::Usual,
        }
    }

    /// The checks that were asked for; all by default.
    pub fn checks(&self) -> Vec<&'static Check> {
        let is_chosen =
            |name: &str| self.only.is_empty() || self.only.iter().any(|one| one == name);
        CHECKS.iter().filter(|check| is_chosen(check.name)).collect()
    }
}

fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(CHECKS.iter().map(|check| check.name))
}

pub const VERIFY_MANUAL: &str = "\
Runs programs that come with allograft (the folder verify), without and with
mimalloc, and judges what they do. It touches no other program, and leaves nothing
behind. Ctrl+C ends it at any time.

A check that this machine does not allow, for instance because it needs another
Windows or other rights, is \"not tried\", with the reason; it does not count as
passed.

Examples:
      allograft verify
      allograft verify --quick --only conformance
      allograft verify --long --html report.html --json report.json

Exit codes:
  0    nothing has failed, and something was tried
  1    a check has failed
  125  allograft itself failed, or was interrupted, or nothing could be tried; one
       line on standard error gives the reason";
