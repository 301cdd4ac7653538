//! The search for the program that a user names.
//!
//! The system's own search looks beside `allograft.exe` first and does not return what it found. A
//! user expects what a command prompt does: the path as given, or else the current folder, then the
//! folders of `PATH`.

use crate::error::Error;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf, absolute};

/// Finds the file of the program `name`. `.exe` may be left off.
pub fn locate(name: &OsStr) -> Result<PathBuf, Error> {
    let current = std::env::current_dir()
        .map_err(|source| Error::system("find the current folder", source))?;
    let variable = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&variable).collect();
    let path =
        find(name, &current, &folders, is_file).ok_or_else(|| Error::program_not_found(name))?;
    let path = absolute(&path).unwrap_or(path);
    if is_batch(&path) {
        let reason = "it is a batch file; name the program that it starts";
        return Err(Error::not_executable(&path, reason));
    }
    Ok(path)
}

/// Looks for `name` in the folder `current`, then in `folders` unless the name has a folder in it.
fn find(
    name: &OsStr,
    current: &Path,
    folders: &[PathBuf],
    is_file: impl Fn(&Path) -> bool,
) -> Option<PathBuf> {
    let mut places = vec![current];
    if !names_a_folder(name) {
        places.extend(folders.iter().map(PathBuf::as_path));
    }
    let names = candidates(name);
    places
        .iter()
        .flat_map(|place| names.iter().map(|name| place.join(name)))
        .find(|path| is_file(path))
}

/// Whether there is a file at `path`. Programs of the Microsoft Store are links that only the
/// system can follow, so every link counts as a file.
fn is_file(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|metadata| !metadata.is_dir())
}

/// The file names that `name` can mean, in the order in which they are looked for.
fn candidates(name: &OsStr) -> Vec<OsString> {
    let with = |extension: &str| {
        let mut longer = name.to_os_string();
        longer.push(extension);
        longer
    };
    let has_extension = Path::new(name).extension().is_some();
    let mut names = if has_extension {
        vec![name.to_os_string(), with(".exe")]
    } else {
        vec![with(".exe"), name.to_os_string()]
    };
    names.extend([with(".cmd"), with(".bat")]);
    names
}

fn names_a_folder(name: &OsStr) -> bool {
    name.as_encoded_bytes().iter().any(|byte| matches!(byte, b'/' | b'\\' | b':'))
}

fn is_batch(path: &Path) -> bool {
    path.extension().is_some_and(|extension| {
        extension.eq_ignore_ascii_case("bat") || extension.eq_ignore_ascii_case("cmd")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Searches for `name` from the folder `here`, with `bin` and `tools` in the search path, on a
    /// disk that holds `files`.
    fn search(name: &str, files: &[&str]) -> Option<PathBuf> {
        let folders = ["bin".into(), "tools".into()];
        find(OsStr::new(name), Path::new("here"), &folders, |path| {
            files.iter().any(|file| Path::new(file) == path)
        })
    }

    #[test]
    fn programs_are_found_where_a_command_prompt_finds_them() {
        let everywhere = ["tools/z3.exe", "bin/z3.exe", "here/z3.exe"];
        for (name, files, found) in [
            // The current folder goes before the search path.
            ("z3.exe", &everywhere[..], Some("here/z3.exe")),
            ("z3.exe", &everywhere[..2], Some("bin/z3.exe")),
            ("z3.exe", &everywhere[..1], Some("tools/z3.exe")),
            // The extension of a program may be left off.
            ("java", &["bin/java.exe"], Some("bin/java.exe")),
            ("python3.12", &["bin/python3.12.exe"], Some("bin/python3.12.exe")),
            // A program goes before another file of the bare name.
            ("java", &["here/java", "here/java.exe"], Some("here/java.exe")),
            ("java", &["here/java"], Some("here/java")),
            // A name with a folder is not looked for in the search path.
            ("sub/z3", &["bin/sub/z3.exe"], None),
            ("sub/z3", &["here/sub/z3.exe"], Some("here/sub/z3.exe")),
            // A batch file is found, to be refused.
            ("npm", &["bin/npm.cmd"], Some("bin/npm.cmd")),
            ("nothing", &["bin/something.exe"], None),
        ] {
            assert_eq!(search(name, files), found.map(PathBuf::from), "{name} among {files:?}");
        }
    }

    #[test]
    fn a_batch_file_is_refused() {
        assert!(is_batch(Path::new("bin/npm.cmd")) && is_batch(Path::new("here/Build.BAT")));
        assert!(!is_batch(Path::new("here/bat.exe")));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("Build.BAT");
        std::fs::write(&path, "echo").unwrap();
        let error = locate(path.as_os_str()).unwrap_err();
        assert_eq!(error.exit_code, 126);
        assert!(error.to_string().contains("batch file"), "{error}");
    }
}
