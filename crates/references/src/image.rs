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
    entry_point: u32,
    exports: DataDirectory,
    /// The table of functions, on x86-64.
    functions: DataDirectory,
    relocations: DataDirectory,
}

/// Where a table of an image is, and its size in bytes. Both are 0 where there is none.
#[derive(Clone, Copy, Default)]
struct DataDirectory {
    start: u32,
    size: u32,
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
        const ENTRY_POINT: u32 = OPTIONAL + 16;
        // IMAGE_DIRECTORY_ENTRY_*.
        const EXPORT: u32 = 0;
        const EXCEPTION: u32 = 3;
        const BASERELOC: u32 = 5;

        let none = DataDirectory::default();
        let mut image = MappedImage {
            bytes,
            base,
            is_64: false,
            section_table: (0, 0),
            entry_point: 0,
            exports: none,
            functions: none,
            relocations: none,
        };
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
        image.entry_point = image.u32_at(field(ENTRY_POINT)?)?;
        let directory = |number: u32| {
            let entry = OPTIONAL + if image.is_64 { 112 } else { 96 } + number * 8;
            if entry + 8 - OPTIONAL > optional_size {
                return Some(none);
            }
            let (start, size) = (field(entry)?, field(entry + 4)?);
            Some(DataDirectory { start: image.u32_at(start)?, size: image.u32_at(size)? })
        };
        let (exports, relocations) = (directory(EXPORT)?, directory(BASERELOC)?);
        // On x86 the entry has another meaning.
        let functions = if image.is_64 { directory(EXCEPTION)? } else { none };
        Some(MappedImage { exports, functions, relocations, ..image })
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
        let DataDirectory { start, size } = self.functions;
        let entry = |index: u32| start.checked_add(index.checked_mul(ENTRY)?);
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

    /// The offset of the function that the system calls first; 0 if there is none.
    pub(crate) fn entry_point(&self) -> u32 {
        self.entry_point
    }

    /// The offsets of what it exports, by name or by number. A forwarded export is the offset of a
    /// text.
    pub(crate) fn exports(&self) -> impl Iterator<Item = u32> {
        const COUNT: u32 = 20;
        const ADDRESSES: u32 = 28;
        let table = self.exports.start;
        let field = |offset| self.u32_at(table.checked_add(offset)?);
        let fields = if table == 0 { None } else { field(COUNT).zip(field(ADDRESSES)) };
        let (count, addresses) = fields.unwrap_or((0, 0));
        (0..count)
            .map_while(move |index| self.u32_at(addresses.checked_add(index.checked_mul(4)?)?))
    }

    /// The offsets of the 32-bit pointers that the loader adjusts where the image lies elsewhere
    /// than it expects.
    pub(crate) fn relocated_pointers(&self) -> impl Iterator<Item = u32> {
        const HEADER: u32 = 8;
        /// IMAGE_REL_BASED_HIGHLOW.
        const POINTER: u16 = 3;
        let mut next = self.relocations.start;
        let end = next.saturating_add(self.relocations.size);
        let blocks = core::iter::from_fn(move || {
            let block = next;
            if block == 0 || block >= end {
                return None;
            }
            let size = self.u32_at(block.checked_add(4)?)?;
            next = block.checked_add(size.max(HEADER))?;
            Some((self.u32_at(block)?, block + HEADER..next.min(end)))
        });
        blocks.flat_map(move |(page, entries)| {
            let entries = entries.step_by(2).map_while(|entry| self.u16_at(entry));
            entries
                .filter(|entry| entry >> 12 == POINTER)
                .map(move |entry| page.saturating_add(u32::from(entry & 0xFFF)))
        })
    }

    /// The bytes of `range`, in pieces that are contiguous, each with its offset. Pages that cannot
    /// be read are left out.
    pub(crate) fn pieces(&self, range: Range<u32>) -> impl Iterator<Item = (u32, &'a [u8])> {
        let mut next = range.start;
        core::iter::from_fn(move || {
            while next < range.end {
                let start = next;
                let Some(bytes) = self.bytes(start).filter(|bytes| !bytes.is_empty()) else {
                    // Nothing is here: go on with the next page.
                    next = (start | 0xFFF).saturating_add(1);
                    continue;
                };
                let bytes = &bytes[..bytes.len().min((range.end - start) as usize)];
                next = start.saturating_add(bytes.len() as u32);
                return Some((start, bytes));
            }
            None
        })
    }

    /// The bytes from `offset` on, as far as they are contiguous.
    pub(crate) fn bytes(&self, offset: u32) -> Option<&'a [u8]> {
        (self.bytes)(offset)
    }

    pub(crate) fn u32_at(&self, offset: u32) -> Option<u32> {
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
