//! Reading the export table of a loaded module, without the loader: its own look-up may run
//! initialisers of DLLs, and may wait for another thread that loads one.

use core::cmp::Ordering;
use core::ffi::CStr;

use crate::loaded_image::{Directory, LoadedImage, RegionOf};
use crate::module::Module;

/// A function that a module exports by name, and does not forward to another module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Export {
    /// The address of its 32-bit entry in the export address table: the function's offset from the
    /// module's base.
    pub(crate) entry: usize,
    /// The function's address.
    pub(crate) address: usize,
}

/// The function that `module` exports as `name`; none if it exports no such name, or forwards it.
pub(crate) fn find(module: &Module, region: RegionOf<'_>, name: &CStr) -> Option<Export> {
    const NAME_COUNT: usize = 24;
    const FUNCTIONS: usize = 28;
    const NAMES: usize = 32;
    const ORDINALS: usize = 36;

    let image = LoadedImage::new(module, region);
    let (table, size) = image.directory(Directory::Exports)?;
    let field = |at: usize| image.number(table.saturating_add(at));
    let (functions, names, ordinals) = (field(FUNCTIONS)?, field(NAMES)?, field(ORDINALS)?);
    // The names are sorted by their bytes.
    let (mut low, mut high) = (0, field(NAME_COUNT)?);
    while low < high {
        let middle = low + (high - low) / 2;
        let text = image.number(names.saturating_add(4 * middle))?;
        match compare(&image, text, name)? {
            Ordering::Less => low = middle + 1,
            Ordering::Greater => high = middle,
            Ordering::Equal => {
                let index = image.read::<u16>(ordinals.saturating_add(2 * middle))?;
                let entry = functions.saturating_add(4 * usize::from(index));
                let offset = image.number(entry)?;
                // What lies in the directory itself is the name of a function elsewhere.
                let is_forwarded = (table..table.saturating_add(size)).contains(&offset);
                let export =
                    Export { entry: image.base + entry, address: image.base.wrapping_add(offset) };
                return (offset != 0 && !is_forwarded).then_some(export);
            }
        }
    }
    None
}

/// Compares the text at `offset` with `name`. C++ names may be longer than any text that is read
/// as a whole, so no more of it than decides is read.
fn compare(image: &LoadedImage<'_>, offset: usize, name: &CStr) -> Option<Ordering> {
    for (index, &byte) in name.to_bytes_with_nul().iter().enumerate() {
        match image.read::<u8>(offset.checked_add(index)?)?.cmp(&byte) {
            Ordering::Equal => {}
            different => return Some(different),
        }
    }
    Some(Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loaded_image::tests::{ImageInMemory, readable};

    const TABLE: usize = 0x200;
    const FUNCTIONS: usize = 0x300;
    const NAMES: usize = 0x340;
    const ORDINALS: usize = 0x380;
    const TEXTS: usize = 0x400;

    /// Exports `RtlFreeHeap`, `RtlSizeHeap` and `RtlZeroHeap`, which is forwarded. The order of the
    /// functions is not that of the names.
    fn image() -> ImageInMemory {
        let mut image = ImageInMemory::new();
        image.set_directory(Directory::Exports, TABLE, 0x40);
        for (at, value) in [(24, 3), (28, FUNCTIONS), (32, NAMES), (36, ORDINALS)] {
            image.put_number(TABLE + at, value);
        }
        let exports: [(&[u8], u16); 3] =
            [(b"RtlFreeHeap", 2), (b"RtlSizeHeap", 0), (b"RtlZeroHeap", 1)];
        for (index, (name, ordinal)) in exports.into_iter().enumerate() {
            image.put_number(NAMES + 4 * index, TEXTS + 0x20 * index);
            image.put(TEXTS + 0x20 * index, name);
            image.put(ORDINALS + 2 * index, &ordinal.to_le_bytes());
        }
        for (index, offset) in [0x900, TABLE + 0x10, 0x800].into_iter().enumerate() {
            image.put_number(FUNCTIONS + 4 * index, offset);
        }
        image
    }

    #[test]
    fn a_function_is_found_with_its_entry_in_the_table() {
        let image = image();
        let base = image.base();
        let find = |name| find(&image.module(), &readable, name);
        let entry = |entry, offset| Some(Export { entry: base + entry, address: base + offset });
        assert_eq!(find(c"RtlFreeHeap"), entry(FUNCTIONS + 8, 0x800));
        assert_eq!(find(c"RtlSizeHeap"), entry(FUNCTIONS, 0x900));
        assert_eq!(find(c"RtlZeroHeap"), None, "forwarded");
        for missing in [c"RtlFree", c"RtlFreeHeapX", c"A", c"Z", c""] {
            assert_eq!(find(missing), None, "{missing:?}");
        }
    }

    #[test]
    fn damaged_tables_have_no_exports() {
        let names = ImageInMemory::directory_entry(Directory::Exports);
        for (at, value) in [
            (names, 0xFFFF_FF00),
            (TABLE + 28, 0xFFF0_0000),
            (NAMES + 4, 0xFFFF_FFF0),
            (TABLE + 24, 0),
        ] {
            let mut image = image();
            image.put_number(at, value);
            let found = find(&image.module(), &readable, c"RtlFreeHeap");
            assert_eq!(found, None, "{at:#x}");
        }
        assert_eq!(find(&image().module(), &|_| None, c"RtlFreeHeap"), None);
    }
}
