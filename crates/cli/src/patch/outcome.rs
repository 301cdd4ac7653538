//! What became of each image, for a person or for a program.

use super::Refusal;
use super::destination::Written;
use super::listing::Import;
use crate::error::Error;
use allograft_image::check::AntiCheat;
use allograft_image::{Machine, Note};
use serde::Serialize;
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// What was done with an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Its imports were listed.
    Listed,
    /// The module was put first.
    Patched,
    /// The module is first already.
    AlreadyPatched,
    /// The module was taken out.
    Undone,
    /// Nothing, for a reason.
    Refused,
}

/// What became of one image.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// The path as it was given.
    pub image: PathBuf,
    /// What was done.
    pub action: Action,
    /// Whether it was only said, not done.
    pub dry_run: bool,
    /// The processor that the image is made for.
    #[serde(serialize_with = "allograft_image::serialize_machine")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine: Option<Machine>,
    /// The module's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// The result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<PathBuf>,
    /// The original, where it was kept beside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<PathBuf>,
    /// What the image imports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub imports: Option<Vec<Import>>,
    /// What the user should know.
    pub notes: Vec<Note>,
    /// Anti-cheat systems near the image, which may take offence.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub anti_cheats: Vec<AntiCheat>,
    /// Why nothing was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Refusal>,
}

impl Outcome {
    /// An outcome of which nothing more is known.
    pub fn new(image: &Path, action: Action) -> Outcome {
        Outcome {
            image: image.to_owned(),
            action,
            dry_run: false,
            machine: None,
            module: None,
            output: None,
            backup: None,
            imports: None,
            notes: Vec::new(),
            anti_cheats: Vec::new(),
            error: None,
        }
    }

    /// A result that was written.
    pub fn written(image: &Path, action: Action, written: Written) -> Outcome {
        let action = if written.is_there_already { Action::AlreadyPatched } else { action };
        Outcome {
            dry_run: written.dry_run,
            output: Some(written.output),
            backup: written.backup,
            ..Outcome::new(image, action)
        }
    }

    /// An image with which nothing was done.
    pub fn refused(image: &Path, refusal: Refusal) -> Outcome {
        Outcome { error: Some(refusal), ..Outcome::new(image, Action::Refused) }
    }

    /// Whether the module lies where the patched program will look for it first.
    fn module_is_beside(&self) -> bool {
        let result = self.output.as_deref().unwrap_or(&self.image);
        self.module.as_deref().is_none_or(|module| result.with_file_name(module).is_file())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let image = self.image.display();
        let result = self.output.as_deref().unwrap_or(&self.image);
        let module = self.module.as_deref().unwrap_or_default();
        match (self.action, self.dry_run) {
            (Action::Listed, _) => return self.list(f),
            (Action::Refused, _) => return Ok(()),
            (Action::AlreadyPatched, _) => writeln!(
                f,
                "{image}: already patched: {} imports {module} first",
                result.display()
            )?,
            (Action::Patched, false) => {
                writeln!(f, "{image}: patched: {} loads {module} first", result.display())?
            }
            (Action::Patched, true) => writeln!(
                f,
                "{image}: would be patched: {} would load {module} first",
                result.display()
            )?,
            (Action::Undone, false) => {
                writeln!(f, "{image}: undone: {} is the original again", result.display())?
            }
            (Action::Undone, true) => writeln!(
                f,
                "{image}: would be undone: {} would be the original again",
                result.display()
            )?,
        }
        if let Some(backup) = &self.backup {
            let verb = if self.dry_run { "would be kept" } else { "is kept" };
            writeln!(f, "  the original {verb} as {}", backup.display())?;
        }
        for guard in &self.anti_cheats {
            writeln!(f, "  WARNING: {} guards this program: {}", guard.name, guard.why)?;
        }
        for note in &self.notes {
            let kind = if note.is_warning() { "warning" } else { "note" };
            writeln!(f, "  {kind}: {note}")?;
        }
        if self.action != Action::Undone && !self.module_is_beside() {
            writeln!(
                f,
                "  next: put {module} beside {}; without it the program does not start",
                result.display()
            )?;
        }
        Ok(())
    }
}

impl Outcome {
    fn list(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let machine = self.machine.map(|machine| format!(" ({machine})")).unwrap_or_default();
        writeln!(f, "{}{machine}", self.image.display())?;
        let imports = self.imports.as_deref().unwrap_or_default();
        if imports.is_empty() {
            writeln!(f, "  imports nothing")?;
        }
        for (index, import) in imports.iter().enumerate() {
            writeln!(f, "{:>4}  {import}", index + 1)?;
        }
        Ok(())
    }
}

/// Prints what became of the images on standard output, and refusals on standard error.
///
/// # Errors
///
/// If standard output cannot be written to.
pub fn print(outcomes: &[Outcome], as_json: bool) -> Result<(), Error> {
    let mut text = String::new();
    if as_json {
        let json =
            serde_json::to_string_pretty(outcomes).map_err(|error| unprintable(error.into()))?;
        text.push_str(&json);
        text.push('\n');
    } else {
        for outcome in outcomes {
            // Writing to a string does not fail.
            let _ = write!(text, "{outcome}");
        }
    }
    for outcome in outcomes {
        if let Some(error) = &outcome.error {
            crate::say(&format_args!("{}: {error}", outcome.image.display()));
        }
    }
    std::io::stdout().lock().write_all(text.as_bytes()).map_err(unprintable)
}

fn unprintable(source: std::io::Error) -> Error {
    Error::System { action: "print the answer".to_owned(), source }
}
