//! Laying out the image of a proxy: headers, sections and the tables in them.

use super::code::{Code, Import, OWN_PATH, Place};
use super::{MARKER, MARKER_OFFSET};
use crate::headers::PAGE;
use crate::{Error, Export, Result, checksum};
use object::pe;
use object::pod::{bytes_of, bytes_of_slice};
use object::{LittleEndian as LE, U16, U32};
use std::collections::BTreeMap;
use std::mem::{offset_of, size_of};

const IMAGE_BASE: u64 = 0x1_8000_0000;
const FILE_ALIGNMENT: u32 = 0x200;
const NT_OFFSET: u32 = 0x100;
const HEADERS: u32 = 0x400;
const DIRECTORIES: usize = 16;
const SLOT: u32 = 8;

const _: () = assert!(MARKER_OFFSET + MARKER.len() <= NT_OFFSET as usize);

/// Characteristics of sections.
const READABLE: pe::SectionFlags =
    pe::SectionFlags(pe::IMAGE_SCN_MEM_READ.0 | pe::IMAGE_SCN_CNT_INITIALIZED_DATA.0);
const WRITABLE: pe::SectionFlags = pe::SectionFlags(READABLE.0 | pe::IMAGE_SCN_MEM_WRITE.0);
const DISCARDABLE: pe::SectionFlags =
    pe::SectionFlags(READABLE.0 | pe::IMAGE_SCN_MEM_DISCARDABLE.0);
const EXECUTABLE: pe::SectionFlags = pe::SectionFlags(
    pe::IMAGE_SCN_MEM_READ.0 | pe::IMAGE_SCN_MEM_EXECUTE.0 | pe::IMAGE_SCN_CNT_CODE.0,
);

/// A section: where it is in memory, what it holds, and how much more room it takes there than in the file.
struct Section {
    name: &'static [u8; 8],
    address: u32,
    bytes: Vec<u8>,
    room: u32,
    characteristics: pe::SectionFlags,
}

impl Section {
    fn end(&self) -> u32 {
        (self.address + self.bytes.len() as u32 + self.room).next_multiple_of(PAGE)
    }
}

/// Read-only data that is put together at its address.
struct Data {
    address: u32,
    bytes: Vec<u8>,
}

impl Data {
    fn here(&self) -> u32 {
        self.address + self.bytes.len() as u32
    }

    /// Appends `bytes` at a multiple of `align`; returns their address.
    fn put(&mut self, align: usize, bytes: &[u8]) -> u32 {
        let len = self.bytes.len().next_multiple_of(align);
        self.bytes.resize(len, 0);
        let address = self.here();
        self.bytes.extend_from_slice(bytes);
        address
    }

    fn overwrite(&mut self, address: u32, bytes: &[u8]) {
        let start = (address - self.address) as usize;
        self.bytes[start..start + bytes.len()].copy_from_slice(bytes);
    }

    fn string(&mut self, text: &str) -> u32 {
        let address = self.put(1, text.as_bytes());
        self.bytes.push(0);
        address
    }

    fn wide(&mut self, text: &str) -> u32 {
        let units: Vec<u8> = text
            .encode_utf16()
            .chain([0])
            .flat_map(u16::to_le_bytes)
            .collect();
        self.put(2, &units)
    }

    fn numbers(&mut self, numbers: &[u32]) -> u32 {
        let bytes: Vec<u8> = numbers
            .iter()
            .flat_map(|number| number.to_le_bytes())
            .collect();
        self.put(4, &bytes)
    }
}

/// A data directory: address and size.
type Range = (u32, u32);

