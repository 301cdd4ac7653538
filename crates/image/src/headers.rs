//! The headers of an image: where they lie in the file, what they say, and whether they agree.
//!
//! `object` reads the same records and stops there. The rules by which the loader compares them are
//! checked here, because an image that breaks one must not be rewritten.

use crate::{Error, Machine, Result};
use object::LittleEndian as LE;
use object::pe;
use object::pod::{self, Pod};
use std::mem::offset_of;

pub(crate) const SECTION_HEADER_LEN: usize = size_of::<pe::ImageSectionHeader>();

/// Offset of the optional header from the PE signature.
const OPTIONAL_HEADER: usize = size_of::<u32>() + size_of::<pe::ImageFileHeader>();

/// Most data directories that any loader looks at.
const MAX_DIRECTORIES: usize = 16;

/// Smallest `SectionAlignment` with which sections are mapped one by one: the page size of all our
/// machines.
pub(crate) const PAGE: u32 = 0x1000;

/// A data directory: the place of a table and its length.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Directory {
    /// Relative virtual address (for the certificate table alone: the file offset).
    pub address: u32,
    /// Length in bytes.
    pub size: u32,
}

/// One entry of the section table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Section {
    /// The name, padded with NULs.
    pub name: [u8; 8],
    /// Bytes it takes in memory, as stated; zero means that [`Section::raw_size`] counts.
    pub virtual_size: u32,
    /// Relative virtual address.
    pub address: u32,
    /// Bytes it takes in the file.
    pub raw_size: u32,
    /// Where these lie in the file.
    pub raw_offset: u32,
    /// What it holds and what may be done to it (`IMAGE_SCN_*`).
    pub characteristics: u32,
}

impl Section {
    /// Bytes the section takes in memory.
    pub fn memory_size(&self) -> u32 {
        if self.virtual_size == 0 { self.raw_size } else { self.virtual_size }
    }

    /// Where the section's bytes in the file end; `None` if beyond any 32-bit offset.
    pub fn raw_end(&self) -> Option<u32> {
        self.raw_offset.checked_add(self.raw_size)
    }

    /// The name without its padding, with unprintable bytes replaced.
    pub fn name(&self) -> String {
        let end = self.name.iter().position(|&byte| byte == 0).unwrap_or(8);
        self.name[..end]
            .iter()
            .map(|&b| if b.is_ascii_graphic() { char::from(b) } else { '?' })
            .collect()
    }

    /// Whether the program may write to the section.
    pub fn is_writable(&self) -> bool {
        self.characteristics & pe::IMAGE_SCN_MEM_WRITE.0 != 0
    }

    /// The entry of the section table that says this.
    pub(crate) fn to_header(&self) -> pe::ImageSectionHeader {
        pe::ImageSectionHeader {
            name: self.name,
            virtual_size: self.virtual_size.into(),
            virtual_address: self.address.into(),
            size_of_raw_data: self.raw_size.into(),
            pointer_to_raw_data: self.raw_offset.into(),
            pointer_to_relocations: 0.into(),
            pointer_to_linenumbers: 0.into(),
            number_of_relocations: 0.into(),
            number_of_linenumbers: 0.into(),
            characteristics: pe::SectionFlags(self.characteristics).into(),
        }
    }

    fn from_header(header: &pe::ImageSectionHeader) -> Section {
        Section {
            name: header.name,
            virtual_size: header.virtual_size.get(LE),
            address: header.virtual_address.get(LE),
            raw_size: header.size_of_raw_data.get(LE),
            raw_offset: header.pointer_to_raw_data.get(LE),
            characteristics: header.characteristics.get(LE).0,
        }
    }
}

/// The fields of the headers that matter here, named as in the PE specification. Offsets count from
/// the start of the file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Headers {
    /// Offset of the PE signature.
    pub nt_offset: usize,
    pub(crate) section_table_offset: usize,
    /// The processor that the image is made for.
    pub machine: Machine,
    pub(crate) is_64: bool,
    pub(crate) characteristics: u16,
    /// Characteristics of the image (`IMAGE_DLLCHARACTERISTICS_*`).
    pub dll_characteristics: u16,
    pub(crate) subsystem: u16,
    pub(crate) section_alignment: u32,
    /// Sections begin at multiples of this in the file.
    pub file_alignment: u32,
    /// Bytes of the image in memory.
    pub size_of_image: u32,
    /// Bytes of all headers in the file, and in memory.
    pub size_of_headers: u32,
    /// Bytes of initialised data, summed over the sections.
    pub size_of_initialized_data: u32,
    /// The version of the linker, major and minor.
    pub linker_version: (u8, u8),
    /// The address that the image is linked for.
    pub image_base: u64,
    /// The checksum as the image states it; zero if it states none.
    pub checksum: u32,
    /// File offset and number of COFF symbols.
    pub(crate) symbols: (u32, u32),
    /// At most 16.
    pub(crate) directories: Vec<Directory>,
    /// The section table.
    pub sections: Vec<Section>,
}

