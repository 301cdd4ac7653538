//! `allograft inject`: the module loaded into a running process.

use crate::args::InjectArgs;
use crate::diagnosis::{RunningProgram, why_on_own_heap};
use crate::error::Error;
use crate::injection::{Injection, StatusPage};
use crate::module::Request;
use crate::output::{PATIENCE, notify_of_wait};
use crate::page_reading::PageReading;
use crate::page_text::summary;
use crate::windows::{process::Process, process_list};
use allograft_inject::{Ending, InjectionLock, State, Windows};
use std::fmt::Display;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// How long a system call into a process that is just ending may take, beyond the timeout for the
/// loading itself: some return only once the process has ended.
const GRACE: Duration = Duration::from_secs(5);

/// Loads the module, waits for the outcome and prints it. Returns the exit code.
pub fn inject(args: &InjectArgs) -> Result<u32, Error> {
    let request = Request::resolve(&args.module)?;
    let pid = match (args.target.pid, &args.target.name) {
        (Some(pid), _) => pid,
        (None, name) => process_list::find(name.as_deref().unwrap_or_default())?,
    };
    let timeout = args.timeout;
    let (sender, receiver) = mpsc::channel();
    let work = thread::spawn(move || sender.send(load_into(pid, &request, timeout)));
    let first = receiver.recv_timeout(PATIENCE);
    let result = first.or_else(|_| {
        notify_of_wait(format_args!("process {pid} to load the module"));
        receiver.recv_timeout(timeout.saturating_add(GRACE).saturating_sub(PATIENCE))
    });
    match result {
        Ok(result) => {
            // This process must not end while the thread does. The thread has nothing left to do.
            let _ = work.join();
            result
        }
        Err(_) => Err(timed_out(format_args!("process {pid}"), timeout)),
    }
}

fn load_into(pid: u32, request: &Request, timeout: Duration) -> Result<u32, Error> {
    let process = Process::open(pid)?;
    process.check_reachable()?;
    let unfit = |reason: &dyn Display| Error::cannot_take_over(&process, reason);
    let _lock =
        InjectionLock::acquire(&Windows, (&process).into(), timeout).map_err(|_locked| {
            unfit(&format_args!(
                "another launcher has been at work on it for {} s: wait for it, or end it",
                timeout.as_secs_f64()
            ))
        })?;
    let injection = Injection::new(&process, request, |unreachable| unfit(&unreachable))?;
    let page = StatusPage::for_target(&process)?;
    let read = || page.read(process.name());
    if let Some(line) = already_attached(&read()) {
        println!("{process}: {line}");
        return Ok(0);
    }
    match injection.load(&process, &page, Some(timeout))? {
        Ending::Returned => {}
        Ending::ProcessEnded => return Err(unfit(&"it ended meanwhile")),
        Ending::TimedOut => return Err(timed_out(&process, timeout)),
    }
    let reading = read();
    match why_on_own_heap(&reading, &injection.module, &RunningProgram::observe(&process)) {
        None => {
            println!("{process}: {}", summary(&reading));
            Ok(0)
        }
        Some(reason) => Err(Error::new(format!(
            "{process} was not taken over and keeps running untouched: {reason}"
        ))),
    }
}

/// What to print of a process in which the module is at work already.
fn already_attached(reading: &PageReading) -> Option<String> {
    match reading.state {
        Some(State::Active) => Some(format!("already attached: {}", summary(reading))),
        Some(State::NoRuntime) => Some(
            "already attached, and waiting for a C runtime that allograft can take over".to_owned(),
        ),
        _ => None,
    }
}

fn timed_out(process: impl Display, timeout: Duration) -> Error {
    Error::new(format!(
        "{process}: no outcome after {} s; one of its threads may be holding the loader lock, and \
         the takeover may still happen when it lets go (a longer --timeout waits for it)",
        timeout.as_secs_f64()
    ))
}
