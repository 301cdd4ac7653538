//! What the window asks of the system. Windows' answers are in `desktop`, those of tests in
//! `screens`.

use super::command::CommandLine;
use crate::page_reading::PageReading;
use std::path::{Path, PathBuf};

/// What the window asks of the system.
pub trait Host {
    /// Starts `allograft` with these arguments and keeps what it prints; with `console`, in a
    /// console window of its own, which stays. The error is one line for a person.
    fn start(&mut self, command: &CommandLine, folder: &Path, console: bool) -> Result<(), String>;
    /// How the command that was started stands.
    fn job(&mut self) -> JobState;
    /// Ends that command.
    fn stop(&mut self);
    /// The window closes. A program that runs goes on, everything else ends.
    fn close(&mut self);
    /// The programs of this user that have the module or could have it.
    fn programs(&mut self) -> Programs;
    /// The status page of a process; none if it has ended. The error is one line for a person.
    fn reading(&mut self, pid: u32) -> Result<Option<PageReading>, String>;
    /// The process that runs the file at `path` with the module and did not run before the command
    /// was started.
    fn started(&mut self, path: &Path) -> Option<u32>;
    /// Lets the user choose a program on the disk.
    fn choose_program(&mut self) -> Option<PathBuf>;
    /// Opens a file in the program that belongs to it.
    fn open(&mut self, path: &Path) -> Result<(), String>;
    /// Opens the window for `path` with an administrator's rights; false if the user declines.
    fn elevate(&mut self, path: &Path) -> bool;
    /// Where the page of a measurement of the program `name` goes.
    fn page_for(&self, name: &str) -> PathBuf;
}

#[derive(Clone, Debug, PartialEq)]
pub struct JobState {
    /// None while it runs.
    pub exit_code: Option<u32>,
    /// Standard output so far.
    pub output: String,
    /// Standard error so far.
    pub errors: String,
}

/// The programs that run now.
#[derive(Debug, Default)]
pub struct Programs {
    pub found: Vec<RunningProcess>,
    /// How many are out of this user's reach.
    pub hidden: usize,
}

#[derive(Debug)]
pub struct RunningProcess {
    pub pid: u32,
    pub name: String,
    pub path: PathBuf,
    /// None if the module is not in it.
    pub reading: Option<PageReading>,
}
