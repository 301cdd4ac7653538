//! The functions that an image exports.

use crate::{Error, Image, Result};
use object::LittleEndian as LE;
use object::pe;
use object::{U16, U32};

/// Most entries that an export table is read with: ordinals have 16 bits.
const MAX_EXPORTS: u32 = 0x1_0000;

/// Something that an image exports.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Export {
    /// The number under which it can be imported.
    pub ordinal: u16,
    /// Its name; none if it can be had by its ordinal only. A thing with two names is two exports
    /// with one ordinal.
    pub name: Option<String>,
    /// Whether it lies where code is, or is passed on to another module, which is taken for code.
    /// Else it is a variable.
    pub is_code: bool,
}

impl Image<'_> {
    /// What the image exports, by ordinal and then by name.
    ///
    /// # Errors
    ///
    /// If the table, or a name in it, lies outside the image or is no text.
    pub fn exports(&self) -> Result<Vec<Export>> {
        let Some(directory) = self.directory(pe::IMAGE_DIRECTORY_ENTRY_EXPORT) else {
            return Ok(Vec::new());
        };
        let table: pe::ImageExportDirectory =
            self.record_at(directory.address).ok_or_else(outside)?;
        let (functions, names) = (table.number_of_functions.get(LE), table.number_of_names.get(LE));
        if functions > MAX_EXPORTS || names > MAX_EXPORTS {
            return Err(Error::contradictory(format!(
                "the export table has more than {MAX_EXPORTS} entries"
            )));
        }
        let names = self.names_by_index(&table, names)?;
        let mut names = names.into_iter().peekable();
        let mut exports = Vec::new();
        for index in 0..functions {
            let address: U32<LE> =
                self.entry_at(table.address_of_functions.get(LE), index, size_of::<u32>())?;
            let address = address.get(LE);
            let mut add = |name| -> Result<()> {
                if address != 0 {
                    exports.push(Export {
                        ordinal: ordinal(table.base.get(LE), index)?,
                        name,
                        is_code: directory.holds(address) || self.is_code(address),
                    });
                }
                Ok(())
            };
            let mut is_named = false;
            while let Some((_, name)) = names.next_if(|(of, _)| u32::from(*of) == index) {
                is_named = true;
                add(Some(name))?;
            }
            if !is_named {
                add(None)?;
            }
        }
        Ok(exports)
    }

    /// The names with the indices of what they name, in the order of these.
    fn names_by_index(
        &self,
        table: &pe::ImageExportDirectory,
        count: u32,
    ) -> Result<Vec<(u16, String)>> {
        let mut names = Vec::new();
        for place in 0..count {
            let name: U32<LE> =
                self.entry_at(table.address_of_names.get(LE), place, size_of::<u32>())?;
            let index: U16<LE> =
                self.entry_at(table.address_of_name_ordinals.get(LE), place, size_of::<u16>())?;
            let name = self.string_at(name.get(LE)).ok_or_else(outside)?;
            let name = str::from_utf8(name)
                .map_err(|_| Error::contradictory("the name of an export is no text"))?;
            names.push((index.get(LE), name.to_owned()));
        }
        names.sort();
        Ok(names)
    }

    fn entry_at<T: object::pod::Pod + Copy>(
        &self,
        table: u32,
        index: u32,
        size: usize,
    ) -> Result<T> {
        (size as u32)
            .checked_mul(index)
            .and_then(|offset| table.checked_add(offset))
            .and_then(|address| self.record_at(address))
            .ok_or_else(outside)
    }

    fn is_code(&self, address: u32) -> bool {
        self.headers().section_at(address).is_some_and(|section| {
            section.characteristics & (pe::IMAGE_SCN_MEM_EXECUTE.0 | pe::IMAGE_SCN_CNT_CODE.0) != 0
        })
    }
}

impl crate::Directory {
    /// Whether `address` lies in the table: an export whose address does is passed on to another
    /// module.
    fn holds(self, address: u32) -> bool {
        address.checked_sub(self.address).is_some_and(|within| within < self.size)
    }
}

fn ordinal(base: u32, index: u32) -> Result<u16> {
    base.checked_add(index)
        .and_then(|ordinal| u16::try_from(ordinal).ok())
        .ok_or_else(|| Error::contradictory("an export has an ordinal of more than 16 bits"))
}

fn outside() -> Error {
    Error::contradictory("the export table lies outside the image")
}
