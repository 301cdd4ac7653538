//! The test programs and those of the bench: every C and C++ source in a folder, compiled by zig
//! for the Universal CRT.
//!
//! A comment in a source's first lines can say how it is built: `// build: shared` makes a DLL of
//! it, and `// build: args FLAGS` adds flags. A program can link a DLL of the folder with `-lNAME`:
//! the DLLs are built first.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::SystemTime;

use allograft_laboratory::{PROGRAM_FOLDER, PROGRAMS};
use allograft_tests::Target;
use anyhow::{Result, anyhow, bail};

use crate::files::{files_under, is_made_by, make_once, put, read};
use crate::layout;
use crate::step::{self, Step};

/// A comment in this many first lines of a source can say how it is built.
const DIRECTIVE_LINES: usize = 20;

/// A folder of programs, and how all of them are built.
pub struct Folder<'a> {
    /// What they are, for messages: "the test programs".
    pub what: &'a str,
    pub target: &'a Target,
    pub sources: &'a Path,
    /// The names of the programs to build; all, if there is no list. DLLs are built in any case,
    /// unless the list is empty.
    pub only: Option<&'a [String]>,
    /// Where the programs go, named after their sources.
    pub output: &'a Path,
    pub flags: &'a [&'a str],
    /// Objects and libraries.
    pub linked: &'a [PathBuf],
}

#[derive(Debug, PartialEq, Eq)]
struct Program {
    source: PathBuf,
    shared: bool,
    flags: Vec<String>,
}

impl Folder<'_> {
    fn wants(&self, program: &Program) -> bool {
        self.only.is_none_or(|names| {
            !names.is_empty() && (program.shared || names.contains(&program.name()))
        })
    }
}

/// Compiles with `zig` what is out of date in `folder`.
pub fn build(zig: &Path, folder: &Folder) -> Result<()> {
    let newest_input = newest_input(folder)?;
    let (libraries, programs): (Vec<_>, Vec<_>) = find(folder.sources)?
        .into_iter()
        .filter(|program| folder.wants(program) && program.is_stale(zig, folder, newest_input))
        .partition(|program| program.shared);
    let count = libraries.len() + programs.len();
    if count == 0 {
        return Ok(());
    }
    let step = Step::with_pieces(format!("compiling {}", folder.what), count as u64);
    compile_all(zig, folder, libraries, &step)?;
    compile_all(zig, folder, programs, &step)?;
    step.done();
    Ok(())
}

/// Compiles with `zig` the programs of `allograft verify` for `target`, and lays them out in
/// `folder`, where the launcher looks for them.
pub fn lay_out_for_verify(zig: &Path, target: &Target, folder: &Path) -> Result<()> {
    let stem = |file: &&str| file.rsplit_once('.').map_or(*file, |(stem, _)| stem).to_owned();
    let names: Vec<String> = PROGRAMS.iter().map(stem).collect();
    let output = layout::stage().join(target.folder).join("programs");
    build(
        zig,
        &Folder {
            what: "the programs of `allograft verify`",
            target,
            sources: &layout::root().join("tests/programs"),
            only: Some(&names),
            output: &output,
            flags: &[],
            linked: &[],
        },
    )?;
    let place = folder.join(PROGRAM_FOLDER).join(target.machine.to_string());
    PROGRAMS.iter().try_for_each(|file| put(&output.join(file), &place.join(file)))
}

/// Compiles as many at a time as there are processors.
fn compile_all(zig: &Path, folder: &Folder, programs: Vec<Program>, step: &Step) -> Result<()> {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let waiting = Mutex::new(programs);
    let next = || waiting.lock().ok()?.pop();
    let work = || -> Result<()> {
        while let Some(program) = next() {
            program.compile(zig, folder)?;
            step.advance();
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let outcomes = workers.into_iter().map(|worker| {
            worker.join().unwrap_or_else(|_| Err(anyhow!("compiling {} panicked", folder.what)))
        });
        // Collected first, so that all threads are joined.
        outcomes.collect::<Vec<_>>().into_iter().collect()
    })
}

pub fn zig_cc(zig: &Path, language: &str, target: &Target) -> Command {
    let mut command = Command::new(zig);
    command.args([language, "-target", &format!("{}-windows-gnu", target.zig)]);
    command
}

/// Runs a command of zig with its caches in the project's own.
pub fn run_zig(command: &mut Command) -> Result<()> {
    let cache = layout::cache()?.join("zig");
    command.env("ZIG_GLOBAL_CACHE_DIR", &cache).env("ZIG_LOCAL_CACHE_DIR", &cache);
    step::capture(command).map(drop)
}

fn find(sources: &Path) -> Result<Vec<Program>> {
    let mut programs = Vec::new();
    for source in files_under(sources)? {
        if source.extension().is_some_and(|extension| extension == "c" || extension == "cpp") {
            let text = read(&source)?;
            programs.push(Program::parse(source, &text)?);
        }
    }
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
                // A formatter may have moved it to the end of the line above.
                if line.contains(" build: ") {
                    bail!("{}: `{line}` does not begin with `// build:`", program.source.display());
                }
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

    fn name(&self) -> String {
        self.source.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }

    fn output(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{}.{}", self.name(), if self.shared { "dll" } else { "exe" }))
    }

    fn is_stale(&self, zig: &Path, folder: &Folder, newest_input: Option<SystemTime>) -> bool {
        let output = self.output(folder.output);
        let built = changed(&output);
        built.is_none()
            || changed(&self.source).max(newest_input) >= built
            || !is_made_by(&output, &step::shown(&self.command(zig, folder)))
    }

    fn command(&self, zig: &Path, folder: &Folder) -> Command {
        let is_cpp = self.source.extension().is_some_and(|extension| extension == "cpp");
        let developer_files = layout::stage().join(folder.target.folder);
        let mut command = zig_cc(zig, if is_cpp { "c++" } else { "cc" }, folder.target);
        command
            .args(["-O2", "-s", "-Wall", "-Wextra", "-Werror", "-I"])
            .arg(layout::root().join("include"))
            .arg("-I")
            .arg(developer_files.join("include"))
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
            .arg(developer_files.join("lib"))
            .args(&self.flags)
            .arg("-o")
            .arg(self.output(folder.output));
        command
    }

    fn compile(&self, zig: &Path, folder: &Folder) -> Result<()> {
        let mut command = self.command(zig, folder);
        let output = self.output(folder.output);
        // It is stale; by the same recipe, if an input has changed.
        fs::remove_file(&output).ok();
        make_once(&output, &step::shown(&command), || run_zig(&mut command))
    }
}

/// When the newest of the headers and of what is linked was changed. Every program counts as
/// depending on all of them.
fn newest_input(folder: &Folder) -> Result<Option<SystemTime>> {
    let mut inputs = folder.linked.to_vec();
    // The programs of the bench use the headers of the tests' too.
    let shared = ["include", "tests/programs"].map(|part| layout::root().join(part));
    for headers in [folder.sources, &shared[0], &shared[1]] {
        inputs.extend(files_under(headers)?.into_iter().filter(|file| {
            file.extension().is_some_and(|extension| extension == "h" || extension == "hpp")
        }));
    }
    Ok(inputs.iter().filter_map(|input| changed(input)).max())
}

fn changed(file: &Path) -> Option<SystemTime> {
    fs::metadata(file).and_then(|about| about.modified()).ok()
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
        for line in ["// build: static", "// What it is. build: shared"] {
            let error = Program::parse("a.c".into(), line).unwrap_err().to_string();
            assert!(error.contains("a.c") && error.contains(line), "{error}");
        }
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
