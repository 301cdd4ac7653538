//! Where a patched image goes. It is written beside its destination and takes its place by
//! renaming, so a file is there whole or not at all.

use crate::error::Error;
use allograft_image::ImageFile;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Most backups of one image.
const MAX_BACKUPS: u32 = 100;

/// A result and where it goes: a path that is free or may be overwritten. Dropped before it is
/// moved there, it leaves nothing behind.
#[derive(Debug)]
pub struct Output {
    pub path: PathBuf,
    /// The image whose permissions the result gets.
    like: PathBuf,
    keeps_backup: bool,
    /// Whether a file with these contents is at `path`.
    pub is_there_already: bool,
    staged: Option<StagedFile>,
}

impl Output {
    /// The image itself, or the file that it is a link to.
    pub fn in_place(image: &Path, keeps_backup: bool) -> Output {
        let is_link = fs::symlink_metadata(image).is_ok_and(|metadata| metadata.is_symlink());
        let target = if is_link { fs::canonicalize(image).ok() } else { None };
        let path = target.unwrap_or_else(|| image.to_owned());
        Output { like: path.clone(), path, keeps_backup, is_there_already: false, staged: None }
    }

    /// `NAME-allograft.exe` beside the image `NAME.exe`.
    pub fn beside(image: &Path, pieces: &[&[u8]], overwrite: bool) -> Result<Output, Error> {
        Output::new(image, path_beside(image), overwrite, Some(pieces))
    }

    /// The file `output`, or the image's own name in the folder `output`.
    pub fn file(image: &Path, output: &Path, overwrite: bool) -> Result<Output, Error> {
        let path = match image.file_name() {
            Some(name) if output.is_dir() => output.join(name),
            _ => output.to_owned(),
        };
        let canonical = (fs::canonicalize(image), fs::canonicalize(&path));
        if matches!(canonical, (Ok(image), Ok(path)) if image == path) {
            return Err(Error::new(
                "the output is the image itself: use --inplace, which keeps a backup",
            ));
        }
        Output::new(image, path, overwrite, None)
    }

    fn new(
        image: &Path,
        path: PathBuf,
        overwrite: bool,
        pieces: Option<&[&[u8]]>,
    ) -> Result<Output, Error> {
        let is_there_already = pieces.is_some_and(|pieces| holds(&path, pieces));
        if !overwrite && !is_there_already && path.symlink_metadata().is_ok() {
            return Err(Error::new(format!(
                "{} exists already: --force overwrites it",
                path.display()
            )));
        }
        let like = image.to_owned();
        Ok(Output { path, like, keeps_backup: false, is_there_already, staged: None })
    }

    /// Writes `pieces` to a file beside the destination and has `check` read it back. Nothing
    /// changes until [`Output::finish`].
    pub fn prepare(
        &mut self,
        pieces: &[&[u8]],
        dry_run: bool,
        check: impl FnOnce(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if dry_run {
            return check(&pieces.concat());
        }
        if self.is_there_already {
            return Ok(());
        }
        let staged = StagedFile::write(&self.path, &self.like, pieces)?;
        let written = ImageFile::open(&staged.temporary)
            .map_err(|error| Error::new(format!("cannot read back what was written: {error}")))?;
        check(written.data())?;
        self.staged = Some(staged);
        Ok(())
    }

    /// Moves the result to its destination, and returns the copy of the original, if one is kept.
    /// The image must not be open or mapped any more: Windows does not replace such a file.
    pub fn finish(&mut self, dry_run: bool) -> Result<Option<PathBuf>, Error> {
        // Before a backup is made for nothing.
        refuse_if_in_use(&self.path)?;
        let backup = self.keeps_backup.then(|| keep_backup(&self.path, dry_run)).transpose()?;
        if let Some(staged) = self.staged.take() {
            staged.take_place()?;
        }
        Ok(backup)
    }
}

/// Copies `image` to the first backup path that is free, unless a backup has its contents. A backup
/// with other contents is never overwritten.
fn keep_backup(image: &Path, dry_run: bool) -> Result<PathBuf, Error> {
    let original = ImageFile::open(image)
        .map_err(|error| Error::new(format!("no backup could be made: {error}")))?;
    let original = [original.data()];
    for number in 0..MAX_BACKUPS {
        let suffix = if number == 0 { ".bak".to_owned() } else { format!(".bak{number}") };
        let backup = with_suffix(image, &suffix);
        let is_free = backup.symlink_metadata().is_err();
        if is_free && !dry_run {
            StagedFile::write(&backup, image, &original)?.take_place()?;
        }
        if is_free || holds(&backup, &original) {
            return Ok(backup);
        }
    }
    Err(Error::new(format!(
        "there are {MAX_BACKUPS} backups of it beside it: delete those that are not needed"
    )))
}

/// Deletes the file at `path`.
pub fn remove(path: &Path) -> Result<(), Error> {
    refuse_if_in_use(path)?;
    fs::remove_file(path).map_err(|error| refusal(path, &error))
}

/// Where a patched copy of `image` goes.
pub fn path_beside(image: &Path) -> PathBuf {
    image.with_file_name(default_name(image))
}

fn default_name(image: &Path) -> OsString {
    let mut name = image.file_stem().unwrap_or_default().to_owned();
    name.push("-allograft");
    if let Some(extension) = image.extension() {
        name.push(".");
        name.push(extension);
    }
    name
}

/// A temporary file beside the path that it will be renamed to. Dropped before that, it is removed.
#[derive(Debug)]
struct StagedFile {
    path: PathBuf,
    temporary: PathBuf,
}

impl StagedFile {
    /// Writes `pieces`, one behind the other, to a temporary file beside `path` with the
    /// permissions of the file `like`.
    fn write(path: &Path, like: &Path, pieces: &[&[u8]]) -> Result<StagedFile, Error> {
        let staged = StagedFile {
            path: path.to_owned(),
            temporary: with_suffix(path, &format!(".{}.tmp", std::process::id())),
        };
        write_new(&staged.temporary, like, pieces).map_err(|error| refusal(path, &error))?;
        Ok(staged)
    }

