//! The test programs and those of the bench: every C and C++ source in a folder, compiled by zig
//! for the Universal CRT.
//!
//! A comment in a source's first lines can say how it is built: `// build: shared` makes a DLL of
//! it, and `// build: args FLAGS` adds flags. A program can link a DLL of the folder with `-lNAME`:
//! the DLLs are built first.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::SystemTime;

use anyhow::{Context, Result, anyhow, bail};

use crate::layout;
use crate::machine::Machine;
use crate::step::{self, Step};

/// How many of a source's lines can say how it is built.
const DIRECTIVE_LINES: usize = 20;

/// A folder of programs, and how all of them are built.
pub struct Folder<'a> {
    /// What they are, for messages: "the test programs".
    pub what: &'a str,
    /// What they are built for.
    pub machine: Machine,
    /// Where their sources are.
    pub sources: &'a Path,
    /// Where the programs go, named after their sources.
    pub output: &'a Path,
    /// Flags that all of them are built with.
    pub flags: &'a [&'a str],
    /// Objects and libraries that all of them are linked with.
    pub linked: &'a [PathBuf],
}

/// One program.
#[derive(Debug, PartialEq, Eq)]
struct Program {
    source: PathBuf,
    shared: bool,
    flags: Vec<String>,
}

/// Compiles, by `zig`, what is out of date in `folder`.
pub fn build(zig: &Path, folder: &Folder) -> Result<()> {
    let output = folder.output;
    fs::create_dir_all(output).with_context(|| format!("making {}", output.display()))?;
    let inputs = newest_input(folder)?;
    let mut stale = Vec::new();
    for program in find(folder.sources)? {
        if program.is_stale(zig, folder, inputs) {
            stale.push(program);
        }
    }
    if stale.is_empty() {
        return Ok(());
    }
    let (libraries, programs): (Vec<_>, Vec<_>) =
        stale.into_iter().partition(|program| program.shared);
    let step =
        Step::of(format!("compiling {}", folder.what), (libraries.len() + programs.len()) as u64);
    compile_all(zig, folder, libraries, &step)?;
    compile_all(zig, folder, programs, &step)?;
    step.done();
    Ok(())
}

/// Compiles as many at a time as there are processors.
fn compile_all(zig: &Path, folder: &Folder, programs: Vec<Program>, step: &Step) -> Result<()> {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let waiting = Mutex::new(programs);
    let next = || waiting.lock().ok()?.pop();
    let work = || -> Result<()> {
        while let Some(program) = next() {
            program.compile(zig, folder)?;
            step.advance(1);
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let outcomes = workers.into_iter().map(|worker| {
            worker.join().unwrap_or_else(|_| Err(anyhow!("compiling {} panicked", folder.what)))
        });
        // All are waited for, the first failure is told.
        outcomes.collect::<Vec<_>>().into_iter().collect()
    })
}

fn find(sources: &Path) -> Result<Vec<Program>> {
    let mut programs = Vec::new();
    for entry in fs::read_dir(sources).with_context(|| format!("reading {}", sources.display()))? {
        let source = entry?.path();
        if source.extension().is_some_and(|extension| extension == "c" || extension == "cpp") {
            let text = fs::read_to_string(&source)
                .with_context(|| format!("reading {}", source.display()))?;
            programs.push(Program::parse(source, &text)?);
        }
    }
    programs.sort_by(|a, b| a.source.cmp(&b.source));
    if let Some(twins) =
        programs.windows(2).find(|pair| pair[0].source.file_stem() == pair[1].source.file_stem())
    {
        bail!(
            "{} and {} would both become one program",
            twins[0].source.display(),
            twins[1].source.display()
        );
    }
    Ok(programs)
}

impl Program {
    fn parse(source: PathBuf, text: &str) -> Result<Program> {
        let mut program = Program { source, shared: false, flags: Vec::new() };
        for line in text.lines().take(DIRECTIVE_LINES) {
            let Some(directive) = line.trim().strip_prefix("// build:") else {
                continue;
            };
            let mut words = directive.split_whitespace();
            match words.next() {
                Some("shared") => program.shared = true,
                Some("args") => program.flags.extend(words.map(str::to_owned)),
                _ => {
                    bail!("{}: `{line}` says neither `shared` nor `args`", program.source.display())
                }
            }
        }
        Ok(program)
    }

    fn output(&self, folder: &Path) -> PathBuf {
        let stem = self.source.file_stem().unwrap_or_default().to_string_lossy();
        folder.join(format!("{stem}.{}", if self.shared { "dll" } else { "exe" }))
    }

