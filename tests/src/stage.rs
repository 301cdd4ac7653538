//! The stage: what `cargo xtask` built and installed for the scenarios and benches to run.
//!
//! `cargo xtask` writes the description to `target/allograft/stage.json`; the harness reads it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::target::{Target, X86};

/// The contents of `stage.json`.
#[derive(Serialize, Deserialize, Debug)]
pub struct Stage {
    /// Folder of the launchers and modules.
    pub bin: PathBuf,
    /// Folder of the test programs, `<name>.exe` each.
    pub programs: PathBuf,
    /// The Wine loader; none on Windows, where programs run by themselves.
    pub wine: Option<PathBuf>,
    /// The C runtimes to run on, at least one.
    pub crts: Vec<Crt>,
    /// Programs of other projects.
    pub real: RealPrograms,
    /// The zig compiler.
    pub zig: PathBuf,
    /// CMake.
    pub cmake: PathBuf,
    /// What differs for 32-bit programs; none where they cannot be built or run.
    pub x86: Option<Stage32>,
    /// What the programs are built for.
    #[serde(skip)]
    pub target: &'static Target,
}

/// What 32-bit programs have of their own.
#[derive(Serialize, Deserialize, Debug)]
pub struct Stage32 {
    /// Folder of the test programs.
    pub programs: PathBuf,
    /// The C runtimes to run on.
    pub crts: Vec<Crt>,
    /// Programs of other projects, those in 32 bits that there are.
    pub real: RealPrograms,
}

/// A C runtime that programs can run on.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
pub struct Crt {
    /// `wine`, `system`, or the version of Microsoft's file.
    pub name: String,
    /// Version of Microsoft's file; none for Wine's own.
    pub version: Option<String>,
    /// The Wine prefix that holds it; none on Windows.
    pub prefix: Option<PathBuf>,
    /// `WINEDLLOVERRIDES` that makes Wine use it.
    #[serde(default)]
    pub overrides: String,
}

/// Host paths of Windows programs of other projects.
#[derive(Serialize, Deserialize, Debug, Clone)]
pub struct RealPrograms {
    /// An SMT solver.
    pub z3: PathBuf,
    /// The Java launcher.
    pub java: PathBuf,
    /// A formatter of source code.
    pub clang_format: PathBuf,
    /// A build system, which also runs scripts.
    pub cmake: PathBuf,
    /// A database.
    pub duckdb: PathBuf,
    /// A runtime of JavaScript.
    pub node: PathBuf,
    /// A build tool.
    pub ninja: PathBuf,
    /// A search in files (Rust).
    pub ripgrep: PathBuf,
    /// A spelling checker (Rust).
    pub typos: PathBuf,
    /// The program that setuptools copies for a script, to start it by (Visual C++ 2008).
    pub script_launcher: PathBuf,
}

impl Crt {
    /// Whether this is Wine's own implementation, which deviates from Microsoft's.
    pub fn is_wine(&self) -> bool {
        self.name == "wine"
    }
}

