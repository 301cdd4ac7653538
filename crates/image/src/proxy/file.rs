//! The file of a proxy: headers and sections.

use super::data::Range;
use super::sections::Section;
use super::target::Target;
use super::{MARKER, MARKER_OFFSET};
use crate::checksum;
use crate::headers::PAGE;
use object::pe;
use object::pod::bytes_of;
use object::{LittleEndian as LE, U16, U32};
use std::mem::{offset_of, size_of};

const FILE_ALIGNMENT: u32 = 0x200;
const NT_OFFSET: u32 = 0x100;
const HEADERS: u32 = 0x400;
/// Where the optional header begins.
const OPTIONAL_HEADER: usize =
    NT_OFFSET as usize + size_of::<U32<LE>>() + size_of::<pe::ImageFileHeader>();
/// How many data directories there are.
pub const DIRECTORIES: usize = 16;

const _: () = assert!(MARKER_OFFSET + MARKER.len() <= NT_OFFSET as usize);
const _: () = assert!(
    offset_of!(pe::ImageOptionalHeader32, check_sum)
        == offset_of!(pe::ImageOptionalHeader64, check_sum)
);

/// The file of an image with these sections, the first of which is the code. `entry` is the address
/// of the entry point.
pub fn file(
    target: Target,
    entry: u32,
    sections: &[Section],
    directories: &[Range; DIRECTORIES],
) -> Vec<u8> {
    let mut file = dos_header();
    file.extend_from_slice(&nt_headers(target, entry, sections));
    for &(address, size) in directories {
        file.extend_from_slice(&address.to_le_bytes());
        file.extend_from_slice(&size.to_le_bytes());
    }
    let mut offset = HEADERS;
    for section in sections {
        let len = (section.bytes.len() as u32).next_multiple_of(FILE_ALIGNMENT);
        file.extend_from_slice(bytes_of(&pe::ImageSectionHeader {
            name: *section.name,
            virtual_size: (section.bytes.len() as u32 + section.room).into(),
            virtual_address: section.address.into(),
            size_of_raw_data: len.into(),
            pointer_to_raw_data: offset.into(),
            pointer_to_relocations: 0.into(),
            pointer_to_linenumbers: 0.into(),
            number_of_relocations: 0.into(),
            number_of_linenumbers: 0.into(),
            characteristics: U32::new(LE, section.characteristics),
        }));
        offset += len;
    }
    file.resize(HEADERS as usize, 0);
    for section in sections {
        file.extend_from_slice(&section.bytes);
        file.resize(file.len().next_multiple_of(FILE_ALIGNMENT as usize), 0);
    }
    let sum = checksum(&file).to_le_bytes();
    let place = OPTIONAL_HEADER + offset_of!(pe::ImageOptionalHeader64, check_sum);
    file[place..place + 4].copy_from_slice(&sum);
    file
}

fn dos_header() -> Vec<u8> {
    let mut bytes = vec![0; NT_OFFSET as usize];
    bytes[..2].copy_from_slice(b"MZ");
    let place = offset_of!(pe::ImageDosHeader, e_lfanew);
    bytes[place..place + 4].copy_from_slice(&NT_OFFSET.to_le_bytes());
    bytes[MARKER_OFFSET..MARKER_OFFSET + MARKER.len()].copy_from_slice(MARKER);
    bytes
}

