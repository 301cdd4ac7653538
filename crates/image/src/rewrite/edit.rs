//! Changing single fields of the headers in a copy of the file.

use crate::headers::SECTION_HEADER_LEN;
use crate::{Directory, Headers, Result, Section};
use object::pe;
use std::mem::offset_of;

// The fields edited here lie at the same offset in both forms of the optional header.
type Optional = pe::ImageOptionalHeader64;
const _: () = assert!(
    offset_of!(Optional, size_of_image) == offset_of!(pe::ImageOptionalHeader32, size_of_image)
);
const _: () = assert!(
    offset_of!(Optional, dll_characteristics)
        == offset_of!(pe::ImageOptionalHeader32, dll_characteristics)
);

/// A copy of the file whose headers are being changed. Its headers have been read from it, so all
/// their offsets lie within it.
pub(crate) struct HeaderEditor<'bytes> {
    bytes: &'bytes mut Vec<u8>,
    headers: Headers,
}

impl<'bytes> HeaderEditor<'bytes> {
    /// Reads the headers of `bytes` in order to change them.
    pub fn new(bytes: &'bytes mut Vec<u8>) -> Result<HeaderEditor<'bytes>> {
        let headers = Headers::parse(bytes)?;
        Ok(HeaderEditor { bytes, headers })
    }

    /// Moves the PE header and the section table down to `offset`, and clears what they leave
    /// behind.
    pub fn move_down(&mut self, offset: usize) -> Result<()> {
        let (old, end) = (self.headers.nt_offset, self.headers.section_table_end());
        self.bytes.copy_within(old..end, offset);
        self.bytes[offset + (end - old)..end].fill(0);
        put_u32(self.bytes, offset_of!(pe::ImageDosHeader, e_lfanew), offset as u32);
        self.headers = Headers::parse(self.bytes)?;
        Ok(())
    }

    /// Appends `section` to the section table. The caller has seen to it that there is room.
    pub fn add_section(&mut self, section: &Section) {
        self.write_section(self.headers.sections.len(), section);
        let count = offset_of!(pe::ImageNtHeaders64, file_header)
            + offset_of!(pe::ImageFileHeader, number_of_sections);
        put_u16(self.bytes, self.headers.nt_offset + count, self.headers.sections.len() as u16 + 1);
    }

    /// Overwrites the last entry of the section table.
    pub fn replace_last_section(&mut self, section: &Section) {
        self.write_section(self.headers.sections.len() - 1, section);
    }

    fn write_section(&mut self, index: usize, section: &Section) {
        let at = self.headers.section_table_offset + index * SECTION_HEADER_LEN;
        let bytes = &mut self.bytes[at..at + SECTION_HEADER_LEN];
        bytes.fill(0);
        bytes[..section.name.len()].copy_from_slice(&section.name);
        let mut put = |field: usize, value: u32| {
            bytes[field..field + 4].copy_from_slice(&value.to_le_bytes())
        };
        put(offset_of!(pe::ImageSectionHeader, virtual_size), section.virtual_size);
        put(offset_of!(pe::ImageSectionHeader, virtual_address), section.address);
        put(offset_of!(pe::ImageSectionHeader, size_of_raw_data), section.raw_size);
        put(offset_of!(pe::ImageSectionHeader, pointer_to_raw_data), section.raw_offset);
        put(offset_of!(pe::ImageSectionHeader, characteristics), section.characteristics);
    }

    /// Sets the data directory number `index`, which the image must have.
    pub fn set_directory(&mut self, index: usize, directory: Directory) {
        let at = self.headers.directories_offset + index * size_of::<pe::ImageDataDirectory>();
        put_u32(self.bytes, at, directory.address);
        put_u32(self.bytes, at + 4, directory.size);
    }

    pub fn set_size_of_image(&mut self, size: u32) {
        self.put_optional(offset_of!(Optional, size_of_image), size);
    }

    pub fn set_size_of_headers(&mut self, size: u32) {
        self.put_optional(offset_of!(Optional, size_of_headers), size);
    }

    pub fn set_size_of_initialized_data(&mut self, size: u32) {
        self.put_optional(offset_of!(Optional, size_of_initialized_data), size);
    }

    pub fn set_checksum(&mut self, checksum: u32) {
        self.put_optional(offset_of!(Optional, check_sum), checksum);
    }

    pub fn set_dll_characteristics(&mut self, flags: u16) {
        put_u16(
            self.bytes,
            self.headers.optional_offset + offset_of!(Optional, dll_characteristics),
            flags,
        );
    }

    fn put_optional(&mut self, field: usize, value: u32) {
        put_u32(self.bytes, self.headers.optional_offset + field, value);
    }
}

/// The file offset of the checksum in the headers.
pub(crate) fn checksum_offset(headers: &Headers) -> usize {
    headers.optional_offset + offset_of!(Optional, check_sum)
}

fn put_u16(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
}

fn put_u32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}
