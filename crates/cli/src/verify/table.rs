//! The checks, in the order in which they are run.

use super::check::Check;
use super::checks::early;

/// A name for each, for `--only`.
pub const CHECKS: &[Check] = &[Check {
    name: "early",
    title: "the module comes before the program's own code, after the runtime's start",
    programs: &["early.exe"],
    run: early::run,
}];
