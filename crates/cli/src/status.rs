//! `allograft status`: prints what the module does in running processes.

use crate::args::StatusArgs;
use crate::error::Error;
use crate::injection::StatusPage;
use crate::output::{Palette, notify};
use crate::page_reading::PageReading;
use crate::page_text::details;
use crate::windows::{console, process::Process, process_list, wait_for_first};
use std::io::Write;
use std::thread;
use std::time::Duration;

const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// Prints the state of one process, or of all that have the module. Returns the exit code.
pub fn run(args: &StatusArgs) -> Result<u32, Error> {
    let redraws = args.watch && !args.json && console::enable_cursor_movements();
    let mut screen = Screen { redraws, lines: 0 };
    let process = args.pid.map(Process::observed).transpose()?;
    loop {
        let found = match &process {
            Some(process) => vec![read(process)?],
            None => read_all(),
        };
        screen.show(&text(&found, args));
        if !args.watch {
            return Ok(0);
        }
        match &process {
            None => thread::sleep(WATCH_INTERVAL),
            Some(process) => {
                if wait_for_first(&[process.handle()], Some(WATCH_INTERVAL))?.is_some() {
                    notify(format_args!("{process} has ended"));
                    return Ok(0);
                }
            }
        }
    }
}

fn read(process: &Process) -> Result<PageReading, Error> {
    StatusPage::read_of(process)?.ok_or_else(|| {
        Error::new(format!(
            "no status of {process}: the module is not in it (`allograft inject` puts it there)"
        ))
    })
}

/// Reads the pages of all processes that have one. Processes that this user may not open, or that
/// have just ended, are left out; a page that cannot be trusted is reported.
fn read_all() -> Vec<PageReading> {
    let processes = process_list::all().unwrap_or_default();
    let mut found = Vec::new();
    for process in processes.into_iter().filter_map(|(pid, _)| Process::observed(pid).ok()) {
        match StatusPage::read_of(&process) {
            Ok(reading) => found.extend(reading),
            Err(error) => notify(error),
        }
    }
    found
}

/// The answer: lines for a person, or one line of JSON, which is an object for one process and an
/// array for all.
fn text(found: &[PageReading], args: &StatusArgs) -> String {
    if args.json {
        let json = match found {
            [reading] if !args.all => serde_json::to_string(reading),
            _ => serde_json::to_string(found),
        };
        return json.expect("numbers and text can be written as JSON") + "\n";
    }
    if found.is_empty() {
        return "no process of this session has the module\n".to_owned();
    }
    found.iter().map(|reading| details(reading, &Palette::COLOURED)).collect()
}

/// Standard output: a terminal on which each answer overwrites the one before, or a stream.
struct Screen {
    redraws: bool,
    lines: usize,
}

impl Screen {
    fn show(&mut self, text: &str) {
        if self.redraws && self.lines > 0 {
            // Moves to the beginning of the line so many lines up, and clears everything below.
            print!("\x1b[{}F\x1b[J", self.lines);
        }
        anstream::print!("{text}");
        // If the reader is gone the next `print!` ends this program.
        let _ = std::io::stdout().flush();
        self.lines = text.lines().count();
    }
}
