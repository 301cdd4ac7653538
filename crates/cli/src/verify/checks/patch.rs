//! `allograft patch`, on copies of a program with each value of DependentLoadFlags: patched, and on
//! mimalloc; or refused in words.

use crate::verify::check::{Context, Finding, Outcome, REPORT_IT, Shortfall, expect_code};
use crate::verify::runner::Launch;
use allograft_image::{Image, ImageFile};
use std::fs;
use std::path::{Path, PathBuf};

/// The `LOAD_LIBRARY_SEARCH_…` flags one by one, none, and the combinations that linkers' manuals
/// show.
const FLAGS: [u16; 8] = [0, 0x100, 0x200, 0x400, 0x800, 0x1000, 0xA00, 0xC00];

/// What the program prints where its heap was taken over.
const ON_MIMALLOC: &str = "on mimalloc";

pub fn run(context: &Context<'_>) -> Vec<Finding> {
    let judge = |flags| {
        Finding::new(format!("DependentLoadFlags {flags:#x}"), patch_and_undo(context, flags))
    };
    let few = [0, 0x200, 0x800];
    let flags = context.effort.pick(&few[..], &FLAGS, &FLAGS);
    flags.iter().copied().map(judge).collect()
}

fn patch_and_undo(context: &Context<'_>, flags: u16) -> Result<String, Shortfall> {
    let program = context.scratch.join(format!("program{flags:x}.exe"));
    let finds_module = copy_with_flags(&context.program("patched.exe"), &program, flags)?;
    let original = read(&program)?;
    // A copy that the system does not start would prove nothing.
    let plain = context.runner.run(&Launch::new(&program))?;
    expect_code(&plain, 0)?;

    let patch = context.allograft().args(["patch", "--with-module"]).arg(&program);
    let run = context.runner.run(&patch)?;
    if !finds_module {
        expect_code(&run, 125)?;
        return match run.errors.contains("/DEPENDENTLOADFLAG") {
            true => Ok("refused in words: the system would not find the module".to_owned()),
            false => Err(Outcome::failed_in(&run, "it was refused without the reason")),
        };
    }
    expect_code(&run, 0)?;
    let patched = program.with_file_name(format!("program{flags:x}-allograft.exe"));
    let run = context.runner.run(&Launch::new(&patched)).map_err(|error| Outcome::Failed {
        what: format!("the patched program does not start: {error}"),
        advice: REPORT_IT.to_owned(),
        command: Some(patch.shown()),
    })?;
    expect_code(&run, 0)?;
    if !run.output.lines().any(|line| line == ON_MIMALLOC) {
        return Err(Outcome::failed_in(&run, "the patched program is not on mimalloc"));
    }
    let undone = context.scratch.join(format!("undone{flags:x}.exe"));
    let undo = context.allograft().args(["patch", "--undo", "--output"]).arg(&undone);
    let run = context.runner.run(&undo.arg(&patched))?;
    expect_code(&run, 0)?;
    if read(&undone)? != original {
        return Err(Outcome::failed_in(&run, "--undo does not give back the original"));
    }
    Ok("patched, on mimalloc, and undone to the last byte".to_owned())
}

/// Copies `program` with these flags in its load configuration. Returns whether the loader looks
/// for its imports where the module is put.
fn copy_with_flags(program: &Path, copy: &PathBuf, flags: u16) -> Result<bool, Shortfall> {
    let mut bytes = read(program)?;
    let place = place_of_flags(&bytes).ok_or_else(|| {
        Outcome::failed(format!("{} has no DependentLoadFlags to set", program.display()))
    })?;
    bytes[place..place + 2].copy_from_slice(&flags.to_le_bytes());
    fs::write(copy, &bytes).map_err(|source| cannot("write", copy, &source))?;
    let file = ImageFile::open(copy).map_err(|source| Outcome::failed(source.to_string()))?;
    let image = Image::parse(file.data()).map_err(|source| Outcome::failed(source.to_string()))?;
    if image.dependent_load_flags() != flags {
        return Err(Outcome::failed(format!("{} did not take the flags", copy.display())));
    }
    Ok(image.finds_imports_beside_program())
}

/// Where in the file the flags are.
fn place_of_flags(bytes: &[u8]) -> Option<usize> {
    /// The directory's number, and the offsets of the field in it (winnt.h).
    const LOAD_CONFIGURATION: usize = 10;
    const OFFSET_64: usize = 0x4E;
    const OFFSET_32: usize = 0x36;

    let image = Image::parse(bytes).ok()?;
    let offset = if image.headers().machine.is_64()? { OFFSET_64 } else { OFFSET_32 };
    let configuration = image.bytes_at(image.directory(LOAD_CONFIGURATION)?.address)?;
    let field = configuration.get(offset..offset + 2)?;
    Some(field.as_ptr() as usize - bytes.as_ptr() as usize)
}

fn read(path: &Path) -> Result<Vec<u8>, Shortfall> {
    fs::read(path).map_err(|source| cannot("read", path, &source))
}

fn cannot(action: &str, path: &Path, source: &std::io::Error) -> Shortfall {
    Outcome::failed(format!("cannot {action} {}: {source}", path.display()))
}