impl Headers {
    /// Reads the headers of the image that is the whole of `data`.
    pub fn parse(data: &[u8]) -> Result<Headers> {
        let dos: &pe::ImageDosHeader =
            record(data, 0).ok_or(Error::NotAnImage("shorter than a DOS header"))?;
        if dos.e_magic.get(LE) != pe::IMAGE_DOS_SIGNATURE {
            return Err(Error::NotAnImage("it does not begin with MZ"));
        }
        let nt_offset = dos.nt_headers_offset() as usize;
        let signature: &object::U32<LE> = record(data, nt_offset).ok_or(Error::NotAnImage(
            "its PE header would lie outside the file (a DOS program?)",
        ))?;
        if signature.get(LE) != pe::IMAGE_NT_SIGNATURE {
            return Err(Error::NotAnImage("it has no PE signature (a DOS or 16-bit program?)"));
        }
        let optional_offset = nt_offset + OPTIONAL_HEADER;
        let magic: &object::U16<LE> = record(data, optional_offset)
            .ok_or_else(|| cut(data, "the file header", optional_offset + 2))?;
        match magic.get(LE) {
            pe::IMAGE_NT_OPTIONAL_HDR32_MAGIC => {
                Headers::read::<pe::ImageNtHeaders32>(data, nt_offset)
            }
            pe::IMAGE_NT_OPTIONAL_HDR64_MAGIC => {
                Headers::read::<pe::ImageNtHeaders64>(data, nt_offset)
            }
            _ => Err(Error::NotAnImage("its optional header is of no known kind")),
        }
    }

    fn read<Nt: object::read::pe::ImageNtHeaders>(
        data: &[u8],
        nt_offset: usize,
    ) -> Result<Headers> {
        use object::read::pe::ImageOptionalHeader as _;

        let nt: &Nt = record(data, nt_offset)
            .ok_or_else(|| cut(data, "the optional header", nt_offset + size_of::<Nt>()))?;
        let (file, optional) = (nt.file_header(), nt.optional_header());
        let machine = Machine::from_number(file.machine.get(LE).0);
        if machine.is_64().is_some_and(|is_64| is_64 != nt.is_type_64()) {
            return Err(Error::contradictory(format!(
                "the optional header is not of the kind that {machine} has"
            )));
        }
        let directories_offset = nt_offset + size_of::<Nt>();
        let optional_offset = nt_offset + OPTIONAL_HEADER;
        let section_table_offset =
            optional_offset + usize::from(file.size_of_optional_header.get(LE));
        let space = section_table_offset.checked_sub(directories_offset).ok_or_else(|| {
            Error::contradictory("the optional header is shorter than its own fields")
        })?;
        let count = (optional.number_of_rva_and_sizes() as usize).min(MAX_DIRECTORIES);
        if space < count * size_of::<pe::ImageDataDirectory>() {
            return Err(Error::contradictory(format!(
                "{count} data directories do not fit in the optional header"
            )));
        }
        Ok(Headers {
            nt_offset,
            section_table_offset,
            machine,
            is_64: nt.is_type_64(),
            characteristics: file.characteristics.get(LE).0,
            dll_characteristics: optional.dll_characteristics().0,
            subsystem: optional.subsystem().0,
            section_alignment: optional.section_alignment(),
            file_alignment: optional.file_alignment(),
            size_of_image: optional.size_of_image(),
            size_of_headers: optional.size_of_headers(),
            size_of_initialized_data: optional.size_of_initialized_data(),
            linker_version: (optional.major_linker_version(), optional.minor_linker_version()),
            image_base: optional.image_base(),
            checksum: optional.check_sum(),
            symbols: (file.pointer_to_symbol_table.get(LE), file.number_of_symbols.get(LE)),
            directories: table(data, "the data directories", directories_offset, count)?
                .iter()
                .map(|entry: &pe::ImageDataDirectory| Directory {
                    address: entry.virtual_address.get(LE),
                    size: entry.size.get(LE),
                })
                .collect(),
            sections: table(
                data,
                "the section table",
                section_table_offset,
                file.number_of_sections.get(LE).into(),
            )?
            .iter()
            .map(Section::from_header)
            .collect(),
        })
    }

    /// The data directory number `index`, if the image has it and it is not empty.
    pub fn directory(&self, index: usize) -> Option<Directory> {
        self.directories.get(index).copied().filter(|directory| directory.address != 0)
    }

    pub(crate) fn optional_offset(&self) -> usize {
        self.nt_offset + OPTIONAL_HEADER
    }

    /// The file offset of the data directory number `index`, if the image has it.
    pub(crate) fn directory_offset(&self, index: usize) -> Option<usize> {
        let first = if self.is_64 {
            size_of::<pe::ImageNtHeaders64>()
        } else {
            size_of::<pe::ImageNtHeaders32>()
        };
        (index < self.directories.len())
            .then(|| self.nt_offset + first + index * size_of::<pe::ImageDataDirectory>())
    }

