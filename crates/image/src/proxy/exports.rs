//! The export table of a proxy.

use super::data::{Data, Range};
use crate::headers::PAGE;
use crate::{Error, Export, Result};
use object::pe;
use object::pod::{bytes_of, bytes_of_slice};
use object::{LittleEndian as LE, U16};
use std::collections::BTreeMap;
use std::mem::size_of;

/// Appends the export table with all that belongs to it. `stubs` are the offsets of the exports in
/// the code. Also returns where the names of the exports are.
pub fn put_exports(
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
    let names: Vec<Option<u32>> =
        exports.iter().map(|export| export.name.as_deref().map(|name| data.string(name))).collect();
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

/// See [`Place::Wanted`](super::code::Place::Wanted).
pub fn put_wanted(data: &mut Data, exports: &[Export], names: &[Option<u32>]) -> u32 {
    let wanted: Vec<u32> = exports
        .iter()
        .zip(names)
        .map(|(export, name)| name.unwrap_or(1 << 31 | u32::from(export.ordinal)))
        .collect();
    data.numbers(&wanted)
}
