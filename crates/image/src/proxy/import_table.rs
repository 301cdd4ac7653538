//! What a proxy imports.

use super::code::Import;
use super::data::{Data, Range};
use super::target::Target;
use object::pe;
use object::pod::bytes_of_slice;

/// What the loader is to look up, and where the list of it is.
pub struct Lookups {
    address: u32,
    names: Vec<u32>,
}

impl Lookups {
    /// The list as the loader reads it: what it replaces by the addresses of the functions.
    pub fn bytes(&self, target: Target) -> Vec<u8> {
        self.names.iter().chain([&0]).flat_map(|&name| target.address(name.into())).collect()
    }
}

/// Appends the names of the functions that a proxy imports, and the list of them.
pub fn put_import_names(data: &mut Data, target: Target) -> Lookups {
    let names = Import::ALL
        .iter()
        .map(|import| {
            let hint = data.put(2, &[0; 2]);
            data.string(&format!("{import:?}"));
            hint
        })
        .collect();
    let mut lookups = Lookups { address: 0, names };
    lookups.address = data.put(target.pointer() as usize, &lookups.bytes(target));
    lookups
}

/// Appends the import table: the functions come from the DLL whose name is at `kernel`, and their
/// addresses go to `addresses`.
pub fn put_import_table(data: &mut Data, lookups: &Lookups, kernel: u32, addresses: u32) -> Range {
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
