//! `allograft status`: what the module does in running processes.

mod figures;
mod text;

#[cfg(windows)]
mod watch;

#[cfg(windows)]
use crate::args::StatusArgs;
#[cfg(windows)]
use crate::error::Error;
#[cfg(windows)]
use crate::injection::StatusPage;
#[cfg(windows)]
use crate::windows::{process::Process, process_list};
#[cfg(windows)]
use figures::Figures;
#[cfg(windows)]
use text::Text;

/// Prints the state of one process, or of all that have the module. Returns the exit code.
///
/// # Errors
///
/// If the process has no module, or its page cannot be trusted.
#[cfg(windows)]
pub fn run(args: &StatusArgs) -> Result<u32, Error> {
    if args.watch {
        return watch::run(args);
    }
    print!("{}", shown(&look(args)?, args));
    Ok(0)
}

/// The state of the processes that the user means.
#[cfg(windows)]
fn look(args: &StatusArgs) -> Result<Vec<Figures>, Error> {
    match args.pid {
        Some(pid) => Ok(vec![look_at(&Process::observed(pid)?)?]),
        None => Ok(all()),
    }
}

#[cfg(windows)]
fn look_at(process: &Process) -> Result<Figures, Error> {
    let page = StatusPage::read(process)?.ok_or_else(|| Error::NoStatus {
        process: process.to_string(),
        reason: "the module is not in it (`allograft inject` puts it there)".to_owned(),
    })?;
    Ok(Figures::of(&page, process.pid(), process.name()))
}

/// The state of all processes that have the module. Those that this user may not look at, or that
/// have ended meanwhile, have none as far as the user is concerned; a page that cannot be trusted
/// is complained of.
#[cfg(windows)]
fn all() -> Vec<Figures> {
    let pids = process_list::pids().unwrap_or_default();
    let mut found = Vec::new();
    for process in pids.into_iter().filter_map(|pid| Process::observed(pid).ok()) {
        match StatusPage::read(&process) {
            Ok(Some(page)) => found.push(Figures::of(&page, process.pid(), process.name())),
            Ok(None) => {}
            Err(error) => crate::say(&error),
        }
    }
    found
}

/// The states as `args` wants them: JSON is one value on one line, an array for all processes and
/// an object for one.
#[cfg(windows)]
fn shown(found: &[Figures], args: &StatusArgs) -> String {
    if args.json {
        let value = match found {
            [figures] if !args.all => serde_json::to_string(figures),
            _ => serde_json::to_string(found),
        };
        return value.expect("numbers and text can be written as JSON") + "\n";
    }
    if found.is_empty() {
        return "no process of this session has the module\n".to_owned();
    }
    found.iter().map(|figures| Text(figures).to_string()).collect()
}
