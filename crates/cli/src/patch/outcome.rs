//! The outcome for each image, as text or as JSON.

use allograft_image::check::AntiCheat;
use allograft_image::crt::CrtKind;
use allograft_image::{Image, ImportKind, ImportedModule, Machine, Note};
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    Listed,
    Patched,
    AlreadyPatched,
    Undone,
    /// The patched copy was deleted, the image itself is as it was.
    CopyDeleted,
    #[default]
    Refused,
}

/// The outcome for one image; the fields of its JSON.
#[derive(Debug, Serialize, Default)]
pub struct PatchOutcome {
    /// The path as it was given.
    pub image: PathBuf,
    pub action: Action,
    /// Whether nothing was written because the user asked for that.
    pub dry_run: bool,
    #[serde(serialize_with = "allograft_image::serialize_machine")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine: Option<Machine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// Whether the module was copied beside the result.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub module_copied: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub imports: Option<Vec<ListedImport>>,
    pub notes: Vec<Note>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub anti_cheats: Vec<AntiCheat>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl PatchOutcome {
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

impl fmt::Display for PatchOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let image = self.image.display();
        let path = self.output.as_deref().unwrap_or(&self.image);
        let result = path.display();
        let module = self.module.as_deref().unwrap_or_default();
        let text = match (self.action, self.dry_run) {
            (Action::Listed, _) => return self.list(f),
            (Action::Refused, _) => return Ok(()),
            (Action::AlreadyPatched, _) => {
                format!("already patched: {result} imports {module} first")
            }
            (Action::Patched, false) => format!("patched: {result} loads {module} first"),
            (Action::Patched, true) => {
                format!("would be patched: {result} would load {module} first")
            }
            (Action::Undone, false) => format!("undone: {result} is the original again"),
            (Action::Undone, true) => {
                format!("would be undone: {result} would be the original again")
            }
            (Action::CopyDeleted, false) => format!("undone: its patched copy {result} is deleted"),
            (Action::CopyDeleted, true) => {
                format!("would be undone: its patched copy {result} would be deleted")
            }
        };
        writeln!(f, "{image}: {text}")?;
        if let Some(backup) = &self.backup {
            let verb = if self.dry_run { "would be kept" } else { "is kept" };
            writeln!(f, "  the original {verb} as {}", backup.display())?;
        }
        for guard in &self.anti_cheats {
            writeln!(f, "  WARNING: {} guards this program: {}", guard.name, guard.why)?;
        }
        for note in &self.notes {
            let kind = if note.warning { "warning" } else { "note" };
            writeln!(f, "  {kind}: {}", note.text)?;
        }
        if self.module_copied {
            writeln!(f, "  copied {module} beside it")?;
        }
        if self.action == Action::CopyDeleted && path.with_file_name(module).is_file() {
            writeln!(f, "  {module} stays beside it: remove it too if nothing else loads it")?;
        }
        // The patched program looks for the module in its own folder first.
        let is_undone = matches!(self.action, Action::Undone | Action::CopyDeleted);
        if !is_undone && !path.with_file_name(module).is_file() {
            writeln!(
                f,
                "  next: put {module} beside {result}; without it the program does not start"
            )?;
        }
        Ok(())
    }
}

#[derive(Debug, Serialize)]
pub struct ListedImport {
    pub module: String,
    pub kind: ImportKind,
    /// Whether its addresses were written into the image in advance.
    pub bound: bool,
    pub functions: usize,
    /// The file of the C runtime that it is, or that it is forwarded to.
    pub crt: Option<&'static str>,
    pub crt_kind: Option<CrtKind>,
    /// Whether allograft takes that runtime over.
    pub taken_over: bool,
}

impl ListedImport {
    pub fn new(image: &Image<'_>, module: ImportedModule) -> allograft_image::Result<ListedImport> {
        let functions = image.functions(&module)?.len();
        let crt = module.crt();
        Ok(ListedImport {
            kind: module.kind,
            bound: module.bound,
            functions,
            crt: crt.map(|crt| crt.file),
            crt_kind: crt.map(|crt| crt.kind),
            taken_over: crt.is_some_and(|crt| crt.taken_over),
            module: module.name,
        })
    }
}

impl fmt::Display for ListedImport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = if self.functions == 1 { "function" } else { "functions" };
        write!(f, "{:<44} {:>5} {noun}", self.module, self.functions)?;
        if self.kind == ImportKind::Delayed {
            f.write_str(", delayed")?;
        }
        if self.bound {
            f.write_str(", bound")?;
        }
        if let Some(crt) = self.crt {
            let fate = if self.taken_over { "taken over" } else { "not taken over yet" };
            write!(f, "  <- C runtime {crt}, {fate}")?;
        }
        Ok(())
    }
}
