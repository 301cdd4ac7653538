//! Calls cargo: to build packages of the workspace for Windows, and to read what it knows of them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Stdio;

use allograft_tests::Target;
use anyhow::{Context, Result, bail};
use cargo_metadata::{Metadata, MetadataCommand};
use serde::Deserialize;

use crate::commit::Commit;
use crate::layout;
use crate::setup::Rust;
use crate::step;

// Packages of the workspace.
pub const MODULE: &str = "allograft-dll";
pub const LAUNCHER: &str = "allograft-cli";
pub const MIMALLOC: &str = "allograft-mimalloc";
pub const REDIRECT: &str = "allograft-redirect";
pub const EXAMPLE: &str = "rust-and-cpp";
/// A test program, the one that is written in Rust.
pub const RUST_PROGRAM: &str = "rust-collections";
pub const SCENARIOS: &str = "allograft-tests";
pub const BENCH: &str = "allograft-bench";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowsBuild {
    pub rust: Rust,
    pub target: &'static Target,
    /// Unoptimised, with mimalloc's own checks.
    pub debug: bool,
    /// For processors with AVX2; with SSE4.2, for 32-bit programs.
    pub newer: bool,
    /// With mimalloc's mitigations.
    pub secure: bool,
    /// With mimalloc's checks of every free.
    pub check_frees: bool,
    pub quiet: bool,
    /// For users: the launcher says if files differ from the commit that it names.
    pub released: bool,
}

impl WindowsBuild {
    pub fn new(rust: Rust, target: &'static Target) -> WindowsBuild {
        WindowsBuild {
            rust,
            target,
            debug: false,
            newer: false,
            secure: false,
            check_frees: false,
            quiet: true,
            released: false,
        }
    }

    /// Builds `packages` in one call of cargo, which gives each the features that any of them asks
    /// for.
    pub fn packages(self, packages: &[&str]) -> Result<Artifacts> {
        let mut cargo = layout::cargo();
        self.rust.apply(&mut cargo);
        cargo.args(["build", "--message-format=json-render-diagnostics"]);
        cargo.args(["--target", self.target.rust]);
        cargo.arg("--config").arg(self.without_paths()?);
        if self.released {
            let commit = Commit::read();
            // Otherwise the launcher's build script reads the same, and nothing is built again.
            if !commit.is_clean() {
                cargo.env("ALLOGRAFT_COMMIT", commit.id);
            }
        }
        for package in packages {
            cargo.args(["--package", package]);
            for feature in self.features(package) {
                cargo.args(["--features", &feature]);
            }
        }
        if !self.debug {
            cargo.arg("--release");
        }
        if self.quiet {
            cargo.arg("--quiet");
        }
        let output = cargo.stderr(Stdio::inherit()).output();
        let output = output.with_context(|| step::cannot_start(&cargo))?;
        if !output.status.success() {
            bail!("`{}` failed ({})", step::shown(&cargo), output.status);
        }
        Ok(Artifacts::parse(&String::from_utf8_lossy(&output.stdout)))
    }

    /// An option of cargo by which no file says in which folders it was built.
    fn without_paths(self) -> Result<String> {
        let mut folders = BTreeSet::from([(layout::root().to_owned(), "allograft")]);
        for package in metadata(&[self.target])?.packages {
            let folder = package.manifest_path.parent().and_then(|folder| folder.parent());
            if let (Some(_), Some(folder)) = (package.source, folder) {
                folders.insert((folder.as_std_path().to_owned(), "packages"));
            }
        }
        let remap = |(folder, name): &(PathBuf, &str)| {
            format!("--remap-path-prefix={}=/{name}", folder.display())
        };
        let flags: Vec<String> = folders.iter().map(remap).collect();
        // A list of strings is written in TOML as in JSON.
        let flags = serde_json::to_string(&flags)?;
        Ok(format!("target.{}.rustflags={flags}", self.target.rust))
    }

    fn features(self, package: &str) -> Vec<String> {
        if ![MODULE, MIMALLOC].contains(&package) {
            return Vec::new();
        }
        let newer = self.target.newer_feature;
        let module_only = self.check_frees && package == MODULE;
        [
            (self.debug, "debug"),
            (self.newer, newer),
            (self.secure, "secure"),
            (module_only, "check-frees"),
        ]
        .into_iter()
        .filter(|(wanted, _)| *wanted)
        .map(|(_, feature)| format!("{package}/{feature}"))
        .collect()
    }
}

/// The paths of the files that cargo built.
pub struct Artifacts(Vec<PathBuf>);

impl Artifacts {
    fn parse(messages: &str) -> Artifacts {
        #[derive(Deserialize)]
        struct Message {
            filenames: Vec<PathBuf>,
        }
        let messages = messages.lines().filter_map(|line| serde_json::from_str(line).ok());
        Artifacts(messages.flat_map(|message: Message| message.filenames).collect())
    }

    pub fn file(&self, name: &str) -> Result<PathBuf> {
        let is_it = |path: &&PathBuf| path.file_name().is_some_and(|file| file == name);
        self.0.iter().find(is_it).cloned().with_context(|| format!("cargo built no {name}"))
    }
}

/// What cargo knows of the packages of the workspace, and with `targets`, of all that they depend
/// on for these.
pub fn metadata(targets: &[&Target]) -> Result<Metadata> {
    let mut command = MetadataCommand::new();
    command.current_dir(layout::root());
    if targets.is_empty() {
        command.no_deps();
    }
    let filters = targets.iter().flat_map(|target| ["--filter-platform", target.rust]);
    command.other_options(filters.map(str::to_owned).collect::<Vec<_>>());
    command.exec().context("reading what cargo says of the workspace")
}

#[cfg(test)]
mod tests {
    use super::*;
    use allograft_tests::X64;
    use std::path::Path;

    #[test]
    fn the_options_of_a_build_are_the_modules_features() {
        let build = WindowsBuild::new(Rust::Usual, &X64);
        assert!(build.features(MODULE).is_empty());
        let build = WindowsBuild { newer: true, secure: true, ..build };
        let feature = |name: &str| format!("{MODULE}/{name}");
        assert_eq!(build.features(MODULE), ["avx2", "secure"].map(feature));
        assert!(build.features(LAUNCHER).is_empty());
    }

    #[test]
    fn a_build_does_not_say_where_it_was_made() {
        let option = WindowsBuild::new(Rust::Usual, &X64).without_paths().unwrap();
        let (name, flags) = option.split_once('=').unwrap();
        assert_eq!(name, "target.x86_64-pc-windows-gnu.rustflags");
        let flags: Vec<String> = serde_json::from_str(flags).unwrap();
        let own = format!("--remap-path-prefix={}=/allograft", layout::root().display());
        assert!(flags.contains(&own), "{flags:?}");
        assert!(flags.iter().any(|flag| flag.ends_with("=/packages")), "{flags:?}");
    }

    #[test]
    fn what_cargo_built_is_found_in_its_messages() {
        let artifacts = Artifacts::parse(
            r#"{"reason": "build-finished"}
               {"reason": "compiler-artifact", "filenames": ["/t/liballograft.dll.a", "/t/allograft.dll"]}"#,
        );
        assert_eq!(artifacts.file("allograft.dll").unwrap(), Path::new("/t/allograft.dll"));
        let error = artifacts.file("allograft.exe").unwrap_err();
        assert!(error.to_string().contains("allograft.exe"));
    }
}