    /// The file beside the program that says by which command it was made.
    fn recipe(&self, folder: &Path) -> PathBuf {
        layout::beside(&self.output(folder), "command")
    }

    fn is_stale(&self, zig: &Path, folder: &Folder, inputs: Option<SystemTime>) -> bool {
        let changed = |path: &Path| fs::metadata(path).and_then(|about| about.modified());
        let output = self.output(folder.output);
        let (Ok(built), Ok(source)) = (changed(&output), changed(&self.source)) else {
            return true;
        };
        let command = step::shown(&self.command(zig, folder));
        source >= built
            || inputs.is_some_and(|input| input >= built)
            || !fs::read_to_string(self.recipe(folder.output)).is_ok_and(|recipe| recipe == command)
    }

    fn command(&self, zig: &Path, folder: &Folder) -> Command {
        let is_cpp = self.source.extension().is_some_and(|extension| extension == "cpp");
        let mut command = Command::new(zig);
        command
            .args([
                if is_cpp { "c++" } else { "cc" },
                "-target",
                folder.machine.zig_target(),
                "-O2",
                "-s",
            ])
            .args(["-Wall", "-Wextra", "-Werror", "-I"])
            .arg(layout::root().join("include"))
            .arg("-I")
            .arg(folder.machine.stage().join("include"))
            .args(folder.flags)
            .arg(&self.source)
            .args(folder.linked);
        if self.shared {
            command.arg("-shared");
        }
        command
            .arg("-L")
            .arg(folder.output)
            .arg("-L")
            .arg(folder.machine.stage().join("lib"))
            .args(&self.flags)
            .arg("-o")
            .arg(self.output(folder.output));
        command
    }

    fn compile(&self, zig: &Path, folder: &Folder) -> Result<()> {
        let mut command = self.command(zig, folder);
        let recipe = step::shown(&command);
        let cache = layout::cache()?.join("zig");
        command.env("ZIG_GLOBAL_CACHE_DIR", &cache).env("ZIG_LOCAL_CACHE_DIR", &cache);
        step::capture(&mut command)?;
        fs::write(self.recipe(folder.output), recipe)
            .with_context(|| format!("writing to {}", folder.output.display()))
    }
}

/// When the newest of the headers and of what is linked was changed; every program counts as
/// depending on all of them.
fn newest_input(folder: &Folder) -> Result<Option<SystemTime>> {
    let mut newest = None;
    for linked in folder.linked {
        newest = newest.max(fs::metadata(linked).and_then(|about| about.modified()).ok());
    }
    // The programs of the bench use the headers of the tests' too.
    let shared = ["include", "tests/programs"].map(|part| layout::root().join(part));
    for headers in [folder.sources, &shared[0], &shared[1]] {
        newest = newest.max(newest_header(headers)?);
    }
    Ok(newest)
}

/// When the newest header in `folder` was changed, if there is one.
fn newest_header(folder: &Path) -> Result<Option<SystemTime>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        entries => entries.with_context(|| format!("reading {}", folder.display()))?,
    };
    let mut newest = None;
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "h" || extension == "hpp") {
            newest = newest.max(Some(entry.metadata()?.modified()?));
        }
    }
    Ok(newest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_says_how_it_is_built() {
        let text = "// What it is.\n// build: shared\n// build: args -municode -lfoo\nint x;\n";
        let program = Program::parse("a.c".into(), text).unwrap();
        assert!(program.shared);
        assert_eq!(program.flags, ["-municode", "-lfoo"]);
        assert_eq!(program.output(Path::new("out")), Path::new("out/a.dll"));
    }

    #[test]
    fn a_plain_source_becomes_a_program_and_a_later_line_says_nothing() {
        let text = format!("{}// build: shared\n", "\n".repeat(DIRECTIVE_LINES));
        let program = Program::parse("a.cpp".into(), &text).unwrap();
        assert_eq!(program, Program { source: "a.cpp".into(), shared: false, flags: vec![] });
        assert_eq!(program.output(Path::new("out")), Path::new("out/a.exe"));
    }

    #[test]
    fn an_unknown_word_is_rejected_with_its_line() {
        let error = Program::parse("a.c".into(), "// build: static\n").unwrap_err().to_string();
        assert!(error.contains("a.c") && error.contains("build: static"), "{error}");
    }

    #[test]
    fn two_sources_of_one_name_are_rejected() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["same.c", "same.cpp"] {
            fs::write(folder.path().join(name), "int x;\n").unwrap();
        }
        assert!(find(folder.path()).unwrap_err().to_string().contains("same.cpp"));
    }
}
