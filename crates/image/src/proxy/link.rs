//! Links a proxy: lays out its sections, fills its tables, writes the file.
//!
//! | section | contents |
//! |---|---|
//! | `.text` | the stubs of the exports, and the shared code, which ends with the section's last page |
//! | `.data` | import address table, pointers, names, slots; then room for the proxy's own path |
//! | `.rdata` | the tables for the loader, and what the slots are looked up by |
//! | `.reloc` | the relocations |
//!
//! `object` writes the headers, the section table and the relocations. It has no writer for the
//! tables of exports, imports and unwind data, and none for the checksum: these are made here.

use super::machine::{ProxyMachine, SLOT_IN_STUB, STUB_LEN, SharedCode, UNBOUND};
use crate::headers::PAGE;
use crate::imports::MAX_MODULE_NAME;
use crate::{Directory, Error, Export, Headers, Result, checksum};
use object::pe;
use object::pod::{bytes_of, bytes_of_slice};
use object::write::pe::{NtHeaders, Writer};
use object::{LittleEndian as LE, U16, U32};
use std::collections::BTreeMap;

/// What follows the DOS header of every proxy, for people who look into the file and for
/// [`is_proxy`].
const MARKER: &[u8] =
    b"A proxy made by allograft: it loads a module of allograft and passes every call on to the system's DLL.\r\n\0";

const FILE_ALIGNMENT: u32 = 0x200;
const INT3: u8 = 0xCC;

/// The functions of kernel32 that the code calls, in the order of the import address table, with
/// which `.data` begins.
const IMPORTS: [&str; 6] = [
    "DisableThreadLibraryCalls",
    "GetModuleFileNameW",
    "GetProcAddress",
    "GetSystemDirectoryW",
    "LoadLibraryExW",
    "RaiseException",
];

// The fields behind that table: their offsets in `.data`, in pointers. The listings know them too.
const OWN_PATH: u32 = IMPORTS.len() as u32 + 1;
const WANTED: u32 = OWN_PATH + 1;
const COUNT: u32 = WANTED + 1;
const NAMES: u32 = COUNT + 1;

/// Length of the two names in UTF-16: `\NAME` of the system's DLL and the module's file name, each
/// with a NUL.
const SYSTEM_NAME_LEN: usize = MAX_MODULE_NAME + 2;
const MODULE_NAME_LEN: usize = MAX_MODULE_NAME + 1;

/// Room for the path of the proxy itself, as long as Windows has them, and the module's name.
const OWN_PATH_SIZE: u32 = 2 * (0x8000 + MODULE_NAME_LEN as u32);

/// Whether the file with these bytes is a proxy that [`build_proxy`](crate::build_proxy) has made.
pub fn is_proxy(bytes: &[u8]) -> bool {
    let behind_dos_header = bytes.get(size_of::<pe::ImageDosHeader>()..).unwrap_or_default();
    bytes.starts_with(b"MZ") && behind_dos_header.starts_with(MARKER)
}

/// Makes the file. The names are file names, and there is at least one export.
pub fn link(
    machine: &ProxyMachine,
    name: &str,
    module: &str,
    exports: &[Export],
) -> Result<Vec<u8>> {
    let layout = ProxyLayout::new(machine, exports.len() as u32);
    let tables = ProxyTables::new(&layout, name, exports);
    let data = layout.data(&tables, name, module);
    let mut file = write(&layout, &tables, exports, &data).map_err(|_| Error::TooLarge)?;
    let checksum_offset = Headers::parse(&file)?.checksum_offset();
    let sum = checksum(&file).to_le_bytes();
    file[checksum_offset..checksum_offset + 4].copy_from_slice(&sum);
    Ok(file)
}

/// Where everything is, in relative virtual addresses.
struct ProxyLayout<'a> {
    machine: &'a ProxyMachine,
    code: SharedCode,
    export_count: u32,
    text_size: u32,
    data_at: u32,
    /// Offset of the slots in `.data`.
    slots: u32,
}

