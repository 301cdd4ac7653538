//! `cargo xtask dist`: the folder that a user downloads.

mod licences;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::compile::{self, Output, Variant};
use crate::crt;
use crate::layout;
use crate::mimalloc::Mimalloc;
use crate::redirect;
use crate::setup::{self, sha256_of};
use crate::step::{self, Step};
use licences::Linked;

/// The file with the hashes of all the others.
const SUMS: &str = "SHA256SUMS";

/// Builds the modules and the launcher and lays them out under `output` (`dist` in the checkout if there is none), with everything
/// that belongs to them.
pub fn run(output: Option<&Path>) -> Result<()> {
    let environment = setup::run(&crt::default())?;
    let linked = Linked::read()?;
    let parent = output.map_or_else(|| layout::root().join("dist"), Path::to_owned);
    let folder = parent.join(format!("allograft-{}-x86_64", linked.version));
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;

    for name in ["include/allograft.h", "LICENSE", "README.md"] {
        copy(&layout::root().join(name), &folder.join(name))?;
    }
    linked.copy_licences(&folder.join("licences"))?;

    // The special build first: what stays in cargo's folder is the ordinary one.
    let avx2 = build(
        &environment,
        "the module for AVX2",
        Variant {
            avx2: true,
            ..Variant::default()
        },
    )?;
    copy(&avx2.module, &folder.join("allograft-avx2.dll"))?;
    let ordinary = build(
        &environment,
        "the module and the launcher",
        Variant::default(),
    )?;
    copy(&ordinary.module, &folder.join("allograft.dll"))?;
    copy(&ordinary.launcher, &folder.join("allograft.exe"))?;
    let step = Step::begin("dist: building mimalloc.dll");
    lay_out_mimalloc(&environment, &folder, &linked.version)?;
    step.done();
    write_sums(&folder)?;
    step::say(&format!("laid out: {}", folder.display()));
    Ok(())
}

/// `mimalloc.dll`, what programs that link with it are built with, and the module for those that have a `mimalloc.dll` already.
fn lay_out_mimalloc(environment: &setup::Environment, folder: &Path, version: &str) -> Result<()> {
    let mimalloc = Mimalloc::build(environment.rust, Variant::default(), Output::Quiet)?;
    copy(&mimalloc.dll, &folder.join("mimalloc.dll"))?;
    copy(
        &mimalloc.import_library,
        &folder.join("lib/libmimalloc.dll.a"),
    )?;
    mimalloc.write_msvc_library(&environment.zig, &folder.join("lib/mimalloc.dll.lib"))?;
    mimalloc.copy_headers(&folder.join("include"))?;
    let redirect = redirect::build(environment.rust, Variant::default(), Output::Quiet)?;
    copy(&redirect, &folder.join("mimalloc-redirect.dll"))?;
    for (file, to) in [
        ("allograft-config.cmake", "lib/cmake/allograft"),
        ("allograft-config-version.cmake", "lib/cmake/allograft"),
        ("allograft.pc", "lib/pkgconfig"),
    ] {
        fill_in(file, version, &folder.join(to).join(file))?;
    }
    Ok(())
}

/// Copies a file of `xtask/packaging` with the version filled in.
fn fill_in(file: &str, version: &str, to: &Path) -> Result<()> {
    copy(&layout::own("packaging").join(file), to)?;
    let text = fs::read_to_string(to).with_context(|| format!("reading {}", to.display()))?;
    fs::write(to, text.replace("@VERSION@", version))
        .with_context(|| format!("writing {}", to.display()))
}

fn build(environment: &setup::Environment, what: &str, variant: Variant) -> Result<compile::Built> {
    let step = Step::begin(format!("dist: building {what}"));
    let built = compile::windows(environment.rust, variant, Output::Quiet)?;
    step.done();
    Ok(built)
}

/// Copies a file, making the folder that it goes into.
fn copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    fs::copy(from, to)
        .map(drop)
        .with_context(|| format!("copying {} to {}", from.display(), to.display()))
}

/// Writes the hashes of all files under `folder`, in the format of `sha256sum`.
fn write_sums(folder: &Path) -> Result<()> {
    let mut sums = String::new();
    for file in files_under(folder)? {
        let name = file
            .strip_prefix(folder)?
            .to_string_lossy()
            .replace('\\', "/");
        sums.push_str(&format!("{}  {name}\n", sha256_of(&file)?));
    }
    fs::write(folder.join(SUMS), sums).with_context(|| format!("writing {SUMS}"))
}

fn files_under(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in
            fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))?
        {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path)
            } else {
                files.push(path)
            }
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_below_is_in_the_sums() {
        let folder = tempfile::tempdir().unwrap();
        copy_text(folder.path(), "b.txt", "abc");
        copy_text(folder.path(), "in/a.txt", "abc");
        write_sums(folder.path()).unwrap();
        let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let sums = fs::read_to_string(folder.path().join(SUMS)).unwrap();
        assert_eq!(sums, format!("{hash}  b.txt\n{hash}  in/a.txt\n"));
    }

    fn copy_text(folder: &Path, name: &str, text: &str) {
        let file = folder.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
}
