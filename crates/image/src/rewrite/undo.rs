//! Taking the module out of the import table again, from what the image itself remembers.

use super::record::{self, Record};
use crate::notes::Note;
use crate::{Error, Image, Result};
use object::pe;

/// The image as it was before it was patched, in pieces of the patched file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Restored<'data> {
    headers: &'data [u8],
    body: &'data [u8],
    certificates: &'data [u8],
    /// What the user should know.
    pub notes: Vec<Note>,
}

impl Restored<'_> {
    /// The pieces of the file, in order.
    pub fn pieces(&self) -> [&[u8]; 3] {
        [self.headers, self.body, self.certificates]
    }

    /// The whole file.
    pub fn to_vec(&self) -> Vec<u8> {
        self.pieces().concat()
    }

    /// Whether the whole file equals `data`.
    pub fn equals(&self, data: &[u8]) -> bool {
        let mut rest = data;
        self.pieces().iter().all(|piece| match rest.strip_prefix(*piece) {
            Some(behind) => {
                rest = behind;
                true
            }
            None => false,
        }) && rest.is_empty()
    }
}

/// Gives back what [`patch`](super::patch) was given, byte for byte, signature included.
///
/// Changes that other tools made to the patched file in the meantime are lost where they concern
/// headers or the end of the file; so they are an error unless `regardless`. Putting a signature on
/// is no such change: it is dropped, with a note.
///
/// # Errors
///
/// [`Error::NotPatched`], [`Error::ChangedSince`], or what is wrong with `data` as an image.
pub fn undo(data: &[u8], regardless: bool) -> Result<Restored<'_>> {
    let image = Image::parse(data)?;
    let found = record::find(&image).ok_or(Error::NotPatched)?;
    if !found.is_intact && !regardless {
        return Err(Error::ChangedSince(
            "its headers or its import table are not as they were left",
        ));
    }
    let is_signed = image.directory(pe::IMAGE_DIRECTORY_ENTRY_SECURITY).is_some();
    if !ends_as_left(&image, found.record.patched_len) && !regardless {
        return Err(Error::ChangedSince("something was appended to it or cut off"));
    }
    let Record { headers, certificates, kept_len, .. } = found.record;
    let body = usize::try_from(kept_len)
        .ok()
        .and_then(|kept| data.get(headers.len()..kept))
        .ok_or(Error::NotPatched)?;
    let notes = if is_signed { vec![Note::LaterSignatureDropped] } else { Vec::new() };
    Ok(Restored { headers, body, certificates, notes })
}

/// Whether the file ends as we left it, or with a signature behind that.
fn ends_as_left(image: &Image<'_>, patched_len: u64) -> bool {
    let len = image.data().len();
    match image.certificates() {
        // Signatures begin at multiples of 8.
        Some(range) => range.end == len && range.start as u64 == patched_len.next_multiple_of(8),
        None => len as u64 == patched_len,
    }
}
