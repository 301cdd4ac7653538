//! The heaps that a workload runs on, and how to launch a program on each.

use std::path::{Path, PathBuf};

use allograft_tests::{Launch, Mode, Stage};
use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::workload::{Runtime, Workload, WorkloadProgram};

/// How a program gets its heap; [`BUILT_IN`] explains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeapSource {
    Crt,
    Baseline,
    /// The baseline, called by the functions of the program's own runtime.
    Layered,
    ByHand,
    Early,
    Late,
    Exact,
    Linked,
    Redirect,
    /// The program loads this DLL first; or, if it is a `mimalloc.dll`, is linked with it.
    Module(PathBuf),
}

#[derive(Debug)]
pub struct Configuration {
    /// For `--on` and for every table.
    pub name: String,
    pub source: HeapSource,
    /// The programs, if they had to be copied beside a DLL.
    copies: Option<TempDir>,
}

pub const BASELINE: &str = "static";
pub const CRT: &str = "crt";
pub const EARLY: &str = "early";
pub const LATE: &str = "late";

/// The configurations with a name, and what each is.
pub const BUILT_IN: [(&str, HeapSource, &str); 10] = [
    (CRT, HeapSource::Crt, "the C runtime's own heap"),
    (BASELINE, HeapSource::Baseline, "the baseline: mimalloc linked in and called directly"),
    (
        "again",
        HeapSource::Baseline,
        "the baseline run a second time; its distance from 1.00 is the noise floor",
    ),
    (
        "layered",
        HeapSource::Layered,
        "the baseline in the place of HeapAlloc and its kin, in programs with the runtime linked in",
    ),
    (EARLY, HeapSource::Early, "started by allograft run"),
    (
        LATE,
        HeapSource::Late,
        "the module is loaded when half of the blocks exist, which stay in the old heap",
    ),
    ("exact", HeapSource::Exact, "early, with exact sizes"),
    (
        "by-hand",
        HeapSource::ByHand,
        "the baseline with the same half in the system's heap, freed there by the program itself",
    ),
    ("linked", HeapSource::Linked, "linked with allograft's mimalloc.dll"),
    (
        "redirect",
        HeapSource::Redirect,
        "linked with an unmodified mimalloc.dll, beside allograft's mimalloc-redirect.dll",
    ),
];

/// The built-in configurations called `names`, all if `names` is empty, and one for each DLL in
/// `modules`. The baseline is always among them.
pub fn select(stage: &Stage, names: &[String], modules: &[PathBuf]) -> Result<Vec<Configuration>> {
    let known = BUILT_IN.map(|(name, ..)| name);
    if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
        bail!("there is no configuration {unknown}; there are {}", known.join(", "));
    }
    let is_wanted = |name: &str| {
        names.is_empty() || name == BASELINE || names.iter().any(|other| other == name)
    };
    let wanted = BUILT_IN.into_iter().filter(|(name, ..)| is_wanted(name));
    let mut selected: Vec<_> =
        wanted.map(|(name, source, _)| Configuration::new(name, source)).collect();
    for module in modules {
        let mut configuration = Configuration::from_module(stage, module)?;
        if selected.iter().any(|other| other.name == configuration.name) {
            configuration.name = module.display().to_string();
        }
        selected.push(configuration);
    }
    Ok(selected)
}

impl Configuration {
    pub fn new(name: &str, source: HeapSource) -> Configuration {
        Configuration { name: name.to_owned(), source, copies: None }
    }

    /// The configuration in which a program loads allograft's module first, without a launcher.
    pub fn module_first(stage: &Stage) -> Configuration {
        Configuration::new("module", HeapSource::Module(stage.bin.join("allograft.dll")))
    }

    fn from_module(stage: &Stage, module: &Path) -> Result<Configuration> {
        let module = module
            .canonicalize()
            .with_context(|| format!("there is no module {}", module.display()))?;
        let name = module.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_mimalloc = name.eq_ignore_ascii_case("mimalloc.dll");
        let copies = is_mimalloc.then(|| copy_programs_beside(stage, &module)).transpose()?;
        Ok(Configuration { name, source: HeapSource::Module(module), copies })
    }

