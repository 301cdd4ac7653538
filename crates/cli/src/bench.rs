//! `allograft bench`: a user's own program, measured without and with mimalloc.

mod args;

// What only the runs need is compiled on other hosts for its tests alone.
#[cfg(any(windows, test))]
mod document;
#[cfg(any(windows, test))]
mod exit_code;
#[cfg(any(windows, test))]
mod findings;
#[cfg(any(windows, test))]
mod measure;
#[cfg(any(windows, test))]
mod order;
#[cfg(any(windows, test))]
mod page;
#[cfg(any(windows, test))]
mod subject;
#[cfg(any(windows, test))]
mod text;
#[cfg(any(windows, test))]
mod verdict;

#[cfg(windows)]
mod command;
#[cfg(windows)]
mod progress;
#[cfg(windows)]
mod session;
#[cfg(windows)]
mod trial;

pub use args::{BENCH_MANUAL, BenchArgs};

#[cfg(windows)]
pub use command::run;
