//! mkdocs with its theme, which makes the site of the documents: Python packages in the cache, of
//! the versions and hashes that `site/requirements.txt` gives.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, anyhow};

use super::downloads::pip;
use crate::files::{publish, sha256_of};
use crate::layout;
use crate::step::{self, Step};

pub struct SiteGenerator {
    python: &'static str,
    /// What is in the cache for this version of Python and these requirements.
    folder: PathBuf,
}

impl SiteGenerator {
    /// The generator, which may still have to be installed.
    ///
    /// # Errors
    ///
    /// If there is no Python with pip.
    pub fn find() -> Result<SiteGenerator> {
        let python = pip().ok_or_else(|| {
            anyhow!("there is no Python with pip, which the site of the documents needs")
        })?;
        let version = "import sys; print('%d.%d' % sys.version_info[:2])";
        let version = step::capture(Command::new(python).args(["-c", version]))?;
        let requirements = sha256_of(&requirements())?;
        let name = format!("mkdocs-{}-python{}", &requirements[..12], version.trim());
        Ok(SiteGenerator { python, folder: layout::cache()?.join(name) })
    }

    /// Whether it is installed: the folder gets its name when it is complete.
    pub fn is_there(&self) -> bool {
        self.folder.is_dir()
    }

    pub fn install(&self) -> Result<()> {
        if self.is_there() {
            return Ok(());
        }
        let step = Step::begin("set-up: installing mkdocs from PyPI (140 MB)");
        let partial = layout::partial(&self.folder);
        let mut command = Command::new(self.python);
        command
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"])
            .args(["--no-deps", "--only-binary=:all:", "--require-hashes", "--requirement"])
            .arg(requirements())
            .arg("--target")
            .arg(&partial);
        step::capture(&mut command).context("installing mkdocs").inspect_err(|_| {
            fs::remove_dir_all(&partial).ok();
        })?;
        publish(&partial, &self.folder, || self.is_there())?;
        step.done();
        Ok(())
    }

    /// A command of mkdocs. Its output does not depend on the time at which it runs.
    pub fn mkdocs(&self) -> Command {
        let mut command = Command::new(self.python);
        command.args(["-s", "-m", "mkdocs"]).env("PYTHONPATH", &self.folder);
        // The second leaves out an advertisement of the theme.
        command.env("SOURCE_DATE_EPOCH", "0").env("NO_MKDOCS_2_WARNING", "1");
        command
    }
}

fn requirements() -> PathBuf {
    layout::own("site/requirements.txt")
}
