//! What an image imports: the import table and the delay-load table, as the loader reads them.

use crate::crt::Crt;
use crate::{Directory, Error, Image, Result};
use object::LittleEndian as LE;
use object::pe;
use object::pod::Pod;

/// Most imported modules, and most functions of one module, that are read. Real images stay far
/// below; hostile ones do not.
const MAX_MODULES: usize = 4096;
const MAX_FUNCTIONS: usize = 65_536;

pub(crate) const DESCRIPTOR_LEN: u32 = size_of::<pe::ImageImportDescriptor>() as u32;

const FUNCTION_TABLE: &str = "a table of imported functions";

/// Longest name of a module, in bytes.
pub(crate) const MAX_MODULE_NAME: usize = 255;

/// When the loader brings an imported module in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImportKind {
    /// Before the image's own code runs.
    Ordinary,
    /// When one of its functions is first called.
    Delayed,
}

/// One imported module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImportedModule {
    /// The name in the image, with bytes that are not UTF-8 replaced.
    pub name: String,
    /// When it is loaded.
    pub kind: ImportKind,
    /// Whether its functions' addresses were written into the image in advance (bound).
    pub bound: bool,
    /// Address of the table of functions to look up.
    lookup: u32,
    /// Address of the slots that the loader writes the functions' addresses to.
    slots: u32,
    /// What to subtract from the addresses in that table: the image base for the old delay-load
    /// tables that hold virtual addresses, else zero.
    base: u32,
}

impl ImportedModule {
    /// The C runtime that this import leads to, if it leads to one.
    pub fn crt(&self) -> Option<&'static Crt> {
        Crt::from_module(&self.name)
    }
}

/// Checks that `name` is a file name without a folder.
pub(crate) fn check_module_name(name: &str) -> Result<()> {
    let is_plain = |c: char| c.is_ascii_graphic() && !r#"\/:*?"<>|"#.contains(c) || c == ' ';
    if name.is_empty() || name.len() > MAX_MODULE_NAME || !name.chars().all(is_plain) {
        return Err(Error::ModuleName(name.to_owned()));
    }
    Ok(())
}

/// One imported function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ImportedFunction<'data> {
    /// Imported by name.
    Name(&'data [u8]),
    /// Imported by number.
    Ordinal(u16),
}

impl<'data> Image<'data> {
    /// All imported modules, in the order of the tables: the ordinary ones first, then the delayed
    /// ones.
    ///
    /// # Errors
    ///
    /// If a table or a name lies outside the image.
    pub fn imports(&self) -> Result<Vec<ImportedModule>> {
        let mut modules = Vec::new();
        for descriptor in self.import_descriptors()? {
            let names = descriptor.original_first_thunk.get(LE);
            modules.push(ImportedModule {
                name: self.module_name(descriptor.name.get(LE))?,
                kind: ImportKind::Ordinary,
                bound: descriptor.time_date_stamp.get(LE) != 0,
                lookup: if names == 0 { descriptor.first_thunk.get(LE) } else { names },
                slots: descriptor.first_thunk.get(LE),
                base: 0,
            });
        }
        let table = pe::IMAGE_DIRECTORY_ENTRY_DELAY_IMPORT;
        let is_end = |last: &pe::ImageDelayloadDescriptor| last.dll_name_rva.get(LE) == 0;
        for descriptor in self.descriptors(table, "the delay-load table", is_end)? {
            // Bit 0 means relative addresses; without it, 32-bit images hold virtual ones.
            let is_virtual = descriptor.attributes.get(LE) & 1 == 0 && !self.headers().is_64;
            let base = if is_virtual { self.headers().image_base as u32 } else { 0 };
            modules.push(ImportedModule {
                name: self.module_name(descriptor.dll_name_rva.get(LE).wrapping_sub(base))?,
                kind: ImportKind::Delayed,
                bound: descriptor.time_date_stamp.get(LE) != 0,
                lookup: descriptor.import_name_table_rva.get(LE).wrapping_sub(base),
                slots: descriptor.import_address_table_rva.get(LE).wrapping_sub(base),
                base,
            });
        }
        Ok(modules)
    }

