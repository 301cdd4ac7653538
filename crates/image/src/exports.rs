//! The functions and variables that an image exports.

use crate::{Error, Image, Result};
use object::pe;
use object::read::pe::ExportTable;
use std::collections::HashMap;

/// Something that an image exports.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Export {
    /// The number under which it can be imported.
    pub ordinal: u16,
    /// Its name; `None` if it can be imported by its ordinal only. A function with two names is two
    /// exports with one ordinal.
    pub name: Option<String>,
    /// Whether it is a function: it lies in code, or is forwarded to another module. Otherwise it
    /// is a variable.
    pub is_code: bool,
}

impl Image<'_> {
    /// What the image exports, by ordinal and then by name.
    ///
    /// # Errors
    ///
    /// If the table, or a name in it, lies outside the image or is not UTF-8.
    pub fn exports(&self) -> Result<Vec<Export>> {
        let Some(directory) = self.directory(pe::IMAGE_DIRECTORY_ENTRY_EXPORT) else {
            return Ok(Vec::new());
        };
        let invalid = |error| Error::contradictory(format!("the export table: {error}"));
        let data = self.bytes_at(directory.address).unwrap_or_default();
        let table = ExportTable::parse(data, directory.address).map_err(invalid)?;
        let mut names: HashMap<u16, Vec<Option<String>>> = HashMap::new();
        for (pointer, index) in table.name_iter() {
            let name = table.name_from_pointer(pointer).map_err(invalid)?;
            let name = str::from_utf8(name)
                .map_err(|_| Error::contradictory("the name of an export is not UTF-8"))?;
            names.entry(index.0).or_default().push(Some(name.to_owned()));
        }
        let mut exports = Vec::new();
        for (index, ordinal, address) in table.address_iter().filter(|entry| entry.2 != 0) {
            // The address of a forwarded export is that of a string in the table.
            let is_forwarded = address.wrapping_sub(directory.address) < directory.size;
            let is_code = is_forwarded || self.is_code(address);
            let mut own = names.remove(&index.0).unwrap_or_else(|| vec![None]);
            own.sort();
            exports.extend(own.into_iter().map(|name| Export {
                ordinal: ordinal.0,
                name,
                is_code,
            }));
        }
        Ok(exports)
    }

    fn is_code(&self, address: u32) -> bool {
        self.headers().section_at(address).is_some_and(|section| {
            section.characteristics & (pe::IMAGE_SCN_MEM_EXECUTE.0 | pe::IMAGE_SCN_CNT_CODE.0) != 0
        })
    }
}
