//! The sections of a proxy.

use crate::headers::PAGE;
use object::pe;

/// Characteristics of sections: read-only data.
pub const READABLE: pe::SectionFlags =
    pe::SectionFlags(pe::IMAGE_SCN_MEM_READ.0 | pe::IMAGE_SCN_CNT_INITIALIZED_DATA.0);
/// Data that is written to.
pub const WRITABLE: pe::SectionFlags = pe::SectionFlags(READABLE.0 | pe::IMAGE_SCN_MEM_WRITE.0);
/// Data for the loader alone.
pub const DISCARDABLE: pe::SectionFlags =
    pe::SectionFlags(READABLE.0 | pe::IMAGE_SCN_MEM_DISCARDABLE.0);
/// Code.
pub const EXECUTABLE: pe::SectionFlags = pe::SectionFlags(
    pe::IMAGE_SCN_MEM_READ.0 | pe::IMAGE_SCN_MEM_EXECUTE.0 | pe::IMAGE_SCN_CNT_CODE.0,
);

/// A section: where it is in memory, what it holds, and how much more room it takes there than in
/// the file.
pub struct Section {
    pub name: &'static [u8; 8],
    pub address: u32,
    pub bytes: Vec<u8>,
    pub room: u32,
    pub characteristics: pe::SectionFlags,
}

impl Section {
    /// Where the next one may begin.
    pub fn end(&self) -> u32 {
        (self.address + self.bytes.len() as u32 + self.room).next_multiple_of(PAGE)
    }
}