/// Signature, file header and optional header, without the data directories.
fn nt_headers(target: Target, entry: u32, sections: &[Section]) -> Vec<u8> {
    let optional = optional_header(target, entry, sections);
    let directories_len = DIRECTORIES * size_of::<pe::ImageDataDirectory>();
    let (machine, word_size) = match target {
        Target::X86 => (pe::IMAGE_FILE_MACHINE_I386, pe::IMAGE_FILE_32BIT_MACHINE),
        Target::X64 => (pe::IMAGE_FILE_MACHINE_AMD64, pe::IMAGE_FILE_LARGE_ADDRESS_AWARE),
    };
    let characteristics =
        pe::FileFlags(pe::IMAGE_FILE_EXECUTABLE_IMAGE.0 | pe::IMAGE_FILE_DLL.0 | word_size.0);
    let signature: U32<LE> = pe::IMAGE_NT_SIGNATURE.into();
    let header = pe::ImageFileHeader {
        machine: U16::new(LE, machine),
        number_of_sections: (sections.len() as u16).into(),
        time_date_stamp: 0.into(),
        pointer_to_symbol_table: 0.into(),
        number_of_symbols: 0.into(),
        size_of_optional_header: ((optional.len() + directories_len) as u16).into(),
        characteristics: U16::new(LE, characteristics),
    };
    [bytes_of(&signature), bytes_of(&header), &optional].concat()
}

/// The optional header `$type`, whose fields differ in their widths and by `$more`.
macro_rules! optional_header {
    ($type:ident, $dll:expr, $entry:expr, $sections:expr, { $($more:tt)* }) => {
        bytes_of(&pe::$type {
            major_linker_version: 14,
            minor_linker_version: 0,
            size_of_code: sizes_of(&$sections[..1]).into(),
            size_of_initialized_data: sizes_of(&$sections[1..]).into(),
            size_of_uninitialized_data: 0.into(),
            address_of_entry_point: $entry.into(),
            base_of_code: PAGE.into(),
            section_alignment: PAGE.into(),
            file_alignment: FILE_ALIGNMENT.into(),
            major_operating_system_version: 6.into(),
            minor_operating_system_version: 0.into(),
            major_image_version: 0.into(),
            minor_image_version: 0.into(),
            major_subsystem_version: 6.into(),
            minor_subsystem_version: 0.into(),
            win32_version_value: 0.into(),
            size_of_image: $sections.last().map_or(PAGE, Section::end).into(),
            size_of_headers: HEADERS.into(),
            check_sum: 0.into(),
            subsystem: U16::new(LE, pe::IMAGE_SUBSYSTEM_WINDOWS_GUI),
            dll_characteristics: U16::new(LE, $dll),
            size_of_stack_reserve: 0x10_0000.into(),
            size_of_stack_commit: 0x1000.into(),
            size_of_heap_reserve: 0x10_0000.into(),
            size_of_heap_commit: 0x1000.into(),
            loader_flags: 0.into(),
            number_of_rva_and_sizes: (DIRECTORIES as u32).into(),
            $($more)*
        })
        .to_vec()
    };
}

fn optional_header(target: Target, entry: u32, sections: &[Section]) -> Vec<u8> {
    let movable =
        pe::IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE.0 | pe::IMAGE_DLLCHARACTERISTICS_NX_COMPAT.0;
    match target {
        Target::X86 => {
            // The code handles no exceptions; without this the system would search it for handlers.
            let dll = pe::DllFlags(movable | pe::IMAGE_DLLCHARACTERISTICS_NO_SEH.0);
            optional_header!(ImageOptionalHeader32, dll, entry, sections, {
                magic: pe::IMAGE_NT_OPTIONAL_HDR32_MAGIC.into(),
                base_of_data: sections.get(1).map_or(PAGE, |data| data.address).into(),
                image_base: (target.image_base() as u32).into(),
            })
        }
        Target::X64 => {
            let dll = pe::DllFlags(movable | pe::IMAGE_DLLCHARACTERISTICS_HIGH_ENTROPY_VA.0);
            optional_header!(ImageOptionalHeader64, dll, entry, sections, {
                magic: pe::IMAGE_NT_OPTIONAL_HDR64_MAGIC.into(),
                image_base: target.image_base().into(),
            })
        }
    }
}

/// Bytes of the sections in the file.
fn sizes_of(sections: &[Section]) -> u32 {
    sections
        .iter()
        .map(|section| section.bytes.len() as u32)
        .sum::<u32>()
        .next_multiple_of(FILE_ALIGNMENT)
}
