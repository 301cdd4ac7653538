//! What the window shows: one page at a time. It is shown by [`crate::windows::task_dialog`], and
//! knows nothing of how.

use super::command::Action;
use std::path::PathBuf;

/// The sign beside the headline, which says at a glance how things stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Icon {
    Information,
    Warning,
    Error,
}

/// A bar below the text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Meter {
    None,
    /// Something is going on, and nobody knows for how long.
    Busy,
    /// From 0 to 1.
    Share(f64),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    pub icon: Icon,
    pub headline: String,
    /// Lines.
    pub text: String,
    /// Further lines, which the user can unfold.
    pub details: Option<String>,
    pub meter: Meter,
    /// What the user can choose, the usual first.
    pub links: Vec<Link>,
    /// The command that does what the page shows.
    pub command: String,
}

/// Something to choose: a title and what it means.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    pub choice: Choice,
    pub title: String,
    pub note: String,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Choice {
    /// Run a command.
    Do(Action),
    /// Choose a program on the disk.
    ChooseProgram,
    /// Back to the program, or to the beginning if there is none.
    Back,
    /// The running programs.
    ListPrograms,
    /// More of them.
    ListMore,
    /// One of them, by its process id.
    Show(u32),
    /// A file in the program that belongs to it.
    Open(PathBuf),
    /// Open this window again with an administrator's rights.
    Elevate,
    /// End the command that is running.
    Stop,
}

/// How a page changes while it is shown.
#[derive(Clone, Debug, PartialEq)]
pub enum Update {
    /// Only its text and its bar.
    Text { text: String, meter: Meter },
    /// It is another page.
    Page,
    /// The window closes.
    Close,
}
