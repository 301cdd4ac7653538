//! The patched copy beside an image, which undoing the patch of the image deletes.

use super::output::path_beside;
use crate::error::Error;
use allograft_image::{Image, ImageFile, PatchState, patch_state, undo};
use std::path::{Path, PathBuf};

/// The file beside `image` that `allograft patch` writes, if it is there and patched.
pub fn patched_copy_of(image: &Path) -> Option<PathBuf> {
    let copy = path_beside(image);
    let file = ImageFile::open(&copy).ok()?;
    is_patched(&Image::parse(file.data()).ok()?).then_some(copy)
}

/// The patched copy that undoing deletes: none if the image itself is patched, or has no copy.
///
/// A copy that does not give back the image is refused unless `regardless`: the image was updated
/// since, or the copy is somebody's work.
pub fn removable(image: &Path, regardless: bool) -> Result<Option<PathBuf>, Error> {
    let Some(copy) = patched_copy_of(image) else { return Ok(None) };
    let original = ImageFile::open(image)?;
    if is_patched(&Image::parse(original.data())?) {
        return Ok(None);
    }
    let copied = ImageFile::open(&copy)?;
    let restored = undo(&Image::parse(copied.data())?, regardless)?.to_vec();
    if restored != original.data() && !regardless {
        return Err(Error::new(format!(
            "its patched copy {} was made from another version of it: delete it yourself, or let \
             --force do it",
            copy.display()
        )));
    }
    Ok(Some(copy))
}

fn is_patched(image: &Image<'_>) -> bool {
    matches!(patch_state(image, ""), Ok(PatchState::Patched { .. }))
}
