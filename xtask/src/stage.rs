//! The stage: what the scenarios in `tests/` run, and where; a JSON file that `build` writes and
//! they read.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::layout;
use crate::wine::Prefix;

/// Everything that a scenario needs to know of this machine.
#[derive(Clone, Debug, Serialize)]
pub struct Stage {
    /// The folder with `allograft.exe` and `allograft.dll`.
    pub bin: PathBuf,
    /// The folder with the test programs.
    pub programs: PathBuf,
    /// Wine's loader; `None` on Windows.
    pub wine: Option<PathBuf>,
    /// The C runtimes to run on.
    pub crts: Vec<Crt>,
    /// Programs that were not written here.
    pub real: Real,
    /// The words that zig's own arguments are put behind.
    pub zig: Vec<PathBuf>,
    /// CMake.
    pub cmake: PathBuf,
    /// What differs for 32-bit programs; `None` where they are left out.
    pub x86: Option<StageX86>,
}

/// What 32-bit programs have of their own.
#[derive(Clone, Debug, Serialize)]
pub struct StageX86 {
    /// The folder with the test programs.
    pub programs: PathBuf,
    /// The C runtimes to run on.
    pub crts: Vec<Crt>,
    /// `clang-format.exe`
    pub clang_format: PathBuf,
}

/// One C runtime to run on.
#[derive(Clone, Debug, Serialize)]
pub struct Crt {
    /// `wine`, `system`, or the version of Microsoft's.
    pub name: String,
    /// The version, if it is Microsoft's.
    pub version: Option<String>,
    /// The Wine prefix; `None` on Windows.
    pub prefix: Option<PathBuf>,
    /// The value of `WINEDLLOVERRIDES`; empty on Windows.
    pub overrides: String,
}

/// Windows programs that were not written here.
#[derive(Clone, Debug, Serialize)]
pub struct Real {
    /// `z3.exe`
    pub z3: PathBuf,
    /// `java.exe`
    pub java: PathBuf,
    /// `clang-format.exe`
    pub clang_format: PathBuf,
}

impl Crt {
    /// The C runtime of a Wine prefix.
    pub fn of(prefix: &Prefix) -> Crt {
        Crt {
            name: prefix.name.clone(),
            version: prefix.version().map(str::to_owned),
            prefix: Some(prefix.folder.clone()),
            overrides: prefix.overrides().to_owned(),
        }
    }

    /// The C runtime of the Windows that this runs on.
    pub fn system() -> Crt {
        Crt { name: "system".to_owned(), version: None, prefix: None, overrides: String::new() }
    }
}

impl Stage {
    /// Writes `stage.json`.
    pub fn write(&self) -> Result<()> {
        self.write_to(&layout::stage_file())
    }

    /// Writes it to another file.
    pub fn write_to(&self, file: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        fs::write(file, text + "\n").with_context(|| format!("writing {}", file.display()))
    }
}
