//! An image by offsets from its base: headers, sections, and the table of functions.

use core::ops::Range;

/// The signature of the PE headers.
const PE: u32 = 0x4550;
const X86: u16 = 0x14C;
const X86_64: u16 = 0x8664;

/// Most sections that Windows accepts.
const MOST_SECTIONS: u32 = 96;

/// Most unwind records that are followed from one to the next. Linkers chain a few.
const MOST_CHAINED: u32 = 32;

/// An image for x86 or x86-64, as the loader maps it. Offsets count from its base in memory.
#[derive(Clone, Copy)]
pub struct MappedImage<'a> {
    bytes: &'a dyn Fn(u32) -> Option<&'a [u8]>,
    base: u64,
    is_64: bool,
    /// Where the section table is, and its number of entries.
    section_table: (u32, u32),
    /// The data directory's table of functions, on x86-64.
    functions: (u32, u32),
}

/// A section of an image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Section {
    /// Its offsets in memory.
    pub range: Range<u32>,
    characteristics: u32,
}

impl Section {
    /// Whether it holds code that can be executed.
    pub fn is_executable(&self) -> bool {
        const EXECUTE: u32 = 0x2000_0000;
        self.characteristics & EXECUTE != 0
    }

    /// Whether the program can write to it.
    pub fn is_writable(&self) -> bool {
        const WRITE: u32 = 0x8000_0000;
        self.characteristics & WRITE != 0
    }
}

impl<'a> MappedImage<'a> {
    /// The image whose code expects to lie at the address `base`: where it is loaded, or for a file
    /// the base that its header states. `bytes` returns the bytes from an offset up to where they
    /// cease to be contiguous or readable, and `None` if there are none.
    ///
    /// `None` if there are no headers, or they are those of another processor.
    pub fn new(base: u64, bytes: &'a dyn Fn(u32) -> Option<&'a [u8]>) -> Option<MappedImage<'a>> {
        const NT_HEADERS: u32 = 0x3C;
        const MACHINE: u32 = 4;
        const SECTION_COUNT: u32 = 6;
        const OPTIONAL_SIZE: u32 = 20;
        const OPTIONAL: u32 = 24;
        /// Of the directory's fourth entry, IMAGE_DIRECTORY_ENTRY_EXCEPTION, on x86-64.
        const EXCEPTIONS: u32 = OPTIONAL + 112 + 3 * 8;

        let mut image =
            MappedImage { bytes, base, is_64: false, section_table: (0, 0), functions: (0, 0) };
        let headers = image.u32_at(NT_HEADERS)?;
        let field = |offset| headers.checked_add(offset);
        if image.u32_at(headers)? != PE {
            return None;
        }
        image.is_64 = match image.u16_at(field(MACHINE)?)? {
            X86_64 => true,
            X86 => false,
            _ => return None,
        };
        let optional_size = u32::from(image.u16_at(field(OPTIONAL_SIZE)?)?);
        let sections = u32::from(image.u16_at(field(SECTION_COUNT)?)?).min(MOST_SECTIONS);
        image.section_table = (field(OPTIONAL)?.checked_add(optional_size)?, sections);
        if image.is_64 && optional_size >= EXCEPTIONS + 8 - OPTIONAL {
            image.functions =
                (image.u32_at(field(EXCEPTIONS)?)?, image.u32_at(field(EXCEPTIONS + 4)?)?);
        }
        Some(image)
    }

    /// Whether it is an image for x86-64.
    pub fn is_64(&self) -> bool {
        self.is_64
    }

    /// The address that its code expects its first byte at.
    pub fn base(&self) -> u64 {
        self.base
    }

    /// Its sections, as far as the table can be read.
    pub fn sections(&self) -> impl Iterator<Item = Section> {
        const ENTRY: u32 = 40;
        let (table, count) = self.section_table;
        (0..count).map_while(move |index| {
            let entry = table.checked_add(index * ENTRY)?;
            let field = |offset| self.u32_at(entry.checked_add(offset)?);
            let (virtual_size, start, raw_size) = (field(8)?, field(12)?, field(16)?);
            // The loader takes the size in the file where there is no other.
            let size = if virtual_size == 0 { raw_size } else { virtual_size };
            let range = start..start.saturating_add(size);
            Some(Section { range, characteristics: field(36)? })
        })
    }

    /// The section that `offset` lies in.
    pub fn section_at(&self, offset: u32) -> Option<Section> {
        self.sections().find(|section| section.range.contains(&offset))
    }

    /// The part of a function that `offset` lies in, and where the function begins, by the table
    /// that x86-64 images have for unwinding. A compiler may split a function: its parts name the
    /// one they belong to. `None` on x86, and for leaf functions, which have no entry.
    pub fn function_at(&self, offset: u32) -> Option<Function> {
        let entry = self.entry_at(offset)?;
        let part = self.u32_at(entry)?..self.u32_at(entry + 4)?;
        let mut owner = entry;
        for _ in 0..MOST_CHAINED {
            match self.chained(self.u32_at(owner.checked_add(8)?)?)? {
                Some(next) => owner = next,
                None => return Some(Function { begin: self.u32_at(owner)?, part }),
            }
        }
        None
    }

    /// The entry of the function table whose function contains `offset`. The table is sorted.
    fn entry_at(&self, offset: u32) -> Option<u32> {
        const ENTRY: u32 = 12;
        let (table, size) = self.functions;
        let entry = |index: u32| table.checked_add(index.checked_mul(ENTRY)?);
        let (mut low, mut high) = (0, size / ENTRY);
        while low < high {
            let middle = low + (high - low) / 2;
            let at = entry(middle)?;
            if offset < self.u32_at(at)? {
                high = middle;
            } else if offset >= self.u32_at(at.checked_add(4)?)? {
                low = middle + 1;
            } else {
                return Some(at);
            }
        }
        None
    }

    /// The entry that the unwind record of an entry is chained to, if it is.
    fn chained(&self, unwind: u32) -> Option<Option<u32>> {
        const CHAINED: u8 = 4;
        // An odd number is the offset of another entry.
        if unwind & 1 != 0 {
            return Some(Some(unwind & !1));
        }
        let [version_and_flags, _, codes, _] = self.u32_at(unwind)?.to_le_bytes();
        if (version_and_flags >> 3) & CHAINED == 0 {
            return Some(None);
        }
        // The chained entry lies behind the codes: 2 bytes each, an even number of them.
        let codes = u32::from(codes).next_multiple_of(2);
        Some(Some(unwind.checked_add(4 + 2 * codes)?))
    }

    /// The bytes from `offset` on, as far as they are contiguous.
    pub(crate) fn bytes(&self, offset: u32) -> Option<&'a [u8]> {
        (self.bytes)(offset)
    }

    fn u32_at(&self, offset: u32) -> Option<u32> {
        self.bytes(offset)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
    }

    fn u16_at(&self, offset: u32) -> Option<u16> {
        self.bytes(offset)?.first_chunk().map(|bytes| u16::from_le_bytes(*bytes))
    }
}

/// Where a function begins, and the part of it that was asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Function {
    /// The offset of its first instruction.
    pub begin: u32,
    /// The offsets of the contiguous part.
    pub part: Range<u32>,
}
