//! `allograft inject`: the module loaded into a running process.

use crate::args::{InjectArgs, TargetArgs};
use crate::error::Error;
use crate::injection::{Injection, StatusPage};
use crate::module::Request;
use crate::outcome::Outcome;
use crate::windows::process::Process;
use crate::windows::process_list;
use allograft_inject::{Ending, InjectionLock, Windows};
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;
use std::{panic, thread};

/// How long a system call into a process that is just ending may take, beyond the timeout for the
/// loading itself: some return only once the process has ended.
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
    let (sender, receiver) = mpsc::channel();
    let work = thread::spawn(move || sender.send(load_into(pid, &request, timeout)));
    match receiver.recv_timeout(timeout.saturating_add(GRACE)) {
        // The thread is joined, so that this process does not end while it is still ending.
        Ok(result) => work.join().map_or_else(|panic| panic::resume_unwind(panic), |_| result),
        Err(RecvTimeoutError::Timeout) => Err(Error::TimedOut {
            process: format!("process {pid}"),
            seconds: timeout.as_secs_f64(),
        }),
        Err(RecvTimeoutError::Disconnected) => match work.join() {
            Err(panic) => panic::resume_unwind(panic),
            Ok(_) => unreachable!("the thread has sent its result"),
        },
    }
}

fn load_into(pid: u32, request: &Request, timeout: Duration) -> Result<u32, Error> {
    let process = Process::open(pid)?;
    process.check_reachable()?;
    let unfit = |reason: String| Error::ProcessUnfit { process: process.to_string(), reason };
    let _lock =
        InjectionLock::acquire(&Windows, (&process).into(), timeout).map_err(|_locked| {
            unfit(format!(
                "another launcher has been at work on it for {} s: wait for it, or end it",
                timeout.as_secs_f64()
            ))
        })?;
    let injection =
        Injection::new(&process, request, |unreachable| unfit(unreachable.to_string()))?;
    let page = StatusPage::for_target(&process)?;
    if let Some(line) = already_attached(&page.outcome()) {
        println!("{process}: {line}");
        return Ok(0);
    }
    match injection.load(&process, &page, Some(timeout))? {
        Ending::Returned => report(&process, &injection.module, page.outcome()),
        Ending::ProcessEnded => Err(unfit("it ended meanwhile".to_owned())),
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

/// The line about a process that has a working module already.
fn already_attached(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::TakenOver(takeover) => Some(format!("already attached: {takeover}")),
        Outcome::NoRuntime => Some(
            "already attached, and waiting for a C runtime that allograft can take over".to_owned(),
        ),
        _ => None,
    }
}

/// Prints a success, or returns the error that says why it is none.
fn report(process: &Process, module: &Path, outcome: Outcome) -> Result<u32, Error> {
    let reason = outcome.why_not(module, &process.observe());
    if let (Outcome::TakenOver(takeover), None) = (&outcome, &reason) {
        println!("{process}: {takeover}");
        return Ok(0);
    }
    Err(Error::NotTakenOver { process: process.to_string(), reason: reason.unwrap_or_default() })
}