impl ProxyLayout<'_> {
    fn new(machine: &ProxyMachine, export_count: u32) -> ProxyLayout<'_> {
        let code = machine.code();
        let text_size = (export_count * STUB_LEN + code.bytes.len() as u32).next_multiple_of(PAGE);
        let names = 2 * (SYSTEM_NAME_LEN + MODULE_NAME_LEN) as u32;
        ProxyLayout {
            machine,
            code,
            export_count,
            text_size,
            data_at: PAGE + text_size,
            slots: (NAMES * machine.pointer_len() + names).next_multiple_of(8),
        }
    }

    fn stub(&self, number: u32) -> u32 {
        PAGE + number * STUB_LEN
    }

    fn slot(&self, number: u32) -> u32 {
        self.data_at + self.slots + number * self.machine.pointer_len()
    }

    fn code(&self) -> u32 {
        self.data_at - self.code.bytes.len() as u32
    }

    /// Bytes of `.data` in the file; the room for the proxy's own path follows in memory.
    fn data_size(&self) -> u32 {
        self.slot(self.export_count) - self.data_at
    }

    fn tables(&self) -> u32 {
        (self.data_at + self.data_size() + OWN_PATH_SIZE).next_multiple_of(PAGE)
    }

    fn text(&self) -> Vec<u8> {
        let bind = self.code() + self.code.label("bind");
        let mut text: Vec<u8> = (0..self.export_count)
            .flat_map(|n| self.machine.stub(self.stub(n), n, self.slot(n), bind))
            .collect();
        text.resize(self.text_size as usize - self.code.bytes.len(), INT3);
        text.extend_from_slice(&self.code.bytes);
        text
    }

    fn data(&self, tables: &ProxyTables, name: &str, module: &str) -> Vec<u8> {
        let machine = self.machine;
        let mut data = tables.lookups.clone();
        data.extend(machine.pointer(machine.absolute(self.data_at + self.data_size())));
        data.extend(machine.pointer(machine.absolute(tables.wanted)));
        data.extend(machine.pointer(self.export_count.into()));
        for (name, len) in
            [(format!("\\{name}"), SYSTEM_NAME_LEN), (module.to_owned(), MODULE_NAME_LEN)]
        {
            let padded = name.encode_utf16().chain(std::iter::repeat(0)).take(len);
            data.extend(padded.flat_map(u16::to_le_bytes));
        }
        data.resize(self.slots as usize, 0);
        data.extend(
            (0..self.export_count)
                .flat_map(|n| machine.pointer(machine.absolute(self.stub(n) + UNBOUND))),
        );
        data
    }

    /// The places of all pointers, which change when the loader moves the image, in order.
    fn relocations(&self, tables: &ProxyTables, exports: &[Export]) -> Vec<u32> {
        let (numbers, len) = (0..self.export_count, self.machine.pointer_len());
        let slot_is_absolute = !self.machine.is_64;
        let stubs =
            numbers.clone().filter(|_| slot_is_absolute).map(|n| self.stub(n) + SLOT_IN_STUB);
        let pointers = [OWN_PATH, WANTED].map(|field| self.data_at + field * len);
        let slots = numbers.clone().map(|n| self.slot(n));
        let named = numbers.filter(|&n| exports[n as usize].name.is_some());
        stubs.chain(pointers).chain(slots).chain(named.map(|n| tables.wanted + n * len)).collect()
    }
}

/// The contents of `.rdata`.
#[derive(Default)]
struct ProxyTables {
    bytes: Vec<u8>,
    address: u32,
    exports: Directory,
    imports: Directory,
    functions: Directory,
    /// For each export, what `GetProcAddress` takes: the address of its name, or its ordinal.
    wanted: u32,
    /// The import address table as the loader finds it.
    lookups: Vec<u8>,
}

impl ProxyTables {
    fn new(layout: &ProxyLayout<'_>, name: &str, exports: &[Export]) -> ProxyTables {
        let mut tables = ProxyTables { address: layout.tables(), ..ProxyTables::default() };
        let names = tables.put_exports(layout, name, exports);
        let wanted: Vec<u8> = exports
            .iter()
            .zip(names)
            .map(|(export, name)| match name {
                Some(name) => layout.machine.absolute(name),
                None => export.ordinal.into(),
            })
            .flat_map(|wanted| layout.machine.pointer(wanted))
            .collect();
        tables.wanted = tables.put(8, &wanted).address;
        tables.put_imports(layout);
        if layout.machine.is_64 {
            tables.put_functions(layout);
        }
        tables
    }