/// Makes the image. The names are known to be file names, and there is at least one export.
pub fn build(name: &str, module: &str, exports: &[Export]) -> Result<Vec<u8>> {
    let code = Code::for_exports(exports.len() as u32);
    let (entry, code_len) = (PAGE + code.entry, code.len());
    let code_end = PAGE + code_len.next_multiple_of(PAGE);

    let slots_len = exports.len() as u32 * SLOT;
    let addresses_len = (Import::ALL.len() as u32 + 1) * SLOT;

    let mut data = Data {
        address: code_end,
        bytes: Vec::new(),
    };
    let (exported, names) = put_exports(&mut data, name, exports, &code.stubs)?;
    let wanted = put_wanted(&mut data, exports, &names);
    let system_name = data.wide(&format!("\\{name}"));
    let module_name = data.wide(module);
    let functions = put_frames(&mut data, &code);
    // The table of imports comes last: it names the addresses in the section behind it, which begins where this one ends.
    let import_lookups = put_import_names(&mut data);
    let kernel = data.string("kernel32.dll");
    let table_len = 2 * size_of::<pe::ImageImportDescriptor>() as u32;
    let variables = (data.here().next_multiple_of(4) + table_len).next_multiple_of(PAGE);
    let addresses = variables + slots_len;
    let imported = put_import_table(&mut data, &import_lookups, kernel, addresses);

    let unbound = code.unbound.clone();
    let text = code.at(PAGE, |place| match place {
        Place::Label(_) => unreachable!("labels are the code's own"),
        Place::Import(import) => addresses + import as u32 * SLOT,
        Place::Slot(number) => variables + number * SLOT,
        Place::Wanted => wanted,
        Place::SystemName => system_name,
        Place::ModuleName => module_name,
        Place::OwnPath => addresses + addresses_len,
        Place::Image => 0,
    });
    let mut slots: Vec<u8> = unbound
        .iter()
        .flat_map(|offset| (IMAGE_BASE + u64::from(PAGE + offset)).to_le_bytes())
        .collect();
    slots.extend(import_lookups.bytes());

    let mut sections = vec![
        Section {
            name: b".text\0\0\0",
            address: PAGE,
            bytes: text,
            room: 0,
            characteristics: EXECUTABLE,
        },
        Section {
            name: b".rdata\0\0",
            address: code_end,
            bytes: data.bytes,
            room: 0,
            characteristics: READABLE,
        },
        Section {
            name: b".data\0\0\0",
            address: variables,
            bytes: slots,
            room: 2 * (OWN_PATH + module.len() as u32 + 1),
            characteristics: WRITABLE,
        },
    ];
    let relocations = relocations(variables, exports.len() as u32);
    let relocation_range = (sections[2].end(), relocations.len() as u32);
    sections.push(Section {
        name: b".reloc\0\0",
        address: relocation_range.0,
        bytes: relocations,
        room: 0,
        characteristics: DISCARDABLE,
    });
    let mut directories = [(0, 0); DIRECTORIES];
    directories[pe::IMAGE_DIRECTORY_ENTRY_EXPORT] = exported;
    directories[pe::IMAGE_DIRECTORY_ENTRY_IMPORT] = imported;
    directories[pe::IMAGE_DIRECTORY_ENTRY_EXCEPTION] = functions;
    directories[pe::IMAGE_DIRECTORY_ENTRY_BASERELOC] = relocation_range;
    directories[pe::IMAGE_DIRECTORY_ENTRY_IAT] = (addresses, addresses_len);
    Ok(file(entry, &sections, &directories))
}

/// The export table with all that belongs to it, and where the names of the exports are.
fn put_exports(
    data: &mut Data,
    name: &str,
    exports: &[Export],
    stubs: &[u32],
) -> Result<(Range, Vec<Option<u32>>)> {
    let ordinals = || exports.iter().map(|export| u32::from(export.ordinal));
    let (Some(first), Some(last)) = (ordinals().min(), ordinals().max()) else {
        return Err(Error::NoExports);
    };
    let table_at = data.put(4, &[0; size_of::<pe::ImageExportDirectory>()]);
    let own_name = data.string(name);
    let names: Vec<Option<u32>> = exports
        .iter()
        .map(|export| export.name.as_deref().map(|name| data.string(name)))
        .collect();
    let mut functions = vec![0; (last - first + 1) as usize];
    // The loader finds a name by bisection, so they are in the order of their bytes.
    let mut by_name = BTreeMap::new();
    for ((export, address), stub) in exports.iter().zip(&names).zip(stubs) {
        let index = u32::from(export.ordinal) - first;
        functions[index as usize] = PAGE + stub;
        if let (Some(name), Some(address)) = (&export.name, address) {
            by_name.insert(name.as_bytes(), (*address, index as u16));
        }
    }
    let functions_at = data.numbers(&functions);
    let name_addresses: Vec<u32> = by_name.values().map(|(address, _)| *address).collect();
    let names_at = data.numbers(&name_addresses);
    let indices: Vec<U16<LE>> = by_name.values().map(|(_, index)| (*index).into()).collect();
    let indices_at = data.put(2, bytes_of_slice(&indices));
    let table = pe::ImageExportDirectory {
        characteristics: 0.into(),
        time_date_stamp: 0.into(),
        major_version: 0.into(),
        minor_version: 0.into(),
        name: own_name.into(),
        base: first.into(),
        number_of_functions: (functions.len() as u32).into(),
        number_of_names: (name_addresses.len() as u32).into(),
        address_of_functions: functions_at.into(),
        address_of_names: names_at.into(),
        address_of_name_ordinals: indices_at.into(),
    };
    data.overwrite(table_at, bytes_of(&table));
    Ok(((table_at, data.here() - table_at), names))
}

