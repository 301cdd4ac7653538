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
    /// 127 and 126 concern the program to be run, 125 is everything else.
    pub exit_code: u8,
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
    fn every_failure_is_one_line_and_one_of_three_exit_codes() {
        let path = Path::new("a.txt");
        for (error, exit_code, line) in [
            (
                Error::program_not_found(OsStr::new("z3")),
                127,
                "z3: not found, neither as given nor in the folders of PATH",
            ),
            (
                Error::not_executable(path, "it is not a program for Windows"),
                126,
                "a.txt cannot be executed: it is not a program for Windows",
            ),
            (Error::new("what?"), 125, "what?"),
            (Error::file(path, "it is not a DLL"), 125, "a.txt: it is not a DLL"),
            (
                Error::cannot_take_over("process 4", "it has ended"),
                125,
                "process 4 cannot be taken over: it has ended",
            ),
            (
                Error::system("list the processes", io::Error::other("no more files")),
                125,
                "cannot list the processes: no more files",
            ),
        ] {
            assert_eq!((error.to_string().as_str(), error.exit_code), (line, exit_code));
        }
        assert_eq!(Error::access_denied("process 4").exit_code, 125);
    }
}