    /// The entries of the import table, without the one that ends it.
    pub(crate) fn import_descriptors(&self) -> Result<Vec<pe::ImageImportDescriptor>> {
        // The loader stops at the first entry without a name or without a place for addresses.
        let is_end = |descriptor: &pe::ImageImportDescriptor| {
            descriptor.name.get(LE) == 0 || descriptor.first_thunk.get(LE) == 0
        };
        self.descriptors(pe::IMAGE_DIRECTORY_ENTRY_IMPORT, "the import table", is_end)
    }

    /// The entries of the table that data directory number `index` points to, up to the end.
    fn descriptors<T: Pod + Copy>(
        &self,
        index: usize,
        what: &str,
        is_end: impl Fn(&T) -> bool,
    ) -> Result<Vec<T>> {
        let mut descriptors = Vec::new();
        let Some(Directory { mut address, .. }) = self.directory(index) else {
            return Ok(descriptors);
        };
        loop {
            let descriptor: T = self.record_at(address).ok_or_else(|| self.outside(what))?;
            if is_end(&descriptor) {
                return Ok(descriptors);
            }
            if descriptors.len() == MAX_MODULES {
                return Err(Error::contradictory(format!(
                    "{what} has more than {MAX_MODULES} entries"
                )));
            }
            descriptors.push(descriptor);
            address =
                address.checked_add(size_of::<T>() as u32).ok_or_else(|| self.outside(what))?;
        }
    }

    /// The error for something that lies outside the image. If its sections are at fault, it names
    /// that fault.
    fn outside(&self, what: &str) -> Error {
        self.headers()
            .check_sections(self.data().len())
            .err()
            .unwrap_or_else(|| Error::contradictory(format!("{what} lies outside the image")))
    }

    fn module_name(&self, address: u32) -> Result<String> {
        self.string_at(address)
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .ok_or_else(|| self.outside("the name of an imported module"))
    }

    /// The functions that the image imports from `module`, in order.
    ///
    /// # Errors
    ///
    /// If the table or a name lies outside the image.
    pub fn functions(&self, module: &ImportedModule) -> Result<Vec<ImportedFunction<'data>>> {
        let mut functions = Vec::new();
        let mut address = module.lookup;
        loop {
            let thunk = self.thunk_at(address).ok_or_else(|| self.outside(FUNCTION_TABLE))?;
            if thunk == 0 {
                return Ok(functions);
            }
            if functions.len() == MAX_FUNCTIONS {
                return Err(Error::contradictory(format!(
                    "more than {MAX_FUNCTIONS} functions are imported from {}",
                    module.name
                )));
            }
            functions.push(self.function(thunk, module.base)?);
            let next = address.checked_add(self.thunk_len());
            address = next.ok_or_else(|| self.outside(FUNCTION_TABLE))?;
        }
    }

    /// The slots in the import address tables of the functions that the image imports by name, from
    /// whichever modules.
    ///
    /// # Errors
    ///
    /// As [`Image::functions`].
    pub fn import_slots(&self) -> Result<Vec<(&'data [u8], u32)>> {
        let mut slots = Vec::new();
        for module in self.imports()? {
            for (slot, function) in (0..).zip(self.functions(&module)?) {
                if let ImportedFunction::Name(name) = function {
                    slots.push((name, module.slots.wrapping_add(slot * self.thunk_len())));
                }
            }
        }
        Ok(slots)
    }

    fn function(&self, thunk: u64, base: u32) -> Result<ImportedFunction<'data>> {
        let by_ordinal = if self.headers().is_64 { 1 << 63 } else { 1 << 31 };
        if thunk & by_ordinal != 0 {
            return Ok(ImportedFunction::Ordinal(thunk as u16));
        }
        // A two-byte hint stands before the name.
        (thunk as u32)
            .wrapping_sub(base)
            .checked_add(2)
            .and_then(|address| self.string_at(address))
            .map(ImportedFunction::Name)
            .ok_or_else(|| self.outside("the name of an imported function"))
    }

    fn thunk_at(&self, address: u32) -> Option<u64> {
        if self.headers().is_64 {
            self.record_at::<object::U64<LE>>(address).map(|thunk| thunk.get(LE))
        } else {
            self.record_at::<object::U32<LE>>(address).map(|thunk| thunk.get(LE).into())
        }
    }

    pub(crate) fn thunk_len(&self) -> u32 {
        if self.headers().is_64 { 8 } else { 4 }
    }
}