/// See [`Place::Wanted`].
fn put_wanted(data: &mut Data, exports: &[Export], names: &[Option<u32>]) -> u32 {
    let wanted: Vec<u32> = exports
        .iter()
        .zip(names)
        .map(|(export, name)| name.unwrap_or(1 << 31 | u32::from(export.ordinal)))
        .collect();
    data.numbers(&wanted)
}

/// The tables by which exceptions and debuggers unwind the code's functions.
fn put_frames(data: &mut Data, code: &Code) -> Range {
    let entries: Vec<pe::ImageRuntimeFunctionEntry> = code
        .frames
        .iter()
        .map(|frame| pe::ImageRuntimeFunctionEntry {
            begin_address: (PAGE + frame.begin).into(),
            end_address: (PAGE + frame.end).into(),
            unwind_info_address_or_data: data.put(4, &unwind_information(frame.stack)).into(),
        })
        .collect();
    let bytes = bytes_of_slice(&entries);
    (data.put(4, bytes), bytes.len() as u32)
}

/// `UNWIND_INFO` of a function whose first instruction takes `stack` bytes, which is all that it does to the stack.
fn unwind_information(stack: u32) -> [u8; 8] {
    const VERSION: u8 = 1;
    const ALLOC_LARGE: u8 = 1;
    const ALLOC_SMALL: u8 = 2;
    // `sub rsp, n` has four bytes for an n below 128 and seven for others.
    if stack < 128 {
        let slots = (stack / 8 - 1) as u8;
        [VERSION, 4, 1, 0, 4, slots << 4 | ALLOC_SMALL, 0, 0]
    } else {
        let [low, high] = ((stack / 8) as u16).to_le_bytes();
        [VERSION, 7, 2, 0, 7, ALLOC_LARGE, low, high]
    }
}

/// What the loader is to look up, and where the list of it is.
struct Lookups {
    address: u32,
    names: Vec<u32>,
}

impl Lookups {
    fn bytes(&self) -> Vec<u8> {
        self.names
            .iter()
            .chain([&0])
            .flat_map(|&name| u64::from(name).to_le_bytes())
            .collect()
    }
}

fn put_import_names(data: &mut Data) -> Lookups {
    let names = Import::ALL
        .iter()
        .map(|import| {
            let hint = data.put(2, &[0; 2]);
            data.string(&format!("{import:?}"));
            hint
        })
        .collect();
    let mut lookups = Lookups { address: 0, names };
    lookups.address = data.put(8, &lookups.bytes());
    lookups
}

fn put_import_table(data: &mut Data, lookups: &Lookups, kernel: u32, addresses: u32) -> Range {
    let entry = |names: u32, module: u32, addresses: u32| pe::ImageImportDescriptor {
        original_first_thunk: names.into(),
        time_date_stamp: 0.into(),
        forwarder_chain: 0.into(),
        name: module.into(),
        first_thunk: addresses.into(),
    };
    let table = [entry(lookups.address, kernel, addresses), entry(0, 0, 0)];
    let bytes = bytes_of_slice(&table);
    (data.put(4, bytes), bytes.len() as u32)
}

