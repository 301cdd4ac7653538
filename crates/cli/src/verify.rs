//! `allograft verify`: what our own tests run, on the user's machine, with programs of our own.
//!
//! From the bottom to the top: [`runner`] says what a run is, [`check`] what a check is; `checks`
//! has the checks, [`table`] lists them; [`answer`] shows what they found. All of that is plain
//! calculation, which is tested on any host. `session` starts the programs.

mod answer;
mod args;
mod check;
mod checks;
mod runner;
mod runtimes;
mod table;
#[cfg(test)]
mod tests;

#[cfg(windows)]
mod scratch;
#[cfg(windows)]
mod session;

/// The program that shows whether programs of a machine can be run at all.
const PROBE: &str = "exit_paths.exe";

pub use args::{VERIFY_MANUAL, VerifyArgs};
#[cfg(windows)]
pub use session::run;