    /// Renames it to its path. If that fails, what is there stays as it is.
    fn take_place(self) -> Result<(), Error> {
        refuse_if_in_use(&self.path)?;
        fs::rename(&self.temporary, &self.path).map_err(|error| refusal(&self.path, &error))
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        // It may have been renamed, or never have been created.
        let _ = fs::remove_file(&self.temporary);
    }
}

fn write_new(path: &Path, like: &Path, pieces: &[&[u8]]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    for piece in pieces {
        file.write_all(piece)?;
    }
    let mut permissions = fs::metadata(like)?.permissions();
    if cfg!(windows) {
        // A read-only image gives a result that can be patched or undone again.
        #[expect(clippy::permissions_set_readonly_false, reason = "one attribute on Windows")]
        permissions.set_readonly(false);
    }
    file.set_permissions(permissions)?;
    file.sync_all()
}

/// Refuses if `path` exists and cannot be replaced, for example because it runs. Opening it for
/// writing shows that and changes nothing.
fn refuse_if_in_use(path: &Path) -> Result<(), Error> {
    match OpenOptions::new().write(true).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(refusal(path, &error)),
    }
}

fn refusal(path: &Path, error: &io::Error) -> Error {
    let path = path.display();
    // ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION, ERROR_USER_MAPPED_FILE.
    let is_shared = cfg!(windows) && matches!(error.raw_os_error(), Some(32 | 33 | 1224));
    Error::new(match error.kind() {
        kind if is_shared || kind == io::ErrorKind::ExecutableFileBusy => format!(
            "{path} is in use: end the program that runs it or holds it open, then try again"
        ),
        io::ErrorKind::PermissionDenied => format!(
            "no permission to write {path}: run allograft with the rights to, or choose another \
             place with --output"
        ),
        _ => format!("cannot write {path}: {error}"),
    })
}

/// Whether the contents of the file at `path` are `pieces`, one after the other.
fn holds(path: &Path, pieces: &[&[u8]]) -> bool {
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
    fn a_file_that_cannot_be_written_is_refused_with_the_reason() {
        const IN_USE: &str =
            "a.exe is in use: end the program that runs it or holds it open, then try again";
        for (error, line) in [
            (io::ErrorKind::ExecutableFileBusy.into(), IN_USE),
            (io::ErrorKind::PermissionDenied.into(), "no permission to write a.exe: run allograft"),
            #[cfg(windows)]
            (io::Error::from_raw_os_error(32), IN_USE),
        ] {
            let refusal = refusal(Path::new("a.exe"), &error).to_string();
            assert!(refusal.starts_with(line), "{refusal}");
        }
    }

    #[test]
    fn a_staged_file_that_is_given_up_leaves_the_file_and_nothing_else_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.exe");
        fs::write(&path, b"old").unwrap();
        let staged = StagedFile::write(&path, &path, &[b"n", b"ew"]).unwrap();
        assert!(holds(&staged.temporary, &[b"new"]));
        drop(staged);
        assert!(holds(&path, &[b"old"]));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_write_leaves_the_file_and_nothing_else_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.exe");
        fs::write(&path, b"old").unwrap();
        // The file whose permissions the result is to get does not exist, which is found out late.
        let missing = folder.path().join("missing");
        assert!(StagedFile::write(&path, &missing, &[b"new"]).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
