//! Copying and making files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::layout;

pub fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))
}

/// Writes a file, and makes the folder that it goes into.
pub fn write(file: &Path, text: &str) -> Result<()> {
    make_folder(file.parent().unwrap_or(Path::new(".")))?;
    fs::write(file, text).with_context(|| format!("writing {}", file.display()))
}

pub fn make_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))
}

/// The paths of what is in `folder`, sorted.
pub fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let read = || fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>();
    let mut paths: Vec<_> = read().with_context(|| format!("reading {}", folder.display()))?;
    paths.sort();
    Ok(paths)
}

/// Copies a file, and makes the folder that it goes into.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    make_folder(to.parent().unwrap_or(Path::new(".")))?;
    fs::copy(from, to)
        .map(drop)
        .with_context(|| format!("copying {} to {}", from.display(), to.display()))
}

/// Copies the files in `from` that are `wanted` into the folder `to`, not those of its subfolders.
pub fn copy_files(from: &Path, to: &Path, wanted: impl Fn(&Path) -> bool) -> Result<()> {
    let mut files = entries(from)?.into_iter().filter(|file| wanted(file));
    files.try_for_each(|file| copy(&file, &to.join(file.file_name().unwrap_or_default())))
}

/// Copies a file as [`copy`] does, but a program that has the old one open keeps it whole.
pub fn put(from: &Path, to: &Path) -> Result<()> {
    let partial = layout::beside(to, "partial");
    copy(from, &partial)?;
    fs::rename(&partial, to).with_context(|| format!("writing {}", to.display()))
}

/// Copies a text with each of `words` replaced by its value, making the folder that it goes into.
pub fn fill_in(from: &Path, words: &[(&str, &str)], to: &Path) -> Result<()> {
    let text = words.iter().fold(read(from)?, |text, (word, value)| text.replace(word, value));
    write(to, &text)
}

pub fn write_script(file: &Path, text: &str) -> Result<()> {
    write(file, text)?;
    make_executable(file)
}

#[cfg_attr(not(unix), expect(unused_variables, reason = "Windows has no such permission"))]
pub fn make_executable(file: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(file, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// Makes `folder`; what was there before is removed.
pub fn make_empty(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    make_folder(folder)
}

/// Gives a complete folder its name, unless `is_there` says that another run was faster. What had
/// the name before is removed.
pub fn publish(partial: &Path, folder: &Path, is_there: impl Fn() -> bool) -> Result<()> {
    if folder.exists() && !is_there() {
        fs::remove_dir_all(folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    match fs::rename(partial, folder) {
        Err(_) if is_there() => Ok(fs::remove_dir_all(partial)?),
        outcome => outcome.with_context(|| format!("making {}", folder.display())),
    }
}

/// Runs `make`, which makes `output`, unless it was made by the same `recipe` before. The recipe is
/// kept in a file beside the output.
pub fn make_once(output: &Path, recipe: &str, make: impl FnOnce() -> Result<()>) -> Result<()> {
    if is_made_by(output, recipe) {
        return Ok(());
    }
    make_folder(output.parent().unwrap_or(Path::new(".")))?;
    make()?;
    write(&recipe_file(output), recipe)
}

/// Whether [`make_once`] has made `output` by this recipe.
pub fn is_made_by(output: &Path, recipe: &str) -> bool {
    output.is_file() && fs::read_to_string(recipe_file(output)).is_ok_and(|made| made == recipe)
}

fn recipe_file(output: &Path) -> PathBuf {
    layout::beside(output, "command")
}

/// The SHA-256 of a file, in lower-case hexadecimal digits.
pub fn sha256_of(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(hex(&Sha256::digest(bytes)))
}

/// `bytes` in lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// All files under `folder`, sorted.
pub fn files_under(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in entries(&folder)? {
            let is_folder = fs::symlink_metadata(&path)?.is_dir();
            let found = if is_folder { &mut folders } else { &mut files };
            found.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_filled_in_everywhere() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("from");
        fs::write(&from, "@A@ and @B@, @A@ again").unwrap();
        let to = folder.path().join("made/to");
        fill_in(&from, &[("@A@", "one"), ("@B@", "two")], &to).unwrap();
        assert_eq!(fs::read_to_string(to).unwrap(), "one and two, one again");
    }

    #[test]
    fn a_file_is_made_again_only_by_another_recipe() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("output");
        let made = |recipe: &str| {
            let mut is_made = false;
            make_once(&output, recipe, || {
                is_made = true;
                Ok(fs::write(&output, "")?)
            })
            .unwrap();
            is_made
        };
        assert_eq!([made("one"), made("one"), made("two")], [true, false, true]);
    }
}
