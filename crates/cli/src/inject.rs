//! `allograft inject`: the module loaded into a running process.

use crate::args::{InjectArgs, TargetArgs};
use crate::error::Error;
use crate::machine::{OWN, way_into};
use crate::module::Request;
use crate::outcome::Outcome;
use crate::windows::process::Process;
use crate::windows::process_list;
use crate::windows::remote_load::{self, Ending};
use crate::windows::section::Section;
use crate::windows::turn::Turn;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;
use std::{panic, thread};

/// What a system call into a process that is just ending may take, beyond the time that the user
/// allows for the loading itself: some answer only once the process does.
const GRACE: Duration = Duration::from_secs(5);

/// Loads the module, waits for the outcome and prints it. Returns the exit code.
///
/// # Errors
///
/// If the process is not on mimalloc afterwards, or it is not known whether it is.
pub fn inject(args: &InjectArgs) -> Result<u32, Error> {
    let request = Request::resolve(&args.module)?;
    let pid = find(&args.target)?;
    let timeout = args.timeout;
    let (tell, told) = mpsc::channel();
    let work = thread::spawn(move || tell.send(load_into(pid, &request, timeout)));
    match told.recv_timeout(timeout.saturating_add(GRACE)) {
        // A process had better not end while one of its threads is just ending.
        Ok(result) => work.join().map_or_else(|panic| panic::resume_unwind(panic), |_| result),
        Err(RecvTimeoutError::Timeout) => Err(Error::TimedOut {
            process: format!("process {pid}"),
            seconds: timeout.as_secs_f64(),
        }),
        Err(RecvTimeoutError::Disconnected) => match work.join() {
            Err(panic) => panic::resume_unwind(panic),
            Ok(_) => unreachable!("the thread has said what became of it"),
        },
    }
}

fn load_into(pid: u32, request: &Request, timeout: Duration) -> Result<u32, Error> {
    let process = Process::open(pid)?;
    process.check_reachable()?;
    let _turn = Turn::take(&process, timeout)?;
    let unfit = |reason: &str| Error::ProcessUnfit {
        process: process.to_string(),
        reason: reason.to_owned(),
    };
    let machine = process.machine();
    let way = way_into(machine, OWN).map_err(|reason| unfit(&reason))?;
    let module = request.module_for(machine)?;
    let section = Section::of(&process)?;
    if let Some(line) = already_attached(&section.outcome()) {
        println!("{process}: {line}");
        return Ok(0);
    }
    section.tell(request);
    match remote_load::load(&process, way, &module, Some(timeout))? {
        Ending::Returned => tell(&process, &module, section.outcome()),
        Ending::ProcessEnded => Err(unfit("it ended meanwhile")),
        Ending::TimedOut => {
            Err(Error::TimedOut { process: process.to_string(), seconds: timeout.as_secs_f64() })
        }
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
fn tell(process: &Process, module: &Path, outcome: Outcome) -> Result<u32, Error> {
    let reason = outcome.why_not(module, &process.observe());
    if let (Outcome::TakenOver(takeover), None) = (&outcome, &reason) {
        println!("{process}: {takeover}");
        return Ok(0);
    }
    Err(Error::NotTakenOver { process: process.to_string(), reason: reason.unwrap_or_default() })
}