/// The table that has the loader move the addresses in the slots along with the image.
fn relocations(slots: u32, count: u32) -> Vec<u8> {
    let per_page = PAGE / SLOT;
    let kind = pe::IMAGE_REL_BASED_DIR64.0 << 12;
    let mut table = Vec::new();
    for first in (0..count).step_by(per_page as usize) {
        let mut entries: Vec<U16<LE>> = (first..count.min(first + per_page))
            .map(|number| (kind | ((number - first) * SLOT) as u16).into())
            .collect();
        if entries.len() % 2 == 1 {
            // A block is a multiple of four bytes long; an entry of kind 0 does nothing.
            entries.push(0.into());
        }
        let page: U32<LE> = (slots + first * SLOT).into();
        let len: U32<LE> = (8 + 2 * entries.len() as u32).into();
        table.extend_from_slice(bytes_of(&page));
        table.extend_from_slice(bytes_of(&len));
        table.extend_from_slice(bytes_of_slice(&entries));
    }
    table
}

/// The file: headers and sections.
fn file(entry: u32, sections: &[Section], directories: &[Range; DIRECTORIES]) -> Vec<u8> {
    let mut file = dos_header();
    file.extend_from_slice(bytes_of(&nt_headers(entry, sections)));
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
    let place = NT_OFFSET as usize
        + offset_of!(pe::ImageNtHeaders64, optional_header)
        + offset_of!(pe::ImageOptionalHeader64, check_sum);
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

fn nt_headers(entry: u32, sections: &[Section]) -> pe::ImageNtHeaders64 {
    let characteristics = pe::FileFlags(
        pe::IMAGE_FILE_EXECUTABLE_IMAGE.0
            | pe::IMAGE_FILE_LARGE_ADDRESS_AWARE.0
            | pe::IMAGE_FILE_DLL.0,
    );
    let dll_characteristics = pe::DllFlags(
        pe::IMAGE_DLLCHARACTERISTICS_HIGH_ENTROPY_VA.0
            | pe::IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE.0
            | pe::IMAGE_DLLCHARACTERISTICS_NX_COMPAT.0,
    );
    let code_len = sections[0].bytes.len() as u32;
    let data_len: u32 = sections[1..]
        .iter()
        .map(|section| section.bytes.len() as u32)
        .sum();
    let directories_len = DIRECTORIES * size_of::<pe::ImageDataDirectory>();
    let image_len = sections.last().map_or(PAGE, Section::end);
    pe::ImageNtHeaders64 {
        signature: pe::IMAGE_NT_SIGNATURE.into(),
        file_header: pe::ImageFileHeader {
            machine: U16::new(LE, pe::IMAGE_FILE_MACHINE_AMD64),
            number_of_sections: (sections.len() as u16).into(),
            time_date_stamp: 0.into(),
            pointer_to_symbol_table: 0.into(),
            number_of_symbols: 0.into(),
            size_of_optional_header: ((size_of::<pe::ImageOptionalHeader64>() + directories_len)
                as u16)
                .into(),
            characteristics: U16::new(LE, characteristics),
        },
        optional_header: pe::ImageOptionalHeader64 {
            magic: pe::IMAGE_NT_OPTIONAL_HDR64_MAGIC.into(),
            major_linker_version: 14,
            minor_linker_version: 0,
            size_of_code: code_len.next_multiple_of(FILE_ALIGNMENT).into(),
            size_of_initialized_data: data_len.next_multiple_of(FILE_ALIGNMENT).into(),
            size_of_uninitialized_data: 0.into(),
            address_of_entry_point: entry.into(),
            base_of_code: PAGE.into(),
            image_base: IMAGE_BASE.into(),
            section_alignment: PAGE.into(),
            file_alignment: FILE_ALIGNMENT.into(),
            major_operating_system_version: 6.into(),
            minor_operating_system_version: 0.into(),
            major_image_version: 0.into(),
            minor_image_version: 0.into(),
            major_subsystem_version: 6.into(),
            minor_subsystem_version: 0.into(),
            win32_version_value: 0.into(),
            size_of_image: image_len.into(),
            size_of_headers: HEADERS.into(),
            check_sum: 0.into(),
            subsystem: U16::new(LE, pe::IMAGE_SUBSYSTEM_WINDOWS_GUI),
            dll_characteristics: U16::new(LE, dll_characteristics),
            size_of_stack_reserve: 0x10_0000.into(),
            size_of_stack_commit: 0x1000.into(),
            size_of_heap_reserve: 0x10_0000.into(),
            size_of_heap_commit: 0x1000.into(),
            loader_flags: 0.into(),
            number_of_rva_and_sizes: (DIRECTORIES as u32).into(),
        },
    }
}
