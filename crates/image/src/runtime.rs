//! Whether a C runtime can be taken over without its blocks reaching the system's heap: the check
//! that the module makes before a takeover, for a file.

use crate::{Error, Image, Result};
use allograft_references::MappedImage;
use allograft_references::functions::{FUNCTIONS, RELEASING, WINE_MARK};
use object::pe;
use object::read::pe::ExportTable;
use serde::Serialize;

/// Where a C runtime's code refers to the system's functions that free, resize or size a block.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct RuntimeReferences {
    /// Whether it is one of Wine's own, which give the system's heap blocks that they have from
    /// there: references outside mean nothing in it.
    pub is_wine: bool,
    /// How many functions would be replaced.
    pub replaced: usize,
    /// How many references there are. A runtime without any reaches the heap in an unknown way.
    pub references: usize,
    /// Those that are not only reached through functions which would be replaced.
    pub outside: Vec<OutsideReference>,
}

/// A reference to a function of the system's heap.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct OutsideReference {
    /// The function's name.
    pub function: String,
    /// Where the reference is, as an offset in the loaded image.
    pub offset: u32,
}

impl RuntimeReferences {
    /// Reads them from the C runtime `image`, made for x86 or x86-64.
    ///
    /// # Errors
    ///
    /// If the image is for another processor, or its tables of imports or exports lie outside it.
    pub fn read(image: &Image<'_>) -> Result<RuntimeReferences> {
        let slots: Vec<(&[u8], u32)> = image
            .import_slots()?
            .into_iter()
            .filter(|(name, _)| RELEASING.iter().any(|known| known.to_bytes() == *name))
            .collect();
        let offsets: Vec<u32> = slots.iter().map(|(_, slot)| *slot).collect();
        let replaced = replaced_functions(image)?;
        let bytes = |offset| image.bytes_at(offset);
        let mapped = MappedImage::new(image.headers().image_base, &bytes).ok_or_else(|| {
            Error::contradictory("it is made for a processor whose code is not read")
        })?;
        let mut outside = Vec::new();
        let mut scratch = vec![0; mapped.scratch_words()];
        let references = mapped.references_outside(&offsets, &replaced, &mut scratch, &mut |it| {
            let name = slots.iter().find(|(_, slot)| *slot == it.slot).map(|(name, _)| *name);
            let function = String::from_utf8_lossy(name.unwrap_or_default()).into_owned();
            outside.push(OutsideReference { function, offset: it.operand });
        });
        let (place, mark) = WINE_MARK;
        let is_wine = image.bytes_at(place).is_some_and(|bytes| bytes.starts_with(mark));
        Ok(RuntimeReferences { is_wine, replaced: replaced.len(), references, outside })
    }

    /// Whether the takeover needs nothing else to be safe.
    pub fn is_proof(&self) -> bool {
        self.references > 0 && self.outside.is_empty()
    }
}

/// The offsets of the functions that would be replaced, with the bodies that they jump to.
fn replaced_functions(image: &Image<'_>) -> Result<Vec<u32>> {
    let mut replaced = Vec::new();
    let Some(directory) = image.directory(pe::IMAGE_DIRECTORY_ENTRY_EXPORT) else {
        return Ok(replaced);
    };
    let invalid = |error| Error::contradictory(format!("the export table: {error}"));
    let data = image.bytes_at(directory.address).unwrap_or_default();
    let table = ExportTable::parse(data, directory.address).map_err(invalid)?;
    for (pointer, index) in table.name_iter() {
        let name = table.name_from_pointer(pointer).map_err(invalid)?;
        let mut names = FUNCTIONS.iter().flat_map(|row| row.names);
        if !names.any(|known| known.to_bytes() == name) {
            continue;
        }
        let mut function = table.address_by_index(index).map_err(invalid)?;
        // A forwarded export is a text in the table.
        if function.wrapping_sub(directory.address) < directory.size {
            continue;
        }
        while !replaced.contains(&function) {
            replaced.push(function);
            match jump_target(image, function) {
                Some(body) => function = body,
                None => break,
            }
        }
    }
    Ok(replaced)
}

/// Where the jump leads that the function at `offset` begins with, if it does.
fn jump_target(image: &Image<'_>, offset: u32) -> Option<u32> {
    match *image.bytes_at(offset)? {
        [0xE9, a, b, c, d, ..] => {
            Some(offset.wrapping_add(5).wrapping_add(u32::from_le_bytes([a, b, c, d])))
        }
        [0xEB, short, ..] => {
            Some(offset.wrapping_add(2).wrapping_add_signed(short.cast_signed().into()))
        }
        _ => None,
    }
}