    pub fn is_suitable(&self, workload: &Workload) -> bool {
        match self.source {
            HeapSource::Crt => !workload.is_about_the_old_heap(),
            HeapSource::Early => true,
            HeapSource::Baseline | HeapSource::Late => workload.is_own(),
            // What it adds to the single calls.
            HeapSource::Exact => {
                matches!(workload.program, WorkloadProgram::Own("loops" | "kinds"))
                    && workload.runtime == Runtime::Shared
            }
            HeapSource::ByHand => workload.is_about_the_old_heap(),
            HeapSource::Layered => workload.runtime == Runtime::LinkedIn,
            // Programs with the runtime linked in are not linked with a mimalloc.dll too.
            _ => workload.is_own() && workload.runtime == Runtime::Shared,
        }
    }

    pub fn has_report(&self) -> bool {
        use HeapSource::{Early, Exact, Late, Linked, Redirect};
        matches!(self.source, Early | Exact | Late | Linked | Redirect)
    }

    /// A launch of the bench's program `name`. allograft's module writes its reports into the
    /// folder `reports`.
    pub fn launch<'s>(&self, stage: &'s Stage, name: &str, reports: &Path) -> Launch<'s> {
        self.launch_from(self.part(Runtime::Shared), stage, name, reports)
    }

    /// As [`Configuration::launch`], of the program that is built in the way `part`.
    pub fn launch_from<'s>(
        &self,
        part: &str,
        stage: &'s Stage,
        name: &str,
        reports: &Path,
    ) -> Launch<'s> {
        let launch = self.bare_launch(part, stage, name, reports);
        let module = stage.windows_path(&stage.bin.join("allograft.dll"));
        match &self.source {
            HeapSource::Early => launch.mode(Mode::Early),
            HeapSource::Exact => launch.mode(Mode::Early).env("ALLOGRAFT_EXACT_SIZES", "1"),
            HeapSource::ByHand => launch.env("BENCH_OLD", "1"),
            HeapSource::Late => launch.env("BENCH_MODULE", module).env("BENCH_LATE", "1"),
            HeapSource::Module(module) if self.copies.is_none() => {
                launch.env("BENCH_MODULE", stage.windows_path(module))
            }
            _ => launch,
        }
    }

    /// As [`Configuration::launch`], of a program that starts others, which get the module too.
    pub fn launch_parent<'s>(&self, stage: &'s Stage, name: &str, reports: &Path) -> Launch<'s> {
        let launch = self.bare_launch(self.part(Runtime::Shared), stage, name, reports);
        match self.source {
            HeapSource::Early => launch
                .env("BENCH_MODULE", stage.windows_path(&stage.bin.join("allograft.dll")))
                .env("ALLOGRAFT_FOLLOW_CHILDREN", "1"),
            _ => launch,
        }
    }

    /// The way in which programs are built for it.
    pub fn part(&self, runtime: Runtime) -> &'static str {
        match self.source {
            HeapSource::Baseline | HeapSource::ByHand => "baseline",
            HeapSource::Layered => "layered",
            HeapSource::Linked => "linked",
            HeapSource::Redirect => "redirect",
            _ if runtime == Runtime::LinkedIn => "linked-in",
            _ => "plain",
        }
    }

    fn bare_launch<'s>(
        &self,
        part: &str,
        stage: &'s Stage,
        name: &str,
        reports: &Path,
    ) -> Launch<'s> {
        let copies = self.copies.as_ref().map(|copies| copies.path().to_owned());
        let folder = copies.unwrap_or_else(|| programs(stage, part));
        Launch::new(stage, folder.join(format!("{name}.exe")))
            .input("")
            .env("ALLOGRAFT_REPORT", stage.windows_path(&reports.join("report.json")))
    }
}

/// The folder of the bench's programs that are linked in this way.
fn programs(stage: &Stage, part: &str) -> PathBuf {
    stage.bin.with_file_name("bench").join(part)
}

/// A folder with the programs that are linked with a `mimalloc.dll`, and with `module` and the DLLs
/// beside it.
fn copy_programs_beside(stage: &Stage, module: &Path) -> Result<TempDir> {
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
