//! What an image imports, as `allograft patch --list` tells it.

use super::outcome::{Action, Outcome};
use super::{Refusal, line, open};
use allograft_image::crt::CrtKind;
use allograft_image::{Image, ImportKind, ImportedModule};
use serde::Serialize;
use std::fmt;
use std::path::Path;

/// One line of the list.
#[derive(Debug, Serialize)]
pub struct Import {
    /// The module's name as it stands in the image.
    pub module: String,
    /// When it is loaded.
    pub kind: ImportKind,
    /// Whether its addresses were bound in advance.
    pub bound: bool,
    /// How many functions are imported from it.
    pub functions: usize,
    /// The C runtime that it is, or leads to.
    pub crt: Option<&'static str>,
    /// The family of that runtime.
    pub crt_kind: Option<CrtKind>,
    /// Whether allograft takes that runtime over.
    pub taken_over: bool,
}

impl Import {
    fn of(image: &Image<'_>, module: ImportedModule) -> Result<Import, Refusal> {
        let functions = image.functions(&module).map_err(line)?.len();
        let crt = module.crt();
        Ok(Import {
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

impl fmt::Display for Import {
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

/// Lists what the image at `path` imports.
pub fn of(path: &Path) -> Result<Outcome, Refusal> {
    let file = open(path)?;
    let image = Image::parse(file.data()).map_err(line)?;
    let modules = image.imports().map_err(line)?;
    let imports =
        modules.into_iter().map(|module| Import::of(&image, module)).collect::<Result<_, _>>()?;
    Ok(Outcome {
        machine: Some(image.headers().machine),
        imports: Some(imports),
        ..Outcome::new(path, Action::Listed)
    })
}
