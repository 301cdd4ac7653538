//! Where a patched image goes.

use super::Refusal;
use super::replace::{Replacement, backup_of, holds, original_of, refuse_if_in_use};
use allograft_image::ImageFile;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// Where a result goes, known to be free or meant to be overwritten.
#[derive(Debug, PartialEq, Eq)]
pub struct Destination {
    path: PathBuf,
    /// The image whose permissions the result gets.
    like: PathBuf,
    keeps_backup: bool,
    is_there_already: bool,
}

/// What was written, or would be.
#[derive(Debug, PartialEq, Eq)]
pub struct Written {
    /// The result.
    pub output: PathBuf,
    /// The original, where it was kept beside.
    pub backup: Option<PathBuf>,
    /// Whether nothing was written because the user asked for that.
    pub dry_run: bool,
    /// Whether nothing was written because the very same file is there already.
    pub is_there_already: bool,
}

impl Destination {
    /// The image itself, whose original is kept.
    pub fn in_place(image: &Path) -> Destination {
        Destination { keeps_backup: true, ..Destination::in_place_without_backup(image) }
    }

    /// The image itself; if that is a link, what it leads to.
    pub fn in_place_without_backup(image: &Path) -> Destination {
        let is_link = fs::symlink_metadata(image).is_ok_and(|metadata| metadata.is_symlink());
        let target = if is_link { fs::canonicalize(image).ok() } else { None };
        let image = target.as_deref().unwrap_or(image);
        Destination {
            path: image.to_owned(),
            like: image.to_owned(),
            keeps_backup: false,
            is_there_already: false,
        }
    }

    /// `NAME-allograft.exe` beside the image `NAME.exe`.
    pub fn beside(image: &Path, pieces: &[&[u8]], overwrite: bool) -> Result<Destination, Refusal> {
        Destination::new(image, image.with_file_name(default_name(image)), overwrite, Some(pieces))
    }

    /// The file `output`, or the image's own name in the folder `output`.
    pub fn file(image: &Path, output: &Path, overwrite: bool) -> Result<Destination, Refusal> {
        let path = match image.file_name() {
            Some(name) if output.is_dir() => output.join(name),
            _ => output.to_owned(),
        };
        if is_same_file(image, &path) {
            return Err(
                "the output is the image itself: use --inplace, which keeps a backup".to_owned()
            );
        }
        Destination::new(image, path, overwrite, None)
    }

    fn new(
        image: &Path,
        path: PathBuf,
        overwrite: bool,
        pieces: Option<&[&[u8]]>,
    ) -> Result<Destination, Refusal> {
        let is_there_already = pieces.is_some_and(|pieces| holds(&path, pieces));
        if !overwrite && !is_there_already && path.symlink_metadata().is_ok() {
            return Err(format!("{} exists already: --force overwrites it", path.display()));
        }
        Ok(Destination { path, like: image.to_owned(), keeps_backup: false, is_there_already })
    }

    /// Writes `pieces` to a file beside it and has `check` read that back. Nothing has changed
    /// until [`Pending::finish`].
    pub fn prepare(
        self,
        pieces: &[&[u8]],
        dry_run: bool,
        check: impl FnOnce(&[u8]) -> Result<(), Refusal>,
    ) -> Result<Pending, Refusal> {
        let replacement = if dry_run {
            check(&pieces.concat())?;
            None
        } else if self.is_there_already {
            None
        } else {
            let replacement = Replacement::write(&self.path, &self.like, pieces)?;
            let written = ImageFile::open(replacement.file())
                .map_err(|error| format!("cannot read back what was written: {error}"))?;
            check(written.data())?;
            Some(replacement)
        };
        Ok(Pending { destination: self, replacement, dry_run })
    }
}

/// A result that lies beside its destination. Dropped, it leaves nothing behind.
#[derive(Debug)]
pub struct Pending {
    destination: Destination,
    /// None if there is nothing to write.
    replacement: Option<Replacement>,
    dry_run: bool,
}

impl Pending {
    /// Lets it take its place. The image must not be open or mapped any more.
    pub fn finish(self) -> Result<Written, Refusal> {
        let Destination { path, keeps_backup, is_there_already, .. } = self.destination;
        // Before a backup is made for nothing.
        refuse_if_in_use(&path)?;
        let backup = match keeps_backup {
            true if self.dry_run => Some(backup_of(&path)?.0),
            true => Some(keep_backup(&path)?),
            false => None,
        };
        if let Some(replacement) = self.replacement {
            replacement.take_place()?;
        }
        Ok(Written { output: path, backup, dry_run: self.dry_run, is_there_already })
    }
}

fn keep_backup(image: &Path) -> Result<PathBuf, Refusal> {
    let (backup, is_kept) = backup_of(image)?;
    if !is_kept {
        let original = original_of(image)?;
        Replacement::write(&backup, image, &[original.data()])?.take_place()?;
    }
    Ok(backup)
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

fn is_same_file(a: &Path, b: &Path) -> bool {
    matches!((fs::canonicalize(a), fs::canonicalize(b)), (Ok(a), Ok(b)) if a == b)
}