impl Stage {
    /// The stage of this checkout, or the one that the variable `ALLOGRAFT_STAGE` names; for 32-bit
    /// programs, if the variable `ALLOGRAFT_MACHINE` is `x86`.
    ///
    /// # Panics
    ///
    /// If there is none, with the command that makes one.
    pub fn load() -> &'static Stage {
        static STAGE: OnceLock<Stage> = OnceLock::new();
        STAGE.get_or_init(|| {
            let path = std::env::var_os("ALLOGRAFT_STAGE").map_or_else(default_path, PathBuf::from);
            let stage = Stage::read(&path).and_then(|stage| {
                if std::env::var("ALLOGRAFT_MACHINE").is_ok_and(|machine| machine == "x86") {
                    stage.into_32_bits()
                } else {
                    Ok(stage)
                }
            });
            stage.unwrap_or_else(|reason| panic!("{reason}"))
        })
    }

    /// The stage for 32-bit programs. The error is one line for a person.
    pub fn into_32_bits(self) -> Result<Stage, String> {
        let x86 =
            self.x86.ok_or("this stage has no 32-bit programs: `cargo xtask setup` says why")?;
        Ok(Stage {
            programs: x86.programs,
            crts: x86.crts,
            real: x86.real,
            x86: None,
            target: &X86,
            ..self
        })
    }

    /// The module for the programs.
    pub fn module(&self) -> PathBuf {
        self.bin.join(self.target.module())
    }

    /// What `cargo xtask dist` lays out for those who link with `mimalloc.dll`: its import
    /// libraries and headers; and the folders `redirected` and `redirected-raw` with an unmodified
    /// one, as its own build has it by default and with other options.
    pub fn developer_files(&self) -> &Path {
        self.programs.parent().expect("the programs lie in a folder of the stage")
    }

    /// Reads the stage from `path`. The error is one line for a person.
    pub fn read(path: &Path) -> Result<Stage, String> {
        let text = fs::read_to_string(path).map_err(|error| {
            format!("no stage at {} ({error}): run `cargo xtask test`", path.display())
        })?;
        serde_json::from_str(&text).map_err(|error| {
            format!(
                "{} is not a stage of this version ({error}): run `cargo xtask test`",
                path.display()
            )
        })
    }

    /// Writes the stage to `path`.
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        fs::write(path, serde_json::to_string_pretty(self)? + "\n")
    }

    /// The C runtimes, at least one.
    pub fn crts(&self) -> &[Crt] {
        &self.crts
    }

    /// The C runtimes that are Microsoft's own.
    pub fn microsoft_crts(&self) -> impl Iterator<Item = &Crt> {
        self.crts.iter().filter(|crt| !crt.is_wine())
    }

    /// The newest C runtime of Microsoft's, for what needs to run on one only.
    pub fn newest_crt(&self) -> &Crt {
        self.microsoft_crts().max_by_key(|crt| version_key(&crt.name)).unwrap_or(&self.crts[0])
    }

    /// `path` as a Windows program must be given it: under Wine the host's files are on drive `Z:`.
    pub fn windows_path(&self, path: &Path) -> String {
        let text = path.display().to_string();
        if self.wine.is_some() { format!("Z:{}", text.replace('/', "\\")) } else { text }
    }
}

fn default_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/allograft/stage.json")
}

fn version_key(version: &str) -> Vec<u32> {
    version.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage() -> Stage {
        let real = r#"{"z3": "/1", "java": "/2", "clang_format": "/3", "cmake": "/4", "duckdb": "/5",
            "node": "/6", "ninja": "/7", "ripgrep": "/8", "typos": "/9", "script_launcher": "/10"}"#;
        let text = r#"{"bin": "/b", "programs": "/p", "wine": "/w",
                "crts": [{"name": "wine", "version": null, "prefix": "/x", "overrides": ""},
                         {"name": "10.0.9.1", "version": "10.0.9.1", "prefix": "/y", "overrides": "ucrtbase=n,b"},
                         {"name": "10.0.10.1", "version": "10.0.10.1", "prefix": "/z"}],
                "real": REAL, "zig": "zig", "cmake": "cmake",
                "x86": {"programs": "/p32", "real": REAL,
                        "crts": [{"name": "wine", "version": null, "prefix": "/x", "overrides": ""}]}}"#;
        serde_json::from_str(&text.replace("REAL", real)).unwrap()
    }

    #[test]
    fn the_stage_for_32_bits_has_programs_runtimes_and_a_module_of_its_own() {
        let stage = stage().into_32_bits().unwrap();
        assert_eq!(stage.programs, Path::new("/p32"));
        assert_eq!(stage.newest_crt().name, "wine");
        assert_eq!(stage.module(), Path::new("/b/allograft32.dll"));
        assert!(stage.into_32_bits().is_err());
    }

    #[test]
    fn versions_are_compared_by_number() {
        assert_eq!(stage().newest_crt().name, "10.0.10.1");
    }

    #[test]
    fn host_paths_are_on_drive_z_under_wine() {
        assert_eq!(stage().windows_path(Path::new("/a/b c")), "Z:\\a\\b c");
    }

    #[test]
    fn a_missing_stage_says_which_command_makes_one() {
        let reason = Stage::read(Path::new("/nowhere/stage.json")).unwrap_err();
        assert!(reason.contains("run `cargo xtask test`"), "{reason}");
        assert_eq!(reason.lines().count(), 1);
    }
}
