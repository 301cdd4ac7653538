//! The hashes of everything that is handed out.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::files::{files_under, sha256_of};

/// The file with the hashes of all the others.
const SUMS: &str = "SHA256SUMS";

/// Writes the hashes of all files under `folder`, in the format of `sha256sum`.
pub fn write(folder: &Path) -> Result<()> {
    let mut sums = String::new();
    for file in files_under(folder)? {
        let name = file.strip_prefix(folder)?.to_string_lossy().replace('\\', "/");
        sums.push_str(&format!("{}  {name}\n", sha256_of(&file)?));
    }
    fs::write(folder.join(SUMS), sums).with_context(|| format!("writing {SUMS}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_below_is_in_the_sums() {
        let folder = tempfile::tempdir().unwrap();
        copy_text(folder.path(), "b.txt", "abc");
        copy_text(folder.path(), "in/a.txt", "abc");
        write(folder.path()).unwrap();
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
