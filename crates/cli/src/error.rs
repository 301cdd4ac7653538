//! Everything that can go wrong in `allograft` itself, each as one line and one exit code.

use std::io;
use std::path::PathBuf;

/// A failure of allograft's own, in contrast to one of the program that it runs.
#[derive(Debug, thiserror::Error)]
#[cfg_attr(not(windows), allow(dead_code, reason = "most failures take a Windows process"))]
pub enum Error {
    /// The command line makes no sense.
    #[error("{0}")]
    Usage(String),
    /// The command works on Windows processes, and this host has none.
    #[cfg(not(windows))]
    #[error("`allograft {command}` works on Windows processes: use it on Windows or under Wine")]
    NeedsWindows {
        /// The subcommand.
        command: &'static str,
    },
    /// There is no module where it was looked for.
    #[error("no module at {}: put it there, or name another with --module", path.display())]
    ModuleMissing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The file named as the module cannot be loaded into the process.
    #[error("{} cannot be loaded: {reason}", path.display())]
    ModuleUnfit {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The launcher for programs of another word size is not there.
    #[error("no {assistant} beside this program: it is what loads the module into 32-bit programs")]
    AssistantMissing {
        /// Its file name.
        assistant: &'static str,
    },
    /// The launcher for programs of another word size failed.
    #[error("{assistant}: {reason}")]
    Assistant {
        /// Its file name.
        assistant: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A path is too long for the module's options.
    #[error("{what}: {} is longer than Windows allows", path.display())]
    PathTooLong {
        /// What the path is for.
        what: &'static str,
        /// The path.
        path: PathBuf,
    },
    /// No program of this name was found.
    #[error("{name}: not found, neither as given nor in the folders of PATH")]
    ProgramNotFound {
        /// The name as the user wrote it.
        name: String,
    },
    /// There is such a file, and it cannot be started with the module.
    #[error("{} cannot be executed: {reason}", path.display())]
    ProgramUnfit {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// No process has this id.
    #[error("no process has the id {pid}")]
    NoSuchPid {
        /// The id.
        pid: u32,
    },
    /// No process runs a file of this name.
    #[error("no process runs {name}")]
    NoSuchName {
        /// The file name.
        name: String,
    },
    /// More than one process runs a file of this name.
    #[error("{} processes run {name}: choose one with --pid ({})", pids.len(), listed(pids))]
    Ambiguous {
        /// The file name.
        name: String,
        /// The processes, in the order of their ids.
        pids: Vec<u32>,
    },
    /// The process exists, and this user may not do to it what is needed.
    #[error(
        "access to {process} denied: run allograft as the same user or as administrator; \
         processes protected by Windows or by anti-cheat software refuse even that"
    )]
    AccessDenied {
        /// The process, as text for a person.
        process: String,
    },
    /// The process cannot have the module, by its nature or by its state.
    #[error("{process} cannot be taken over: {reason}")]
    ProcessUnfit {
        /// The process, as text for a person.
        process: String,
        /// Why not.
        reason: String,
    },
    /// What the module does in the process cannot be told.
    #[error("no status of {process}: {reason}")]
    NoStatus {
        /// The process, as text for a person.
        process: String,
        /// Why not.
        reason: String,
    },
    /// The attempt was made, and the program runs on its own heap.
    #[error("{process} was not taken over and keeps running untouched: {reason}")]
    NotTakenOver {
        /// The process, as text for a person.
        process: String,
        /// Why not.
        reason: String,
    },
    /// A program's runs without and with the module cannot be compared.
    #[error("no comparison of {program}: {reason}")]
    NotCompared {
        /// The program's file name.
        program: String,
        /// Why not.
        reason: String,
    },
    /// The outcome did not come in time.
    #[error(
        "{process}: no outcome after {seconds} s; one of its threads may be holding the loader lock, \
         and the takeover may still happen when it lets go (a longer --timeout waits for it)"
    )]
    TimedOut {
        /// The process, as text for a person.
        process: String,
        /// How long it was waited.
        seconds: f64,
    },
    /// A file cannot be used, or would have been harmed.
    #[error("{}: {reason}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A call to the system failed.
    #[error("cannot {action}: {source}")]
    System {
        /// What was being done, as an infinitive.
        action: String,
        /// What the system says.
        source: io::Error,
    },
}

impl Error {
    /// The exit code that tells a calling program what kind of failure this is.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::ProgramNotFound { .. } => 127,
            Error::ProgramUnfit { .. } => 126,
            _ => 125,
        }
    }
}

fn listed(pids: &[u32]) -> String {
    let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
    pids.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_found_exits_with_127() {
        let error = Error::ProgramNotFound { name: "z3".into() };
        assert_eq!(error.exit_code(), 127);
        assert_eq!(error.to_string(), "z3: not found, neither as given nor in the folders of PATH");
    }

    #[test]
    fn what_cannot_be_executed_exits_with_126() {
        let error = Error::ProgramUnfit {
            path: "a.txt".into(),
            reason: "it is not a program for Windows".into(),
        };
        assert_eq!(error.exit_code(), 126);
        assert_eq!(error.to_string(), "a.txt cannot be executed: it is not a program for Windows");
    }

    #[test]
    fn every_other_failure_exits_with_125() {
        for error in [
            Error::Usage("what?".into()),
            Error::NoSuchPid { pid: 1 },
            Error::AccessDenied { process: "process 4".into() },
        ] {
            assert_eq!(error.exit_code(), 125, "{error}");
        }
    }

    #[test]
    fn several_processes_of_one_name_are_listed() {
        let error = Error::Ambiguous { name: "game.exe".into(), pids: vec![12, 345] };
        assert_eq!(error.to_string(), "2 processes run game.exe: choose one with --pid (12, 345)");
    }

    #[test]
    fn a_failed_system_call_says_what_for_and_why() {
        let error = Error::System {
            action: "list the processes".into(),
            source: io::Error::other("no more files"),
        };
        assert_eq!(error.to_string(), "cannot list the processes: no more files");
    }
}
