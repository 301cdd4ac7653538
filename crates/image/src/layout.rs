//! What must be true of an image before its import table is rewritten, and what a rewrite must know
//! of it.
//!
//! A reader may shrug at headers that disagree; who adds a section may not, because the loader will
//! compare the same numbers.

use crate::headers::{PAGE, record};
use crate::{Error, Headers, Image, Result, Section};
use object::LittleEndian as LE;
use object::pe;
use std::ops::Range;

/// Most functions that an image may import altogether.
const MAX_FUNCTIONS: usize = 1 << 20;

/// Bytes of one entry of the COFF symbol table.
const SYMBOL_LEN: u64 = 18;

/// Where things end, in an image whose headers agree.
pub(crate) struct Layout {
    /// Length of the file without certificates at its end.
    pub kept_len: usize,
    /// The certificates at the end of the file; empty if there are none, or if something follows
    /// them.
    pub certificates: Range<usize>,
    /// What nothing in the headers accounts for, at the end of the file: the data that installers
    /// and bundlers append.
    pub trailing: Range<usize>,
    /// The first address behind all sections.
    pub next_address: u32,
    /// The first file offset that belongs to a section.
    pub first_raw_offset: usize,
}

impl Layout {
    /// Checks `image` and measures it.
    ///
    /// # Errors
    ///
    /// [`Error::Truncated`] or [`Error::Contradictory`], with the first disagreement found.
    pub fn of(image: &Image<'_>) -> Result<Layout> {
        let (headers, len) = (image.headers(), image.data().len());
        check_alignments(headers)?;
        check_header_sizes(headers, len)?;
        let next_address = check_sections(headers, len)?;
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
        Ok(Layout {
            kept_len,
            certificates,
            trailing: trailing(image, known_end..kept_len),
            next_address,
            first_raw_offset,
        })
    }
}

/// What is wrong with the sections, by themselves and as parts of the file, if anything is.
pub(crate) fn fault_of_sections(image: &Image<'_>) -> Option<Error> {
    let headers = image.headers();
    check_alignments(headers).and_then(|()| check_sections(headers, image.data().len())).err()
}

fn check_alignments(headers: &Headers) -> Result<()> {
    let (in_memory, in_file) = (headers.section_alignment, headers.file_alignment);
    // The kernel's own rule: multiples of a disk sector, or a flat image with the two alignments
    // equal.
    let sound = in_memory.is_power_of_two()
        && in_file.is_power_of_two()
        && in_file <= in_memory
        && if headers.is_flat() { in_file == in_memory } else { in_file >= 512 };
    if sound {
        return Ok(());
    }
    Err(Error::contradictory(format!(
        "sections are to be aligned to {in_memory:#x} in memory and {in_file:#x} in the file, which no loader accepts"
    )))
}

fn check_header_sizes(headers: &Headers, len: usize) -> Result<()> {
    let size = headers.size_of_headers as usize;
    if size > len {
        return Err(Error::Truncated {
            what: "the headers".to_owned(),
            end: size as u64,
            len: len as u64,
        });
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

/// Checks the section table and returns the first address behind all sections.
fn check_sections(headers: &Headers, len: usize) -> Result<u32> {
    if headers.sections.is_empty() {
        return Err(Error::contradictory("the image has no sections"));
    }
    let mut next = align(headers.size_of_headers, headers.section_alignment)?;
    for section in &headers.sections {
        check_section(headers, section, len)?;
        if section.address < next {
            return Err(Error::contradictory(format!(
                "section {} overlaps what lies before it",
                section.name()
            )));
        }
        let end = section.address.checked_add(section.memory_size()).ok_or_else(too_long)?;
        next = align(end, headers.section_alignment)?;
    }
    if align(headers.size_of_image, headers.section_alignment)? != next {
        return Err(Error::contradictory(format!(
            "the image is to be {:#x} bytes long in memory, and its sections end at {next:#x}",
            headers.size_of_image
        )));
    }
    Ok(next)
}

fn check_section(headers: &Headers, section: &Section, len: usize) -> Result<()> {
    let name = section.name();
    if !section.address.is_multiple_of(headers.section_alignment) {
        return Err(Error::contradictory(format!("section {name} is not aligned in memory")));
    }
    if section.raw_size == 0 {
        return Ok(());
    }
    let end = section.raw_end().ok_or_else(too_long)? as usize;
    if end > len {
        return Err(Error::Truncated {
            what: format!("section {name}"),
            end: end as u64,
            len: len as u64,
        });
    }
    // The loader would round the offset down and map other bytes than the ones meant.
    if headers.is_flat() && section.raw_offset != section.address
        || !headers.is_flat() && !section.raw_offset.is_multiple_of(512)
    {
        return Err(Error::contradictory(format!("section {name} is not aligned in the file")));
    }
    if (section.raw_offset as usize) < headers.section_table_end() {
        return Err(Error::contradictory(format!(
            "section {name} overlaps the headers in the file"
        )));
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
    let certificates = image.certificates().ok_or_else(|| Error::Truncated {
        what: "the certificate table".to_owned(),
        end: u64::from(directory.address) + u64::from(directory.size),
        len: len as u64,
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
    usize::try_from(ends.fold(u64::from(sections_end), u64::max)).map_err(|_| too_long())
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

/// Rounds `value` up to a multiple of `alignment`.
pub(crate) fn align(value: u32, alignment: u32) -> Result<u32> {
    value.checked_next_multiple_of(alignment.max(1)).ok_or_else(too_long)
}

fn too_long() -> Error {
    Error::contradictory("its sections end beyond 4 GiB")
}