    /// Appends `bytes` at a multiple of `align`.
    fn put(&mut self, align: usize, bytes: &[u8]) -> Directory {
        self.bytes.resize(self.bytes.len().next_multiple_of(align), 0);
        let address = self.address + self.bytes.len() as u32;
        self.bytes.extend_from_slice(bytes);
        Directory { address, size: bytes.len() as u32 }
    }

    fn put_string(&mut self, text: &str) -> u32 {
        self.put(1, &[text.as_bytes(), b"\0"].concat()).address
    }

    /// Appends the export table. Returns the addresses of the exports' names.
    fn put_exports(
        &mut self,
        layout: &ProxyLayout<'_>,
        name: &str,
        exports: &[Export],
    ) -> Vec<Option<u32>> {
        let ordinals = exports.iter().map(|export| u32::from(export.ordinal));
        let base = ordinals.clone().min().unwrap_or_default();
        let last = ordinals.clone().max().unwrap_or_default();
        let table = self.put(4, &[0; size_of::<pe::ImageExportDirectory>()]).address;
        let own_name = self.put_string(name);
        let names: Vec<Option<u32>> = exports
            .iter()
            .map(|export| export.name.as_deref().map(|name| self.put_string(name)))
            .collect();
        let mut functions = vec![U32::default(); (last - base + 1) as usize];
        // The loader finds a name by bisection, so they are in the order of their bytes.
        let mut by_name = BTreeMap::new();
        for ((number, export), address) in (0..).zip(exports).zip(&names) {
            let index = export.ordinal - base as u16;
            functions[usize::from(index)] = U32::new(LE, layout.stub(number));
            if let (Some(name), Some(address)) = (&export.name, *address) {
                by_name.insert(name.as_bytes(), (U32::new(LE, address), U16::new(LE, index)));
            }
        }
        let (addresses, indices): (Vec<U32<LE>>, Vec<U16<LE>>) = by_name.into_values().unzip();
        let directory = pe::ImageExportDirectory {
            characteristics: 0.into(),
            time_date_stamp: 0.into(),
            major_version: 0.into(),
            minor_version: 0.into(),
            name: own_name.into(),
            base: base.into(),
            number_of_functions: (functions.len() as u32).into(),
            number_of_names: (addresses.len() as u32).into(),
            address_of_functions: self.put(4, bytes_of_slice(&functions)).address.into(),
            address_of_names: self.put(4, bytes_of_slice(&addresses)).address.into(),
            address_of_name_ordinals: self.put(2, bytes_of_slice(&indices)).address.into(),
        };
        let at = (table - self.address) as usize;
        self.bytes[at..at + size_of_val(&directory)].copy_from_slice(bytes_of(&directory));
        self.exports = Directory { address: table, size: self.bytes.len() as u32 };
        names
    }

    fn put_imports(&mut self, layout: &ProxyLayout<'_>) {
        let names = IMPORTS.map(|import| {
            let hint = self.put(2, &[0; 2]).address;
            self.put_string(import);
            hint
        });
        let pointers = names.into_iter().chain([0]);
        self.lookups = pointers.flat_map(|name| layout.machine.pointer(name.into())).collect();
        let lookups = self.lookups.clone();
        let kernel32 = pe::ImageImportDescriptor {
            original_first_thunk: self.put(8, &lookups).address.into(),
            time_date_stamp: 0.into(),
            forwarder_chain: 0.into(),
            name: self.put_string("kernel32.dll").into(),
            first_thunk: layout.data_at.into(),
        };
        let end = [0; size_of::<pe::ImageImportDescriptor>()];
        self.imports = self.put(4, &[bytes_of(&kernel32), &end].concat());
    }

    /// Appends the tables by which exceptions and debuggers unwind the code.
    fn put_functions(&mut self, layout: &ProxyLayout<'_>) {
        let functions: Vec<_> = layout
            .code
            .frames()
            .into_iter()
            .map(|(begin, end, unwind_info)| pe::ImageRuntimeFunctionEntry {
                begin_address: (layout.code() + begin).into(),
                end_address: (layout.code() + end).into(),
                unwind_info_address_or_data: self.put(4, &unwind_info).address.into(),
            })
            .collect();
        self.functions = self.put(4, bytes_of_slice(&functions));
    }
}

