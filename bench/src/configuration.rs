//! The heaps that a workload runs on, and how a program is brought up on each.

use std::path::{Path, PathBuf};

use allograft_tests::{Launch, Mode, Stage};
use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::workload::Workload;

/// How a program comes by its heap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// Not at all: the C runtime's own.
    Untouched,
    /// mimalloc is linked in and called directly: the limit.
    Limit,
    /// As the limit, but the first half of the blocks is the system heap's, and the program itself
    /// tells them apart and gives them back.
    ByHand,
    /// `allograft run`.
    Early,
    /// The program loads the module in the middle of its preparation.
    Late,
    /// The program is linked with allograft's `mimalloc.dll`.
    Linked,
    /// The program is linked with an unmodified `mimalloc.dll`, which has allograft's
    /// `mimalloc-redirect.dll` beside it.
    Redirect,
    /// The program loads this DLL first of all; or, if it is a `mimalloc.dll`, is linked with it.
    Module(PathBuf),
}

/// A way with its name, ready to run programs.
#[derive(Debug)]
pub struct Configuration {
    /// Its name, for `--on` and in every table.
    pub name: String,
    /// How the program comes by its heap.
    pub way: Way,
    /// The programs, where they had to be laid beside a DLL.
    laid_out: Option<TempDir>,
}

/// The name of the limit, which the others are divided by.
pub const LIMIT: &str = "static";

/// The name of the C runtime's own heap.
pub const UNTOUCHED: &str = "crt";

/// The name of allograft from the start.
pub const EARLY: &str = "early";

/// The name of allograft that comes when half of the program's blocks are there.
pub const LATE: &str = "late";

/// The configurations that there always are.
const BUILT_IN: [(&str, Way); 8] = [
    (UNTOUCHED, Way::Untouched),
    (LIMIT, Way::Limit),
    // The limit once more: what its ratio to the limit differs from 1 by is what a session cannot
    // tell from nothing.
    ("again", Way::Limit),
    (EARLY, Way::Early),
    (LATE, Way::Late),
    ("by-hand", Way::ByHand),
    ("linked", Way::Linked),
    ("redirect", Way::Redirect),
];

/// The built-in configurations called `names`, all if none is named, and one for each DLL in
/// `modules`. The limit is always among them.
pub fn chosen(stage: &Stage, names: &[String], modules: &[PathBuf]) -> Result<Vec<Configuration>> {
    let known = BUILT_IN.map(|(name, _)| name);
    if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
        bail!("there is no configuration {unknown}; there are {}", known.join(", "));
    }
    let is_wanted =
        |name: &str| names.is_empty() || name == LIMIT || names.iter().any(|wanted| wanted == name);
    let mut chosen: Vec<Configuration> = BUILT_IN
        .into_iter()
        .filter(|(name, _)| is_wanted(name))
        .map(|(name, way)| Configuration { name: name.to_owned(), way, laid_out: None })
        .collect();
    for module in modules {
        let mut configuration = Configuration::of_module(stage, module)?;
        if chosen.iter().any(|other| other.name == configuration.name) {
            configuration.name = module.display().to_string();
        }
        chosen.push(configuration);
    }
    Ok(chosen)
}

impl Configuration {
    /// The built-in configuration called `name`.
    pub fn built_in(name: &str) -> Result<Configuration> {
        let (name, way) = BUILT_IN
            .into_iter()
            .find(|(known, _)| *known == name)
            .with_context(|| format!("there is no configuration {name}"))?;
        Ok(Configuration { name: name.to_owned(), way, laid_out: None })
    }

    fn of_module(stage: &Stage, module: &Path) -> Result<Configuration> {
        let module = module
            .canonicalize()
            .with_context(|| format!("there is no module {}", module.display()))?;
        let file = module.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let laid_out = if is_mimalloc(&module) { Some(beside(stage, &module)?) } else { None };
        Ok(Configuration { name: file, way: Way::Module(module), laid_out })
    }

