//! Writing a file whole or not at all.

use super::Refusal;
use super::destination::holds;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Most backups of one image.
const MAX_BACKUPS: u32 = 100;

/// Writes `bytes` to `path` with the permissions of the file `like`: to a temporary file beside it, which then takes its place.
/// Whatever goes wrong, `path` is what it was.
pub fn replace(path: &Path, like: &Path, bytes: &[u8]) -> Result<(), Refusal> {
    refuse_if_in_use(path)?;
    let temporary = with_suffix(path, &format!(".{}.tmp", std::process::id()));
    let result = write_new(&temporary, like, bytes).and_then(|()| fs::rename(&temporary, path));
    result.map_err(|error| {
        // The temporary file may never have come to be; the first error is the one to report.
        let _ = fs::remove_file(&temporary);
        refusal(path, &error)
    })
}

fn write_new(path: &Path, like: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(bytes)?;
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

/// Refuses if `path` is there and cannot be replaced, as a running program cannot: opening it for writing tells, without changing it.
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

/// Where the backup of `image` goes, and whether it is there already. A backup with other contents is never overwritten.
pub fn backup_of(image: &Path) -> Result<(PathBuf, bool), Refusal> {
    let original =
        fs::read(image).map_err(|error| format!("cannot read it for the backup: {error}"))?;
    for number in 0..MAX_BACKUPS {
        let suffix = if number == 0 {
            ".bak".to_owned()
        } else {
            format!(".bak{number}")
        };
        let backup = with_suffix(image, &suffix);
        if backup.symlink_metadata().is_err() {
            return Ok((backup, false));
        }
        if holds(&backup, &original) {
            return Ok((backup, true));
        }
    }
    Err(format!(
        "there are {MAX_BACKUPS} backups of it beside it: delete those that are not needed"
    ))
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
        let line = refusal(
            Path::new("a.exe"),
            &io::ErrorKind::ExecutableFileBusy.into(),
        );
        assert_eq!(
            line,
            "a.exe is in use: end the program that runs it or holds it open, then try again"
        );
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
        assert!(replace(&path, &folder.path().join("missing"), b"new").is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