    pub(crate) fn checksum_offset(&self) -> usize {
        self.optional_offset() + offset_of!(pe::ImageOptionalHeader64, check_sum)
    }

    pub(crate) fn section_table_end(&self) -> usize {
        self.section_table_offset + self.sections.len() * SECTION_HEADER_LEN
    }

    /// Whether the image is a DLL.
    pub fn is_dll(&self) -> bool {
        self.characteristics & pe::IMAGE_FILE_DLL.0 != 0
    }

    /// Whether the image is mapped as one flat piece, in which file offsets and addresses are the
    /// same, because its sections are aligned to less than a page.
    pub fn is_flat(&self) -> bool {
        self.section_alignment < PAGE
    }

    /// Bytes that are mapped for `section`: whole pages, except in a flat image.
    pub(crate) fn mapped_size(&self, section: &Section) -> u64 {
        let unit = self.section_alignment.clamp(1, PAGE);
        u64::from(section.memory_size()).next_multiple_of(u64::from(unit))
    }

    /// The section that holds `address` in memory, whole pages counted.
    pub fn section_at(&self, address: u32) -> Option<&Section> {
        self.sections.iter().find(|section| {
            address
                .checked_sub(section.address)
                .is_some_and(|offset| u64::from(offset) < self.mapped_size(section))
        })
    }

    /// Checks that the section table is sound and lies within a file of `len` bytes, as the loader
    /// does. Returns the first address behind all sections.
    pub(crate) fn check_sections(&self, len: usize) -> Result<u32> {
        self.check_alignments()?;
        if self.sections.is_empty() {
            return Err(Error::contradictory("the image has no sections"));
        }
        let mut next = align(self.size_of_headers, self.section_alignment)?;
        for section in &self.sections {
            self.check_section(section, len)?;
            if section.address < next {
                return Err(Error::contradictory(format!(
                    "section {} overlaps what lies before it",
                    section.name()
                )));
            }
            let end = section.address.checked_add(section.memory_size()).ok_or_else(too_long)?;
            next = align(end, self.section_alignment)?;
        }
        if align(self.size_of_image, self.section_alignment)? != next {
            return Err(Error::contradictory(format!(
                "the image is to be {:#x} bytes long in memory, and its sections end at {next:#x}",
                self.size_of_image
            )));
        }
        Ok(next)
    }

    /// The kernel's rule: multiples of a disk sector, or a flat image with two equal alignments.
    fn check_alignments(&self) -> Result<()> {
        let (in_memory, in_file) = (self.section_alignment, self.file_alignment);
        let is_sound = in_memory.is_power_of_two()
            && in_file.is_power_of_two()
            && in_file <= in_memory
            && if self.is_flat() { in_file == in_memory } else { in_file >= 512 };
        if is_sound {
            return Ok(());
        }
        Err(Error::contradictory(format!(
            "sections are to be aligned to {in_memory:#x} in memory and {in_file:#x} in the file, which no loader accepts"
        )))
    }

    fn check_section(&self, section: &Section, len: usize) -> Result<()> {
        let fault =
            |fault: &str| Err(Error::contradictory(format!("section {} {fault}", section.name())));
        if !section.address.is_multiple_of(self.section_alignment) {
            return fault("is not aligned in memory");
        }
        if section.raw_size == 0 {
            return Ok(());
        }
        let end = section.raw_end().ok_or_else(too_long)? as usize;
        if end > len {
            return Err(Error::truncated(&format!("section {}", section.name()), end as u64, len));
        }
        // The loader would round the offset down and map other bytes than the ones meant.
        if self.is_flat() && section.raw_offset != section.address
            || !self.is_flat() && !section.raw_offset.is_multiple_of(512)
        {
            return fault("is not aligned in the file");
        }
        if (section.raw_offset as usize) < self.section_table_end() {
            return fault("overlaps the headers in the file");
        }
        Ok(())
    }
}

/// Rounds `value` up to a multiple of `alignment`.
pub(crate) fn align(value: u32, alignment: u32) -> Result<u32> {
    value.checked_next_multiple_of(alignment.max(1)).ok_or_else(too_long)
}

fn too_long() -> Error {
    Error::contradictory("its sections end beyond 4 GiB")
}

/// The `count` records of `what` at `offset`.
fn table<'data, T: Pod>(
    data: &'data [u8],
    what: &str,
    offset: usize,
    count: usize,
) -> Result<&'data [T]> {
    data.get(offset..)
        .and_then(|bytes| pod::slice_from_bytes(bytes, count).ok())
        .map(|(records, _)| records)
        .ok_or_else(|| cut(data, what, offset + count * size_of::<T>()))
}

/// The plain record at `offset`, if the data reach that far.
pub(crate) fn record<T: Pod>(data: &[u8], offset: usize) -> Option<&T> {
    pod::from_bytes(data.get(offset..)?).ok().map(|(value, _)| value)
}

fn cut(data: &[u8], what: &str, end: usize) -> Error {
    Error::truncated(what, end as u64, data.len())
}
