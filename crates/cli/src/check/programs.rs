//! The programs in a folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// How far below the folder programs are looked for, and how many are looked at.
const MAX_DEPTH: usize = 4;
const MAX_PROGRAMS: usize = 256;

/// The `.exe` files in `folder` and in the folders inside it, sorted. Links to folders are not
/// followed.
///
/// # Errors
///
/// If the folder itself cannot be read; those inside it that cannot be are left out.
pub fn below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut programs = Vec::new();
    let mut folders = vec![(folder.to_owned(), 0)];
    fs::read_dir(folder)?;
    while let Some((folder, depth)) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && depth < MAX_DEPTH => {
                    folders.push((entry.path(), depth + 1))
                }
                Ok(kind) if !kind.is_dir() && is_program(&entry.path()) => {
                    programs.push(entry.path())
                }
                _ => {}
            }
        }
        if programs.len() >= MAX_PROGRAMS {
            break;
        }
    }
    programs.sort();
    programs.truncate(MAX_PROGRAMS);
    Ok(programs)
}

fn is_program(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("exe"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_in_inner_folders_and_nothing_else_is() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("bin/x64")).unwrap();
        for file in ["a.exe", "b.dll", "bin/x64/C.EXE"] {
            fs::write(root.path().join(file), b"").unwrap();
        }
        let found = below(root.path()).unwrap();
        assert_eq!(found, [root.path().join("a.exe"), root.path().join("bin/x64/C.EXE")]);
    }
}
