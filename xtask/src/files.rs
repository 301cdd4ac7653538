//! Copying and making files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::layout;

/// Copies a file, and makes the folder that it goes into.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    make_folder_of(to)?;
    fs::copy(from, to)
        .map(drop)
        .with_context(|| format!("copying {} to {}", from.display(), to.display()))
}

/// Copies the files in `from` that are `wanted` into the folder `to`, not those of its subfolders.
pub fn copy_files(from: &Path, to: &Path, wanted: impl Fn(&Path) -> bool) -> Result<()> {
    for entry in fs::read_dir(from).with_context(|| format!("reading {}", from.display()))? {
        let entry = entry?;
        if wanted(&entry.path()) {
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// Copies a file as [`copy`] does, but a program that has the old one open keeps it whole.
pub fn put(from: &Path, to: &Path) -> Result<()> {
    let partial = layout::beside(to, "partial");
    copy(from, &partial)?;
    fs::rename(&partial, to).with_context(|| format!("writing {}", to.display()))
}

/// Copies a text with each of `words` replaced by its value, making the folder that it goes into.
pub fn fill_in(from: &Path, words: &[(&str, &str)], to: &Path) -> Result<()> {
    make_folder_of(to)?;
    let text = fs::read_to_string(from).with_context(|| format!("reading {}", from.display()))?;
    let text = words.iter().fold(text, |text, (word, value)| text.replace(word, value));
    fs::write(to, text).with_context(|| format!("writing {}", to.display()))
}

pub fn write_script(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("writing {}", file.display()))?;
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
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))
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
    make_folder_of(output)?;
    make()?;
    let file = recipe_file(output);
    fs::write(&file, recipe).with_context(|| format!("writing {}", file.display()))
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
    Ok(Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect())
}

/// All files under `folder`, sorted.
pub fn files_under(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries =
            fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            let found = if entry.file_type()?.is_dir() { &mut folders } else { &mut files };
            found.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

fn make_folder_of(file: &Path) -> Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))
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

    #[test]
    fn the_hash_of_a_file_is_the_one_that_everyone_computes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("abc");
        fs::write(&file, "abc").unwrap();
        assert_eq!(
            sha256_of(&file).unwrap(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