    /// Whether `workload` is measured in it.
    pub fn takes(&self, workload: &Workload) -> bool {
        match self.way {
            Way::Untouched => !workload.is_about_the_old_heap(),
            Way::Early => true,
            Way::ByHand => workload.is_about_the_old_heap(),
            _ => workload.is_own(),
        }
    }

    /// Whether allograft's module writes a report in it.
    pub fn has_report(&self) -> bool {
        matches!(self.way, Way::Early | Way::Late | Way::Linked | Way::Redirect)
    }

    /// A launch of the bench's program `name`, which writes the reports of allograft's module into
    /// the folder `reports`.
    pub fn launch<'s>(&self, stage: &'s Stage, name: &str, reports: &Path) -> Launch<'s> {
        let launch = self.bare_launch(stage, name, reports);
        let module = stage.windows_path(&stage.bin.join("allograft.dll"));
        match &self.way {
            Way::Untouched | Way::Limit | Way::Linked | Way::Redirect => launch,
            Way::Early => launch.mode(Mode::Early),
            Way::ByHand => launch.env("BENCH_OLD", "1"),
            Way::Late => launch.env("BENCH_MODULE", module).env("BENCH_LATE", "1"),
            Way::Module(_) if self.laid_out.is_some() => launch,
            Way::Module(module) => launch.env("BENCH_MODULE", stage.windows_path(module)),
        }
    }

    /// A launch of a program that starts others: it has the module follow into them.
    pub fn launch_starting_others<'s>(
        &self,
        stage: &'s Stage,
        name: &str,
        reports: &Path,
    ) -> Launch<'s> {
        let launch = self.bare_launch(stage, name, reports);
        match self.way {
            Way::Early => launch
                .env("BENCH_MODULE", stage.windows_path(&stage.bin.join("allograft.dll")))
                .env("ALLOGRAFT_FOLLOW_CHILDREN", "1"),
            _ => launch,
        }
    }

    fn bare_launch<'s>(&self, stage: &'s Stage, name: &str, reports: &Path) -> Launch<'s> {
        Launch::new(stage, self.folder(stage).join(format!("{name}.exe")))
            .input("")
            .env("ALLOGRAFT_REPORT", stage.windows_path(&reports.join("report.json")))
    }

    fn folder(&self, stage: &Stage) -> PathBuf {
        if let Some(folder) = &self.laid_out {
            return folder.path().to_owned();
        }
        programs(
            stage,
            match self.way {
                Way::Limit | Way::ByHand => "limit",
                Way::Linked => "linked",
                Way::Redirect => "redirect",
                _ => "plain",
            },
        )
    }
}

/// The folder of the bench's programs of one kind.
fn programs(stage: &Stage, kind: &str) -> PathBuf {
    stage.bin.with_file_name("bench").join(kind)
}

fn is_mimalloc(module: &Path) -> bool {
    module.file_name().is_some_and(|name| name.eq_ignore_ascii_case("mimalloc.dll"))
}

/// A folder with the programs that are linked with a `mimalloc.dll`, `module` and the DLLs beside
/// it.
fn beside(stage: &Stage, module: &Path) -> Result<TempDir> {
    let folder = tempfile::tempdir().context("making a folder for programs")?;
    let copy_all = |from: &Path, extension: &str| -> Result<()> {
        let entries = from.read_dir().with_context(|| format!("reading {}", from.display()))?;
        for entry in entries {
            let file = entry?.path();
            if file.extension().is_some_and(|found| found.eq_ignore_ascii_case(extension)) {
                let to = folder.path().join(file.file_name().unwrap_or_default());
                std::fs::copy(&file, to).with_context(|| format!("copying {}", file.display()))?;
            }
        }
        Ok(())
    };
    copy_all(&programs(stage, "linked"), "exe")?;
    copy_all(module.parent().unwrap_or(Path::new(".")), "dll")?;
    Ok(folder)
}
