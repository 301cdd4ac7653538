//! Laying out the image of a proxy: the code, read-only data, variables, and the relocations.

use super::code::{Code, Import, OWN_PATH, Place};
use super::data::{Data, Range};
use super::exports::{put_exports, put_wanted};
use super::file::{DIRECTORIES, file};
use super::import_table::{Lookups, put_import_names, put_import_table};
use super::relocations::relocations;
use super::sections::{DISCARDABLE, EXECUTABLE, READABLE, Section, WRITABLE};
use super::target::Target;
use super::unwind::put_frames;
use crate::headers::PAGE;
use crate::{Export, Result};
use object::pe;
use std::mem::size_of;

/// Makes the image. The names are known to be file names, and there is at least one export.
pub fn build(target: Target, name: &str, module: &str, exports: &[Export]) -> Result<Vec<u8>> {
    let code = Code::for_exports(target, exports.len() as u32);
    let entry = PAGE + code.entry;
    let data_begins = PAGE + code.len().next_multiple_of(PAGE);
    let mut data = Data::at(data_begins);
    let constants = Constants::put(&mut data, target, name, module, exports, &code)?;
    let variables = &constants.variables;

    let slots = variables.slots(target, &code, &constants.lookups);
    let moving: Vec<u32> = code
        .addresses()
        .map(|offset| PAGE + offset)
        .chain((0..exports.len() as u32).map(|number| variables.slot(number)))
        .collect();
    let text = code.at(PAGE, target.image_base(), |place| constants.address_of(place));
    let mut sections = vec![
        section(b".text\0\0\0", PAGE, text, EXECUTABLE),
        section(b".rdata\0\0", data_begins, data.into_bytes(), READABLE),
        Section {
            room: 2 * (OWN_PATH + module.len() as u32 + 1),
            ..section(b".data\0\0\0", variables.begin, slots, WRITABLE)
        },
    ];
    let relocations = relocations(target, &moving);
    let relocation_range = (sections[2].end(), relocations.len() as u32);
    sections.push(section(b".reloc\0\0", relocation_range.0, relocations, DISCARDABLE));

    let mut directories = [(0, 0); DIRECTORIES];
    directories[pe::IMAGE_DIRECTORY_ENTRY_EXPORT] = constants.exported;
    directories[pe::IMAGE_DIRECTORY_ENTRY_IMPORT] = constants.imported;
    directories[pe::IMAGE_DIRECTORY_ENTRY_EXCEPTION] = constants.functions;
    directories[pe::IMAGE_DIRECTORY_ENTRY_BASERELOC] = relocation_range;
    directories[pe::IMAGE_DIRECTORY_ENTRY_IAT] = constants.variables.addresses();
    Ok(file(target, entry, &sections, &directories))
}

fn section(
    name: &'static [u8; 8],
    address: u32,
    bytes: Vec<u8>,
    characteristics: pe::SectionFlags,
) -> Section {
    Section { name, address, bytes, room: 0, characteristics }
}

/// The read-only data: where its parts are.
struct Constants {
    exported: Range,
    imported: Range,
    functions: Range,
    wanted: u32,
    system_name: u32,
    module_name: u32,
    lookups: Lookups,
    variables: Variables,
}

impl Constants {
    /// Appends all of it to `data`, behind which the variables come.
    fn put(
        data: &mut Data,
        target: Target,
        name: &str,
        module: &str,
        exports: &[Export],
        code: &Code,
    ) -> Result<Constants> {
        let (exported, names) = put_exports(data, name, exports, &code.stubs)?;
        let wanted = put_wanted(data, exports, &names);
        let system_name = data.wide(&format!("\\{name}"));
        let module_name = data.wide(module);
        let functions = put_frames(data, code);
        // The table of imports comes last: it names the addresses in the section behind it, which
        // begins where this one ends.
        let lookups = put_import_names(data, target);
        let kernel = data.string("kernel32.dll");
        let table_len = 2 * size_of::<pe::ImageImportDescriptor>() as u32;
        let variables = Variables {
            begin: (data.here().next_multiple_of(4) + table_len).next_multiple_of(PAGE),
            slot_len: target.pointer(),
            slot_count: exports.len() as u32,
        };
        let imported = put_import_table(data, &lookups, kernel, variables.addresses().0);
        Ok(Constants {
            exported,
            imported,
            functions,
            wanted,
            system_name,
            module_name,
            lookups,
            variables,
        })
    }

    fn address_of(&self, place: Place) -> u32 {
        let (addresses, addresses_len) = self.variables.addresses();
        match place {
            Place::Label(_) => unreachable!("labels are the code's own"),
            Place::Import(import) => addresses + import as u32 * self.variables.slot_len,
            Place::Slot(number) => self.variables.slot(number),
            Place::Wanted => self.wanted,
            Place::SystemName => self.system_name,
            Place::ModuleName => self.module_name,
            Place::OwnPath => addresses + addresses_len,
            Place::Image => 0,
        }
    }
}

/// The section of variables: the slots, the addresses of the imported functions, and room for the
/// proxy's own path.
struct Variables {
    begin: u32,
    slot_len: u32,
    slot_count: u32,
}

impl Variables {
    fn slot(&self, number: u32) -> u32 {
        self.begin + number * self.slot_len
    }

    /// Where the loader writes the addresses of the imported functions.
    fn addresses(&self) -> Range {
        let len = (Import::ALL.len() as u32 + 1) * self.slot_len;
        (self.slot(self.slot_count), len)
    }

    /// What is in the slots, and behind them, before anything has run.
    fn slots(&self, target: Target, code: &Code, lookups: &Lookups) -> Vec<u8> {
        code.unbound
            .iter()
            .flat_map(|offset| target.address(target.image_base() + u64::from(PAGE + offset)))
            .chain(lookups.bytes(target))
            .collect()
    }
}
