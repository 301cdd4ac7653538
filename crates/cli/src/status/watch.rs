//! `allograft status --watch`: the same, again and again.

use super::{Figures, all, look_at, shown};
use crate::args::StatusArgs;
use crate::error::Error;
use crate::windows::process::Process;
use crate::windows::{console, wait};
use std::io::Write;
use std::time::Duration;

/// How often.
const EVERY: Duration = Duration::from_secs(1);

/// Shows the state every second: of one process until it ends, of all until this program is ended.
pub fn run(args: &StatusArgs) -> Result<u32, Error> {
    let mut screen =
        Screen { redraws: !args.json && console::understands_cursor_movements(), lines: 0 };
    let Some(pid) = args.pid else {
        loop {
            screen.show(&shown(&all(), args));
            std::thread::sleep(EVERY);
        }
    };
    let process = Process::observed(pid)?;
    loop {
        let figures: [Figures; 1] = [look_at(&process)?];
        screen.show(&shown(&figures, args));
        if wait::first_of(&[process.handle()], Some(EVERY))?.is_some() {
            crate::say(&format_args!("{process} has ended"));
            return Ok(0);
        }
    }
}

/// Where the state is shown: a terminal on which it is drawn over the last one, or a stream.
struct Screen {
    redraws: bool,
    lines: usize,
}

impl Screen {
    fn show(&mut self, text: &str) {
        if self.redraws && self.lines > 0 {
            // So many lines up, and everything from there on is gone.
            print!("\x1b[{}F\x1b[J", self.lines);
        }
        print!("{text}");
        // A reader that has gone is told by the next print.
        let _ = std::io::stdout().flush();
        self.lines = text.lines().count();
    }
}
