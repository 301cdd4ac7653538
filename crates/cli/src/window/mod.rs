//! The window for those who open no console: it opens when a program is dropped on `allograft.exe`,
//! or it is started by a double click.
//!
//! It is one task dialog of Windows, whose pages follow one another: native controls, so that the
//! keyboard, screen readers, high resolutions and languages are the system's work. It starts
//! `allograft` for everything that it does and shows the command.
//!
//! From the bottom to the top: `texts`, `page` and `command`; `subject` and `host`; `pages`;
//! `screens`. They are tested on any host. `desktop` is what Windows answers.

mod command;
mod host;
pub mod page;
mod pages;
mod screens;
mod subject;
mod texts;

#[cfg(windows)]
mod desktop;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What the window is to be opened for.
#[derive(Debug, PartialEq, Eq)]
pub enum Opening {
    /// A program that was dropped on this one.
    Program(PathBuf),
    /// Nothing: this program was started by a double click.
    Nothing,
}

impl Opening {
    /// What `arguments`, without the program's name, ask for, if this program has a console of its
    /// own (`own_console`); none if they are a command line.
    ///
    /// Whoever types a command has a console, which this program joins. Whoever redirects its
    /// output reads it. So a console that was made for this program alone, and is not redirected,
    /// is Explorer's doing, and would vanish with what is printed on it.
    pub fn of(
        arguments: &[OsString],
        own_console: bool,
        exists: impl Fn(&Path) -> bool,
    ) -> Option<Opening> {
        // Explorer passes full paths; commands and options are none.
        let is_dropped = |word: &OsString| Path::new(word).is_absolute() && exists(Path::new(word));
        match arguments {
            [] if own_console => Some(Opening::Nothing),
            // Of several files that are dropped the first is shown.
            [first, ..] if own_console && arguments.iter().all(is_dropped) => {
                Some(Opening::Program(first.into()))
            }
            _ => None,
        }
    }
}

#[cfg(windows)]
pub use desktop::show;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_opens_for_explorer_and_for_nobody_else() {
        let game = if cfg!(windows) { "C:\\games\\game.exe" } else { "/games/game.exe" };
        let other = if cfg!(windows) { "C:\\other.exe" } else { "/other.exe" };
        let program = Some(Opening::Program(game.into()));
        for (words, own_console, opening) in [
            (&[][..], true, Some(Opening::Nothing)),
            (&[], false, None),
            (&[game], true, program),
            (&[game], false, None),
            (&[game, other], true, Some(Opening::Program(game.into()))),
            (&["check"], true, None),
            (&["--help"], true, None),
            (&["check", game], true, None),
            (&["run", "--", game], true, None),
            (&["game.exe"], true, None),
        ] {
            let arguments: Vec<OsString> = words.iter().map(OsString::from).collect();
            let exists = |path: &Path| path.is_absolute();
            assert_eq!(Opening::of(&arguments, own_console, exists), opening, "{words:?}");
        }
        assert_eq!(Opening::of(&[game.into()], true, |_| false), None);
    }
}
