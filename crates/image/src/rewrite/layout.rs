//! Checks an image before its import table is rewritten, and finds room for one more section.
//!
//! A reader can tolerate headers that contradict each other. A rewrite cannot: the loader compares
//! the same numbers.

use crate::headers::{PAGE, SECTION_HEADER_LEN, align, record};
use crate::{Error, Headers, Image, Result, Section};
use object::LittleEndian as LE;
use object::pe;
use std::ops::Range;

const MAX_FUNCTIONS: usize = 1 << 20;

const SYMBOL_LEN: u64 = 18;

// Every Windows version loads as many.
const MAX_SECTIONS: usize = 96;

/// Largest last section, in memory, that is copied in order to extend it.
const MAX_EXTENDED: u32 = 64 << 20;

/// Length of the DOS header, below which the PE header cannot move.
const DOS_HEADER_LEN: usize = size_of::<pe::ImageDosHeader>();

/// Where things end, in an image whose headers agree.
pub struct FileLayout {
    /// Length of the file without certificates at its end.
    pub kept_len: usize,
    /// The certificates at the end of the file; empty if there are none, or if something follows
    /// them.
    pub certificates: Range<usize>,
    /// The end of the file that the headers do not account for: data that installers and bundlers
    /// append.
    pub trailing: Range<usize>,
    /// The first address behind all sections.
    pub next_address: u32,
    /// The first file offset that belongs to a section.
    pub first_raw_offset: usize,
}

impl FileLayout {
    ///
    /// # Errors
    ///
    /// [`Error::Truncated`] or [`Error::Contradictory`], with the first disagreement found.
    pub fn new(image: &Image<'_>) -> Result<FileLayout> {
        let (headers, len) = (image.headers(), image.data().len());
        check_header_sizes(headers, len)?;
        let next_address = headers.check_sections(len)?;
        check_imports(image)?;
        let first_raw_offset = headers
            .sections
            .iter()
            .filter(|section| section.raw_size > 0)
            .map(|section| section.raw_offset as usize)
            .min()
            .unwrap_or(len);
        let known_end = known_end(image)?;
        let certificates = check_certificates(image, known_end)?;
        let kept_len = certificates.start;
        Ok(FileLayout {
            kept_len,
            certificates,
            trailing: trailing(image, known_end..kept_len),
            next_address,
            first_raw_offset,
        })
    }
}

fn check_header_sizes(headers: &Headers, len: usize) -> Result<()> {
    let size = headers.size_of_headers as usize;
    if size > len {
        return Err(Error::truncated("the headers", size as u64, len));
    }
    if headers.section_table_end() > size {
        return Err(Error::contradictory(format!(
            "the headers are {size:#x} bytes long and the section table ends behind them"
        )));
    }
    if headers.directories.len() <= pe::IMAGE_DIRECTORY_ENTRY_IMPORT {
        return Err(Error::contradictory("the optional header has no place for an import table"));
    }
    Ok(())
}

/// Reads every import once, so that no damaged table is copied. None may lie in the headers, which
/// are about to change.
fn check_imports(image: &Image<'_>) -> Result<()> {
    let image = image.without_headers();
    let mut count = 0usize;
    for module in image.imports()? {
        count += image.functions(&module)?.len();
        if count > MAX_FUNCTIONS {
            return Err(Error::contradictory(format!(
                "it imports more than {MAX_FUNCTIONS} functions"
            )));
        }
    }
    Ok(())
}

/// Returns the range of the certificates where they end the file, else an empty one at its end.
fn check_certificates(image: &Image<'_>, known_end: usize) -> Result<Range<usize>> {
    let len = image.data().len();
    let Some(directory) = image.directory(pe::IMAGE_DIRECTORY_ENTRY_SECURITY) else {
        return Ok(len..len);
    };
    let certificates = image.certificates().ok_or_else(|| {
        let end = u64::from(directory.address) + u64::from(directory.size);
        Error::truncated("the certificate table", end, len)
    })?;
    if certificates.start < known_end {
        return Err(Error::contradictory("the certificate table overlaps a section"));
    }
    Ok(if certificates.end == len { certificates } else { len..len })
}

/// The file offset behind everything that the headers account for: sections, symbols, debug
/// information.
fn known_end(image: &Image<'_>) -> Result<usize> {
    let headers = image.headers();
    let sections = headers.sections.iter().filter(|section| section.raw_size > 0);
    let sections_end =
        sections.filter_map(Section::raw_end).max().unwrap_or(0).max(headers.size_of_headers);
    let len = image.data().len() as u64;
    let ends = debug_ends(image).chain(symbols_end(image)).filter(|&end| end <= len);
    usize::try_from(ends.fold(u64::from(sections_end), u64::max)).map_err(|_| Error::TooLarge)
}

/// Where the COFF symbols end, with the table of strings that follows them.
fn symbols_end(image: &Image<'_>) -> Option<u64> {
    let (offset, count) = image.headers().symbols;
    if offset == 0 || count == 0 {
        return None;
    }
    let strings = u64::from(offset) + u64::from(count) * SYMBOL_LEN;
    let length: &object::U32<LE> = record(image.data(), usize::try_from(strings).ok()?)?;
    Some(strings + u64::from(length.get(LE)))
}

/// Where the pieces of debug information end in the file.
fn debug_ends(image: &Image<'_>) -> impl Iterator<Item = u64> {
    image.debug_entries().filter_map(|entry| {
        let offset = entry.pointer_to_raw_data.get(LE);
        (offset != 0).then(|| u64::from(offset) + u64::from(entry.size_of_data.get(LE)))
    })
}

/// The range without what is only padding.
fn trailing(image: &Image<'_>, range: Range<usize>) -> Range<usize> {
    let padding = image.headers().file_alignment.max(PAGE) as usize;
    match image.data().get(range.clone()) {
        Some(bytes) if bytes.len() > padding || bytes.iter().any(|&byte| byte != 0) => range,
        _ => range.end..range.end,
    }
}

/// How the new table gets into the image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Room {
    /// A section of its own. Its entry follows the others; the headers get this length.
    NewSection { size_of_headers: u32 },
    /// The same, once the PE header has been moved down over the DOS stub, to this file offset.
    NewSectionOverStub { nt_offset: usize },
    /// The last section, copied to the end of the file and extended there. This needs no room in
    /// the headers.
    ExtendLast,
}

impl Room {
    /// Chooses the room that changes least.
    pub fn find(image: &Image<'_>, layout: &FileLayout) -> Result<Room> {
        let headers = image.headers();
        if headers.sections.len() < MAX_SECTIONS {
            if let Some(size_of_headers) = behind_the_table(image, layout)? {
                return Ok(Room::NewSection { size_of_headers });
            }
            if let Some(nt_offset) = over_the_stub(image) {
                return Ok(Room::NewSectionOverStub { nt_offset });
            }
        }
        let last = headers.sections.last().map_or(0, Section::memory_size);
        Err(Error::NoRoom(if headers.is_flat() {
            "none can be extended in an image that is mapped in one piece".to_owned()
        } else if last > MAX_EXTENDED {
            format!("the last section has {last} bytes, too many to copy")
        } else {
            return Ok(Room::ExtendLast);
        }))
    }
}

/// The length of the headers with one more entry behind the section table, if the space there is
/// unused.
fn behind_the_table(image: &Image<'_>, layout: &FileLayout) -> Result<Option<u32>> {
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
