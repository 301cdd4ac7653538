//! What `cargo xtask build` prepared: the module, the launcher, the test programs, and the C
//! runtimes to run them on.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde::Deserialize;

use crate::launch::Launch;

/// The contents of `stage.json`.
#[derive(Deserialize, Debug)]
pub struct Stage {
    /// Folder of the launchers and modules.
    pub bin: PathBuf,
    /// Folder of the test programs, `<name>.exe` each.
    pub programs: PathBuf,
    /// The Wine loader; none on Windows, where programs run by themselves.
    pub wine: Option<PathBuf>,
    crts: Vec<Crt>,
    /// Programs that were not written here.
    pub real: RealPrograms,
    /// The words that zig's own arguments are put behind.
    pub zig: Vec<PathBuf>,
    /// CMake.
    pub cmake: PathBuf,
    x86: Option<X86>,
    /// The machine that the programs are for.
    #[serde(skip)]
    pub machine: Machine,
}

/// A machine that programs are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Machine {
    /// 64-bit programs.
    #[default]
    X64,
    /// 32-bit programs; the launcher is the 64-bit one all the same.
    X86,
}

/// What 32-bit programs have of their own.
#[derive(Deserialize, Debug)]
struct X86 {
    programs: PathBuf,
    crts: Vec<Crt>,
    clang_format: PathBuf,
}

/// A C runtime that programs can be run on.
#[derive(Deserialize, Debug, Clone, PartialEq, Eq)]
pub struct Crt {
    /// `wine`, `system`, or the version of Microsoft's file.
    pub name: String,
    /// Version of Microsoft's file, none for Wine's own.
    pub version: Option<String>,
    /// The Wine prefix that holds it.
    pub prefix: Option<PathBuf>,
    /// `WINEDLLOVERRIDES` that makes Wine use it.
    #[serde(default)]
    pub overrides: Option<String>,
}

/// Host paths of real programs for Windows.
#[derive(Deserialize, Debug)]
pub struct RealPrograms {
    /// An SMT solver.
    pub z3: PathBuf,
    /// The Java launcher.
    pub java: PathBuf,
    /// A formatter of source code.
    pub clang_format: PathBuf,
}

impl Crt {
    /// Whether this is Wine's own implementation, which no behaviour is measured by.
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
                    stage.for_32_bits()
                } else {
                    Ok(stage)
                }
            });
            stage.unwrap_or_else(|reason| panic!("{reason}"))
        })
    }

    /// The same for 32-bit programs.
    fn for_32_bits(self) -> Result<Stage, String> {
        let x86 =
            self.x86.ok_or("this stage has no 32-bit programs: `cargo xtask setup` says why")?;
        Ok(Stage {
            programs: x86.programs,
            crts: x86.crts,
            real: RealPrograms { clang_format: x86.clang_format, ..self.real },
            x86: None,
            machine: Machine::X86,
            ..self
        })
    }

    /// Where the 32-bit programs are beside the 64-bit ones, and the C runtimes that both run on;
    /// none on a stage that is for 32-bit programs, or has none.
    pub fn in_32_bits(&self) -> Option<(&Path, &[Crt])> {
        let x86 = self.x86.as_ref()?;
        Some((&x86.programs, &x86.crts))
    }

    /// The module for the programs.
    pub fn module(&self) -> PathBuf {
        self.bin.join(self.module_name())
    }

    /// Its file name.
    pub fn module_name(&self) -> &'static str {
        match self.machine {
            Machine::X64 => "allograft.dll",
            Machine::X86 => "allograft32.dll",
        }
    }

    /// What `cargo xtask dist` lays out for those who link with `mimalloc.dll`: its import
    /// libraries and headers; and the folders `redirected` and `redirected-raw` with an unmodified
    /// one, as its own build has it by default and with other options.
    pub fn developer_files(&self) -> &Path {
        self.programs.parent().expect("the programs lie in a folder of the stage")
    }

    /// The file name of the module that mimalloc's own `mimalloc.dll` imports.
    pub fn redirection_module_name(&self) -> &'static str {
        match self.machine {
            Machine::X64 => "mimalloc-redirect.dll",
            Machine::X86 => "mimalloc-redirect32.dll",
        }
    }

    /// Reads the stage from `path`. The error is one line for a person.
    pub fn read(path: &Path) -> Result<Stage, String> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            format!("no stage at {} ({error}): run `cargo xtask test`", path.display())
        })?;
        serde_json::from_str(&text).map_err(|error| {
            format!(
                "{} is not a stage of this version ({error}): run `cargo xtask test`",
                path.display()
            )
        })
    }

    /// The C runtimes, at least one.
    pub fn crts(&self) -> &[Crt] {
        &self.crts
    }

    /// The C runtimes that are Microsoft's own.
    pub fn microsoft_crts(&self) -> impl Iterator<Item = &Crt> {
        self.crts.iter().filter(|crt| !crt.is_wine())
    }

    /// The C runtime that a scenario runs on to which the version does not matter: the newest of
    /// Microsoft's.
    pub fn newest_crt(&self) -> &Crt {
        self.microsoft_crts().max_by_key(|crt| version_key(&crt.name)).unwrap_or(&self.crts[0])
    }

    /// The C runtime with this name.
    pub fn crt(&self, name: &str) -> Option<&Crt> {
        self.crts.iter().find(|crt| crt.name == name)
    }

    /// A launch of the test program `name` on [`Stage::newest_crt`].
    pub fn program(&self, name: &str) -> Launch<'_> {
        Launch::new(self, self.programs.join(format!("{name}.exe")))
    }

    /// A launch of `allograft.exe` itself.
    pub fn launcher(&self) -> Launch<'_> {
        Launch::new(self, self.bin.join("allograft.exe")).input("")
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
        serde_json::from_str(
            r#"{"bin": "/b", "programs": "/p", "wine": "/w",
                "crts": [{"name": "wine", "version": null, "prefix": "/x", "overrides": ""},
                         {"name": "10.0.9.1", "version": "10.0.9.1", "prefix": "/y", "overrides": "ucrtbase=n,b"},
                         {"name": "10.0.10.1", "version": "10.0.10.1", "prefix": "/z"}],
                "real": {"z3": "/1", "java": "/2", "clang_format": "/3"}, "zig": ["zig"], "cmake": "cmake",
                "x86": {"programs": "/p32", "clang_format": "/332",
                        "crts": [{"name": "wine", "version": null, "prefix": "/x", "overrides": ""}]}}"#,
        )
        .unwrap()
    }

    #[test]
    fn the_stage_for_32_bits_has_programs_runtimes_and_a_module_of_its_own() {
        let stage = stage().for_32_bits().unwrap();
        assert_eq!(stage.programs, Path::new("/p32"));
        assert_eq!(stage.newest_crt().name, "wine");
        assert_eq!(stage.module(), Path::new("/b/allograft32.dll"));
        assert!(stage.for_32_bits().is_err());
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
