//! Where the program that a user names is to be found.
//!
//! The system's own search would look beside `allograft.exe` first and does not tell what it found;
//! a user expects what a command prompt does: the path as given, or else the current folder, then
//! the folders of `PATH`.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// What the search found.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// A file to be started as a program.
    Program(PathBuf),
    /// A batch file, which no module can be loaded into: its interpreter would run, not a program
    /// of its own.
    Batch(PathBuf),
    /// Nothing of that name.
    Nothing,
}

/// Looks for the program `name`, relative to the folder `current` and then in the `folders` of the
/// search path.
///
/// A name with a folder in it is looked for there alone. `.exe` may be left off. `is_file` says
/// whether there is a file at a path.
pub fn find(
    name: &OsStr,
    current: &Path,
    folders: &[PathBuf],
    is_file: impl Fn(&Path) -> bool,
) -> Found {
    let mut places = vec![current];
    if !names_a_folder(name) {
        places.extend(folders.iter().map(PathBuf::as_path));
    }
    for place in &places {
        for candidate in candidates(name) {
            let path = place.join(candidate);
            if is_file(&path) {
                return if is_batch(&path) { Found::Batch(path) } else { Found::Program(path) };
            }
        }
    }
    Found::Nothing
}

/// The file names that `name` can mean, the likeliest first.
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

/// Whether `name` says where to look, be it with a folder or only with a drive.
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
    fn search(name: &str, files: &[&str]) -> Found {
        let folders = ["bin".into(), "tools".into()];
        find(OsStr::new(name), Path::new("here"), &folders, |path| {
            files.iter().any(|file| Path::new(file) == path)
        })
    }

    fn program(path: &str) -> Found {
        Found::Program(path.into())
    }

    #[test]
    fn the_current_folder_goes_before_the_search_path() {
        let files = ["tools/z3.exe", "bin/z3.exe", "here/z3.exe"];
        assert_eq!(search("z3.exe", &files), program("here/z3.exe"));
        assert_eq!(search("z3.exe", &files[..2]), program("bin/z3.exe"));
        assert_eq!(search("z3.exe", &files[..1]), program("tools/z3.exe"));
    }

    #[test]
    fn the_extension_of_a_program_may_be_left_off() {
        assert_eq!(search("java", &["bin/java.exe"]), program("bin/java.exe"));
        assert_eq!(search("python3.12", &["bin/python3.12.exe"]), program("bin/python3.12.exe"));
    }

    #[test]
    fn a_program_goes_before_another_file_of_the_bare_name() {
        assert_eq!(search("java", &["here/java", "here/java.exe"]), program("here/java.exe"));
        assert_eq!(search("java", &["here/java"]), program("here/java"));
    }

    #[test]
    fn a_name_with_a_folder_is_not_looked_for_in_the_search_path() {
        assert_eq!(search("sub/z3", &["bin/sub/z3.exe"]), Found::Nothing);
        assert_eq!(search("sub/z3", &["here/sub/z3.exe"]), program("here/sub/z3.exe"));
    }

    #[test]
    fn a_batch_file_is_told_from_a_program() {
        assert_eq!(search("npm", &["bin/npm.cmd"]), Found::Batch("bin/npm.cmd".into()));
        assert_eq!(search("Build.BAT", &["here/Build.BAT"]), Found::Batch("here/Build.BAT".into()));
    }

    #[test]
    fn a_name_that_is_nowhere_is_not_found() {
        assert_eq!(search("nothing", &["bin/something.exe"]), Found::Nothing);
    }
}
