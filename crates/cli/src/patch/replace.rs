//! Writing a file whole or not at all.

use super::Refusal;
use allograft_image::ImageFile;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Most backups of one image.
const MAX_BACKUPS: u32 = 100;

/// A file that lies beside the one whose place it is to take. Dropped before it did, it is removed.
#[derive(Debug)]
pub struct Replacement {
    path: PathBuf,
    temporary: PathBuf,
}

impl Replacement {
    /// Writes `pieces`, one behind the other, to a temporary file beside `path` with the
    /// permissions of the file `like`.
    pub fn write(path: &Path, like: &Path, pieces: &[&[u8]]) -> Result<Replacement, Refusal> {
        let replacement = Replacement {
            path: path.to_owned(),
            temporary: with_suffix(path, &format!(".{}.tmp", std::process::id())),
        };
        write_new(&replacement.temporary, like, pieces).map_err(|error| refusal(path, &error))?;
        Ok(replacement)
    }

    /// The temporary file.
    pub fn file(&self) -> &Path {
        &self.temporary
    }

    /// Lets it take its place. If that fails, what was there stays what it was.
    pub fn take_place(self) -> Result<(), Refusal> {
        refuse_if_in_use(&self.path)?;
        fs::rename(&self.temporary, &self.path).map_err(|error| refusal(&self.path, &error))
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        // It may have taken its place, or never have come to be.
        let _ = fs::remove_file(&self.temporary);
    }
}

fn write_new(path: &Path, like: &Path, pieces: &[&[u8]]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    for piece in pieces {
        file.write_all(piece)?;
    }
    file.set_permissions(writable(fs::metadata(like)?.permissions()))?;
    file.sync_all()
}

/// A read-only image gives a result that can be patched or undone again.
#[cfg(windows)]
#[expect(
    clippy::permissions_set_readonly_false,
    reason = "on Windows this clears one attribute and grants nobody anything"
)]
fn writable(mut permissions: fs::Permissions) -> fs::Permissions {
    permissions.set_readonly(false);
    permissions
}

#[cfg(not(windows))]
fn writable(permissions: fs::Permissions) -> fs::Permissions {
    permissions
}

/// Refuses if `path` is there and cannot be replaced, as a running program cannot: opening it for
/// writing tells, without changing it.
pub fn refuse_if_in_use(path: &Path) -> Result<(), Refusal> {
    match OpenOptions::new().write(true).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(refusal(path, &error)),
    }
}

fn refusal(path: &Path, error: &io::Error) -> Refusal {
    let path = path.display();
    if is_in_use(error) {
        return format!(
            "{path} is in use: end the program that runs it or holds it open, then try again"
        );
    }
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            format!(
                "no permission to write {path}: run allograft with the rights to, or choose another place with --output"
            )
        }
        _ => format!("cannot write {path}: {error}"),
    }
}

/// Whether the file cannot be written because a process runs it, maps it or holds it open.
fn is_in_use(error: &io::Error) -> bool {
    // ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION, ERROR_USER_MAPPED_FILE.
    let is_shared = cfg!(windows) && matches!(error.raw_os_error(), Some(32 | 33 | 1224));
    is_shared || error.kind() == io::ErrorKind::ExecutableFileBusy
}

/// Where the backup of `image` goes, and whether it is there already. A backup with other contents
/// is never overwritten.
pub fn backup_of(image: &Path) -> Result<(PathBuf, bool), Refusal> {
    let original = original_of(image)?;
    for number in 0..MAX_BACKUPS {
        let suffix = if number == 0 { ".bak".to_owned() } else { format!(".bak{number}") };
        let backup = with_suffix(image, &suffix);
        if backup.symlink_metadata().is_err() {
            return Ok((backup, false));
        }
        if holds(&backup, &[original.data()]) {
            return Ok((backup, true));
        }
    }
    Err(format!(
        "there are {MAX_BACKUPS} backups of it beside it: delete those that are not needed"
    ))
}

/// The image, to be copied.
pub fn original_of(image: &Path) -> Result<ImageFile, Refusal> {
    ImageFile::open(image).map_err(|error| format!("no backup could be made: {error}"))
}

/// Whether the file at `path` holds just `pieces`, one behind the other.
pub fn holds(path: &Path, pieces: &[&[u8]]) -> bool {
    let Ok(file) = ImageFile::open(path) else {
        return false;
    };
    let rest = pieces.iter().try_fold(file.data(), |rest, piece| rest.strip_prefix(*piece));
    rest.is_some_and(<[u8]>::is_empty)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_a_program_runs_is_said_to_be_in_use() {
        let line = refusal(Path::new("a.exe"), &io::ErrorKind::ExecutableFileBusy.into());
        assert_eq!(
            line,
            "a.exe is in use: end the program that runs it or holds it open, then try again"
        );
    }

    #[test]
    fn a_replacement_that_is_given_up_leaves_the_file_and_nothing_else_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.exe");
        fs::write(&path, b"old").unwrap();
        let replacement = Replacement::write(&path, &path, &[b"n", b"ew"]).unwrap();
        assert!(holds(replacement.file(), &[b"new"]));
        drop(replacement);
        assert!(holds(&path, &[b"old"]));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(windows)]
    #[test]
    fn a_sharing_violation_is_said_to_be_a_file_in_use() {
        let line = refusal(Path::new("a.exe"), &io::Error::from_raw_os_error(32));
        assert!(line.starts_with("a.exe is in use"), "{line}");
    }

    #[test]
    fn missing_rights_are_said_to_be_that() {
        let line = refusal(Path::new("a.exe"), &io::ErrorKind::PermissionDenied.into());
        assert!(line.starts_with("no permission to write a.exe: "), "{line}");
    }

    #[test]
    fn a_failed_replacement_leaves_the_file_and_nothing_else_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.exe");
        fs::write(&path, b"old").unwrap();
        // The file whose permissions the result is to get does not exist, which is found out late.
        let missing = folder.path().join("missing");
        assert!(Replacement::write(&path, &missing, &[b"new"]).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
