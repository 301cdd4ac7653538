//! What can go wrong on the way into a process, and at which step it did.

use core::fmt;

use crate::layout::Rejected;
use crate::route::ASSISTANT;
use crate::system::{SystemError, SystemResult};

/// A step that the system can refuse. Its text is an infinitive that ends where the process is
/// named.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the text of each step says what it is")]
pub enum Step {
    CreateSection,
    OpenSection,
    MapSection,
    ReadSecurity,
    ReadCreationTime,
    ReadToken,
    CreateEvent,
    GiveHandle,
    Allocate,
    WritePath,
    QueueCall,
    StartThread,
    Wait,
    InheritHandle,
    StartAssistant,
    ReadExitCode,
}

impl Step {
    /// Whether it is the process that refuses this step, to a user who lacks the rights.
    pub fn needs_rights(self) -> bool {
        matches!(
            self,
            Step::GiveHandle
                | Step::Allocate
                | Step::WritePath
                | Step::QueueCall
                | Step::StartThread
        )
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Step::CreateSection => "share memory with",
            Step::OpenSection => "open the status page of",
            Step::MapSection => "map the memory shared with",
            Step::ReadSecurity => "read who made the status page of",
            Step::ReadCreationTime => "ask for the creation time of",
            Step::ReadToken => "ask for the user of",
            Step::CreateEvent => "create an event for",
            Step::GiveHandle => "give a handle to",
            Step::Allocate => "get memory in",
            Step::WritePath => "write to",
            Step::QueueCall => "queue a call in",
            Step::StartThread => "start a thread in",
            Step::Wait => "wait for",
            Step::InheritHandle => "hand down a handle of",
            Step::StartAssistant => "start the launcher that reaches",
            Step::ReadExitCode => "read the exit code of the launcher that reaches",
        })
    }
}

/// Why a process did not get the module, or has no usable status page. Every function that returns
/// it may return [`Error::Refused`], with the step that failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// The system refused this step.
    Refused(Step, SystemError),
    /// The section of the page's name does not hold a status page of the process.
    Rejected(Rejected),
    /// The page was made by somebody whom the process must not trust.
    Untrusted,
    /// A path or the assistant's command line does not fit into its buffer.
    TooLong,
    /// Another launcher held the injection lock all the time.
    Locked,
    /// The launcher of the other bitness is not where it was looked for.
    AssistantMissing,
    /// That launcher failed, with this exit code.
    AssistantFailed(u32),
    /// That launcher did not end in time.
    AssistantTimedOut,
}

/// Makes the result of a call of the system that of a step.
pub(crate) trait At<T> {
    fn at(self, step: Step) -> Result<T, Error>;
}

impl<T> At<T> for SystemResult<T> {
    fn at(self, step: Step) -> Result<T, Error> {
        self.map_err(|error| Error::Refused(step, error))
    }
}

impl From<Rejected> for Error {
    fn from(rejected: Rejected) -> Error {
        Error::Rejected(rejected)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const OTHER: &str = "it is a program of the other bitness, and";
        match self {
            Error::Refused(step, error) => write!(f, "cannot {step} it: {error}"),
            Error::Rejected(rejected) => rejected.fmt(f),
            Error::Untrusted => f.write_str("its status page was made by another user"),
            Error::TooLong => f.write_str("the path of the module is too long"),
            Error::Locked => f.write_str("another launcher is at work on it"),
            Error::AssistantMissing => write!(
                f,
                "{OTHER} {ASSISTANT}, which gives it the module, is not beside this module"
            ),
            Error::AssistantFailed(code) => {
                write!(f, "{OTHER} {ASSISTANT} could not give it the module (exit code {code})")
            }
            Error::AssistantTimedOut => {
                write!(f, "{OTHER} {ASSISTANT}, which gives it the module, did not end in time")
            }
        }
    }
}
