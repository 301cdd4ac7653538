//! A failure of allograft itself, as opposed to one of the program that it runs: one line for a
//! person and one exit code for a calling program. Everything else in this crate may use it.

use std::ffi::OsStr;
use std::fmt::Display;
use std::io;
use std::path::Path;

/// Why a command failed: what happened, to what, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{line}")]
pub struct Error {
    exit_code: u8,
    line: String,
}

impl Error {
    /// A failure that `line` describes. Exits with 125.
    pub fn new(line: impl Into<String>) -> Error {
        Error { exit_code: 125, line: line.into() }
    }

    /// A system call failed while doing `action` (an infinitive).
    pub fn system(action: impl Display, source: io::Error) -> Error {
        Error::new(format!("cannot {action}: {source}"))
    }

    /// A file cannot be used, or would be damaged.
    pub fn file(path: &Path, reason: impl Display) -> Error {
        Error::new(format!("{}: {reason}", path.display()))
    }

    /// The process exists, and this user may not do to it what the command needs.
    pub fn access_denied(process: impl Display) -> Error {
        Error::new(format!(
            "access to {process} denied: run allograft as the same user or as administrator; \
             processes protected by Windows or by anti-cheat software refuse even that"
        ))
    }

    /// The module cannot be loaded into the process, whatever the user's rights.
    pub fn cannot_take_over(process: impl Display, reason: impl Display) -> Error {
        Error::new(format!("{process} cannot be taken over: {reason}"))
    }

    /// There is no program of this name. Exits with 127, as shells do.
    pub fn program_not_found(name: &OsStr) -> Error {
        let name = name.display();
        let line = format!("{name}: not found, neither as given nor in the folders of PATH");
        Error { exit_code: 127, line }
    }

    /// The file exists and cannot be started with the module. Exits with 126, as shells do.
    pub fn not_executable(path: &Path, reason: impl Display) -> Error {
        let line = format!("{} cannot be executed: {reason}", path.display());
        Error { exit_code: 126, line }
    }

    /// The exit code: 127 and 126 concern the program to be run, 125 is everything else.
    pub fn exit_code(&self) -> u8 {
        self.exit_code
    }
}

impl From<allograft_image::Error> for Error {
    fn from(error: allograft_image::Error) -> Error {
        Error::new(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_found_exits_with_127() {
        let error = Error::program_not_found(OsStr::new("z3"));
        assert_eq!(error.exit_code(), 127);
        assert_eq!(error.to_string(), "z3: not found, neither as given nor in the folders of PATH");
    }

    #[test]
    fn a_file_that_cannot_be_executed_exits_with_126() {
        let error = Error::not_executable(Path::new("a.txt"), "it is not a program for Windows");
        assert_eq!(error.exit_code(), 126);
        assert_eq!(error.to_string(), "a.txt cannot be executed: it is not a program for Windows");
    }

    #[test]
    fn every_other_failure_exits_with_125() {
        for error in [
            Error::new("what?"),
            Error::file(Path::new("a.dll"), "it is not a DLL"),
            Error::access_denied("process 4"),
            Error::cannot_take_over("process 4", "it has ended"),
        ] {
            assert_eq!(error.exit_code(), 125, "{error}");
        }
    }

    #[test]
    fn a_failed_system_call_is_reported_with_its_purpose_and_reason() {
        let error = Error::system("list the processes", io::Error::other("no more files"));
        assert_eq!(error.to_string(), "cannot list the processes: no more files");
    }
}
