//! Copying files to where users and tests find them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Copies a file, making the folder that it goes into.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    make_folder_of(to)?;
    fs::copy(from, to)
        .map(drop)
        .with_context(|| format!("copying {} to {}", from.display(), to.display()))
}

/// Copies a text with each of `words` replaced by what stands beside it, making the folder that it
/// goes into.
pub fn fill_in(from: &Path, words: &[(&str, &str)], to: &Path) -> Result<()> {
    make_folder_of(to)?;
    let text = fs::read_to_string(from).with_context(|| format!("reading {}", from.display()))?;
    let text = words.iter().fold(text, |text, (word, value)| text.replace(word, value));
    fs::write(to, text).with_context(|| format!("writing {}", to.display()))
}

/// Writes a text that can be run by its name.
pub fn write_script(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("writing {}", file.display()))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(file, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

fn make_folder_of(file: &Path) -> Result<()> {
    match file.parent() {
        Some(folder) => {
            fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_filled_in_wherever_they_stand() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("from");
        fs::write(&from, "@A@ and @B@, @A@ again").unwrap();
        let to = folder.path().join("made/to");
        fill_in(&from, &[("@A@", "one"), ("@B@", "two")], &to).unwrap();
        assert_eq!(fs::read_to_string(to).unwrap(), "one and two, one again");
    }
}
