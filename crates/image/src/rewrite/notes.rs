//! What the user should know about a rewrite, besides the import table.

use serde::Serialize;
use std::borrow::Cow;

/// Something that a rewrite had to do, or that the user should know about its result.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Note {
    /// Its name, for programs.
    pub code: &'static str,
    /// Whether the program may behave differently because of it.
    pub warning: bool,
    /// What was done and what follows from it, for people.
    pub text: Cow<'static, str>,
}

impl Note {
    pub(super) fn warning(code: &'static str, text: &'static str) -> Note {
        Note { code, warning: true, text: text.into() }
    }

    pub(super) fn hint(code: &'static str, text: impl Into<Cow<'static, str>>) -> Note {
        Note { code, warning: false, text: text.into() }
    }
}
