//! Finding room for one more section.

use crate::headers::SECTION_HEADER_LEN;
use crate::layout::{Layout, align};
use crate::{Error, Image, Result};
use object::pe;

/// Most sections that every Windows version loads.
const MAX_SECTIONS: usize = 96;

/// Largest last section, in memory, that is copied in order to extend it.
const MAX_EXTENDED: u32 = 64 << 20;

/// Length of the DOS header, below which the PE header cannot move.
const DOS_HEADER_LEN: usize = size_of::<pe::ImageDosHeader>();

/// How the new table gets into the image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Room {
    /// A section of its own. Its entry stands behind the others, and the headers get this long.
    NewSection { size_of_headers: u32 },
    /// The same, once the PE header has been moved down over the DOS stub, to this file offset.
    NewSectionOverStub { nt_offset: usize },
    /// The last section, copied to the end of the file and extended there: nothing else has to
    /// move, whatever the headers look like.
    ExtendLast,
}

impl Room {
    /// Chooses the way that changes least.
    pub fn find(image: &Image<'_>, layout: &Layout) -> Result<Room> {
        let few = image.headers().sections.len() < MAX_SECTIONS;
        if let Some(size_of_headers) = behind_the_table(image, layout)?.filter(|_| few) {
            return Ok(Room::NewSection { size_of_headers });
        }
        if let Some(nt_offset) = over_the_stub(image).filter(|_| few) {
            return Ok(Room::NewSectionOverStub { nt_offset });
        }
        let headers = image.headers();
        let last = headers.sections.last().map_or(0, |section| section.memory_size());
        if headers.is_flat() {
            return Err(Error::NoRoom(
                "none can be extended in an image that is mapped in one piece".to_owned(),
            ));
        }
        if last > MAX_EXTENDED {
            return Err(Error::NoRoom(format!(
                "the last section has {last} bytes, too many to copy"
            )));
        }
        Ok(Room::ExtendLast)
    }
}

/// The length of the headers with one more entry behind the section table, if the space there is
/// unused.
fn behind_the_table(image: &Image<'_>, layout: &Layout) -> Result<Option<u32>> {
    let headers = image.headers();
    let end = headers.section_table_end() + SECTION_HEADER_LEN;
    let size_of_headers = match headers.size_of_headers {
        size if end <= size as usize => size,
        _ => align(end as u32, headers.file_alignment)?,
    };
    let first_address = headers.sections.first().map_or(0, |section| section.address);
    let fits = size_of_headers as usize <= layout.first_raw_offset.min(layout.kept_len)
        && size_of_headers <= first_address
        && end <= layout.first_raw_offset;
    Ok((fits && is_unused(image, headers.section_table_end()..end)).then_some(size_of_headers))
}

/// Whether `range` of the headers holds nothing, or nothing but bound imports, which are dropped
/// anyway.
fn is_unused(image: &Image<'_>, range: std::ops::Range<usize>) -> bool {
    let bound = image.directory(pe::IMAGE_DIRECTORY_ENTRY_BOUND_IMPORT).unwrap_or_default();
    let is_bound = |offset: usize| {
        offset
            .checked_sub(bound.address as usize)
            .is_some_and(|within| within < bound.size as usize)
    };
    image.data().get(range.clone()).is_some_and(|bytes| {
        bytes.iter().zip(range).all(|(&byte, offset)| byte == 0 || is_bound(offset))
    })
}

/// Where the PE header must move to so that the section table can grow by one entry at its end.
fn over_the_stub(image: &Image<'_>) -> Option<usize> {
    let headers = image.headers();
    // The linkers align the PE header to 8 bytes.
    let nt_offset = headers.nt_offset.checked_sub(SECTION_HEADER_LEN)? & !7;
    let reads_the_stub = image.headers().directories.iter().any(|directory| {
        let start = directory.address as usize;
        start > 0 && start < headers.section_table_end()
    });
    (nt_offset >= DOS_HEADER_LEN && !reads_the_stub).then_some(nt_offset)
}
