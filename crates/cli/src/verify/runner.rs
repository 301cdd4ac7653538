//! Running one program of ours: what is run, and what it did. The checks reach the system by
//! [`Runner`] alone, so that their tests need none.

use crate::command_line::quoted;
use crate::error::Error;
use allograft_laboratory::ModuleReport;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Starts programs, and ends them.
pub trait Runner {
    /// Runs `launch` to its end, or until its time is up; then it is ended, with everything that it
    /// started. The error is one of the system's: the program did not even start.
    fn run(&self, launch: &Launch) -> Result<Run, Error>;
}

/// A program to be run.
#[derive(Debug, Clone)]
pub struct Launch {
    pub program: PathBuf,
    pub arguments: Vec<OsString>,
    pub variables: Vec<(OsString, OsString)>,
    /// What is run when the program says that it waits; it gets the program's process id as its
    /// last argument. Without one, the program goes on at once.
    pub meeting: Option<Box<Launch>>,
    /// How long the program works before that.
    pub pause: Duration,
    /// How long after the beginning of the meeting the program goes on; if not given, at the end.
    pub head_start: Option<Duration>,
    pub limit: Duration,
}

impl Launch {
    pub fn new(program: impl Into<PathBuf>) -> Launch {
        Launch {
            program: program.into(),
            arguments: Vec::new(),
            variables: Vec::new(),
            meeting: None,
            pause: Duration::ZERO,
            head_start: None,
            limit: Duration::from_secs(60),
        }
    }

    pub fn arg(mut self, argument: impl Into<OsString>) -> Launch {
        self.arguments.push(argument.into());
        self
    }

    pub fn args<T: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = T>) -> Launch {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Launch {
        self.variables.push((name.into(), value.into()));
        self
    }

    pub fn pause(mut self, pause: Duration) -> Launch {
        self.pause = pause;
        self
    }

    pub fn head_start(mut self, head_start: Duration) -> Launch {
        self.head_start = Some(head_start);
        self
    }

    pub fn limit(mut self, limit: Duration) -> Launch {
        self.limit = limit;
        self
    }

    /// As a user types it in a console; if the program waits for another command, with that.
    pub fn shown(&self) -> String {
        let words = self.arguments.iter().map(OsString::as_os_str);
        let words = [self.program.as_os_str()].into_iter().chain(words);
        let command: Vec<String> = words.map(|word| quoted(&word.to_string_lossy())).collect();
        let variables = self.variables.iter().map(|(name, value)| {
            format!("set {}={}&& ", name.to_string_lossy(), value.to_string_lossy())
        });
        let meeting = self.meeting.as_ref().map_or(String::new(), |meeting| {
            format!("   (and, when it says `ready` and its id: {} ID)", meeting.shown())
        });
        variables.collect::<String>() + &command.join(" ") + &meeting
    }
}

/// What a program did.
#[derive(Debug, Clone, Default)]
pub struct Run {
    /// None if it did not end in time.
    pub exit_code: Option<u32>,
    /// Standard output, without the lines that are meant for us.
    pub output: String,
    /// Standard error.
    pub errors: String,
    /// The module's report, if it was asked for one and wrote it.
    pub report: Option<ModuleReport>,
    /// The injection, if there was one.
    pub meeting: Option<Box<Run>>,
    /// As a user types it in a console.
    pub command: String,
}

impl Run {
    /// The line that tells most about a failure: the first that names one, or else the last.
    pub fn telling_line(&self) -> Option<&str> {
        let lines = || self.output.lines().chain(self.errors.lines()).map(str::trim);
        let named = lines().find(|line| line.starts_with("FAILED"));
        named.or_else(|| lines().rfind(|line| !line.is_empty()))
    }
}

/// The report at `path`, if one was written.
pub fn read_report(path: &Path) -> Option<ModuleReport> {
    ModuleReport::read(path).ok()
}

/// Whether `name` is a variable that would change what the checks do: the user's own settings.
pub fn is_setting(name: &OsStr) -> bool {
    let name = name.to_string_lossy().to_uppercase();
    name.starts_with("ALLOGRAFT_") || name.starts_with("MIMALLOC_")
}