fn write(
    layout: &ProxyLayout<'_>,
    tables: &ProxyTables,
    exports: &[Export],
    data: &[u8],
) -> object::write::Result<Vec<u8>> {
    let machine = layout.machine;
    let mut file = Vec::new();
    let mut writer = Writer::new(machine.is_64, PAGE, FILE_ALIGNMENT, &mut file);
    writer.reserve_dos_header();
    writer.reserve(MARKER.len() as u32, 1);
    writer.reserve_nt_headers(pe::IMAGE_NUMBEROF_DIRECTORY_ENTRIES);
    writer.reserve_section_headers(4);
    let text = writer.reserve_text_section(layout.text_size);
    let variables =
        writer.reserve_data_section(layout.data_size() + OWN_PATH_SIZE, layout.data_size());
    let constants = writer.reserve_rdata_section(tables.bytes.len() as u32);
    debug_assert_eq!(
        (text.virtual_address, variables.virtual_address, constants.virtual_address),
        (PAGE, layout.data_at, tables.address)
    );
    for place in layout.relocations(tables, exports) {
        writer.add_reloc(place, machine.relocation);
    }
    writer.reserve_reloc_section();
    let addresses = Directory { address: layout.data_at, size: tables.lookups.len() as u32 };
    for (index, directory) in [
        (pe::IMAGE_DIRECTORY_ENTRY_EXPORT, tables.exports),
        (pe::IMAGE_DIRECTORY_ENTRY_IMPORT, tables.imports),
        (pe::IMAGE_DIRECTORY_ENTRY_EXCEPTION, tables.functions),
        (pe::IMAGE_DIRECTORY_ENTRY_IAT, addresses),
    ] {
        writer.set_data_directory(index, directory.address, directory.size);
    }
    writer.write_empty_dos_header()?;
    writer.write(MARKER);
    writer.write_nt_headers(NtHeaders {
        machine: machine.number,
        time_date_stamp: 0,
        characteristics: pe::IMAGE_FILE_EXECUTABLE_IMAGE | pe::IMAGE_FILE_DLL | machine.file_flags,
        major_linker_version: 14,
        minor_linker_version: 0,
        address_of_entry_point: layout.code() + layout.code.label("entry"),
        image_base: machine.image_base,
        major_operating_system_version: 6,
        minor_operating_system_version: 0,
        major_image_version: 0,
        minor_image_version: 0,
        major_subsystem_version: 6,
        minor_subsystem_version: 0,
        subsystem: pe::IMAGE_SUBSYSTEM_WINDOWS_GUI,
        dll_characteristics: pe::IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE
            | pe::IMAGE_DLLCHARACTERISTICS_NX_COMPAT
            | machine.dll_flags,
        size_of_stack_reserve: 0x10_0000,
        size_of_stack_commit: 0x1000,
        size_of_heap_reserve: 0x10_0000,
        size_of_heap_commit: 0x1000,
    });
    writer.write_section_headers();
    writer.write_section(text.file_offset, &layout.text());
    writer.write_section(variables.file_offset, data);
    writer.write_section(constants.file_offset, &tables.bytes);
    writer.write_reloc_section();
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Machine;

    #[test]
    fn the_listings_expect_the_fields_where_they_are() {
        for (machine, base) in [(Machine::X64, "end + "), (Machine::X86, "")] {
            let layout = ProxyLayout::new(ProxyMachine::new(machine).unwrap(), 1);
            let len = layout.machine.pointer_len();
            let imports = IMPORTS.into_iter().zip((0..).map(|index| index * len));
            for (name, offset) in imports.chain([
                ("own_path", OWN_PATH * len),
                ("wanted", WANTED * len),
                ("count", COUNT * len),
                ("system_name", NAMES * len),
                ("module_name", NAMES * len + 2 * SYSTEM_NAME_LEN as u32),
                ("slots", layout.slots),
            ]) {
                let value = format!("{base}{offset}").replace("end + 0", "end");
                let line = format!(".set {name}, {value}");
                assert!(layout.machine.listing.lines().any(|l| l.trim() == line), "{line}");
            }
        }
    }
}
