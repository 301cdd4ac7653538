//! `allograft inject`: the module loaded into a running process.

use crate::args::{InjectArgs, TargetArgs};
use crate::diagnosis;
use crate::error::Error;
use crate::module::Request;
use crate::outcome::Outcome;
use crate::windows::process::Process;
use crate::windows::process_list;
use crate::windows::remote_load::{self, Ending};
use crate::windows::section::Section;

/// Loads the module, waits for the outcome and prints it. Returns the exit code.
///
/// # Errors
///
/// If the process is not on mimalloc afterwards, or it is not known whether it is.
pub fn inject(args: &InjectArgs) -> Result<u32, Error> {
    let request = Request::resolve(&args.module)?;
    let process = Process::open(find(&args.target)?)?;
    process.check_reachable()?;
    let unfit = |reason: &str| Error::ProcessUnfit {
        process: process.to_string(),
        reason: reason.to_owned(),
    };
    if process.is_32_bit() {
        return Err(unfit(diagnosis::NO_32_BIT_MODULE));
    }
    let section = Section::of(&process)?;
    if let Some(line) = already_attached(&section.outcome()) {
        println!("{process}: {line}");
        return Ok(0);
    }
    section.tell(&request);
    match remote_load::load(&process, &request.path, Some(args.timeout))? {
        Ending::Returned => tell(&process, &request, section.outcome()),
        Ending::ProcessEnded => Err(unfit("it ended meanwhile")),
        Ending::TimedOut => Err(Error::TimedOut {
            process: process.to_string(),
            seconds: args.timeout.as_secs_f64(),
        }),
    }
}

/// The id of the process that the user means.
fn find(target: &TargetArgs) -> Result<u32, Error> {
    match (target.pid, &target.name) {
        (Some(pid), _) => Ok(pid),
        (None, Some(name)) => process_list::find(name),
        (None, None) => Err(Error::Usage("which process?".to_owned())),
    }
}

/// What to say of a process that has a working module already.
fn already_attached(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::TakenOver(takeover) => Some(format!("already attached: {takeover}")),
        Outcome::NoRuntime => Some(
            "already attached, and waiting for a C runtime that allograft can take over".to_owned(),
        ),
        _ => None,
    }
}

/// Prints a success, or makes the error that tells why it is none.
fn tell(process: &Process, request: &Request, outcome: Outcome) -> Result<u32, Error> {
    let reason = outcome.why_not(&request.path, &process.observe());
    if let (Outcome::TakenOver(takeover), None) = (&outcome, &reason) {
        println!("{process}: {takeover}");
        return Ok(0);
    }
    Err(Error::NotTakenOver {
        process: process.to_string(),
        reason: reason.unwrap_or_default(),
    })
}
