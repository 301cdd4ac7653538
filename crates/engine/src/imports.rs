//! Reading the import tables of a loaded module, with those of delay-loaded DLLs.

use core::ffi::CStr;

use crate::loaded_image::{Directory, LoadedImage, RegionOf};
use crate::module::Module;

/// Which of `names` `module` imports, the first one that it has bound to an address for which
/// `is_meant` holds. API sets and forwarders are resolved in that address.
pub(crate) fn find_any(
    module: &Module,
    region: RegionOf<'_>,
    names: &[&'static CStr],
    is_meant: impl Fn(usize) -> bool,
) -> Option<&'static CStr> {
    let image = LoadedImage::new(module, region);
    imports(&image).filter(|import| is_meant(import.address)).find_map(|import| {
        let name = import.name_in(&image)?;
        names.iter().copied().find(|&known| known == name)
    })
}

/// The address of the slot in which `module` keeps the address of the function that it imports as
/// `name`.
pub(crate) fn slot(module: &Module, region: RegionOf<'_>, name: &CStr) -> Option<usize> {
    let image = LoadedImage::new(module, region);
    let import = imports(&image).find(|import| import.name_in(&image) == Some(name))?;
    Some(import.slot)
}

/// Calls `visit` with the address and the contents of each slot of the import address tables of
/// `module`. Those of delay-loaded DLLs come too: before their first call they hold addresses in
/// the module itself.
pub(crate) fn visit(module: &Module, region: RegionOf<'_>, visit: &mut dyn FnMut(usize, usize)) {
    let image = LoadedImage::new(module, region);
    let all = imports(&image).chain(delayed_imports(&image));
    all.for_each(|import| visit(import.slot, import.address));
}

/// Calls `visit` with the name of the function, the address and the contents of each slot, as
/// [`visit`] does, where the function is imported by its name.
pub(crate) fn visit_named(
    module: &Module,
    region: RegionOf<'_>,
    visit: &mut dyn FnMut(&'static CStr, usize, usize),
) {
    let image = LoadedImage::new(module, region);
    imports(&image).chain(delayed_imports(&image)).for_each(|import| {
        if let Some(name) = import.name_in(&image) {
            visit(name, import.slot, import.address);
        }
    });
}

/// Whether `module` went through a protector that checks parts of the image while it runs, judging
/// by its section names: such a program may end itself when its import tables change.
pub(crate) fn may_check_itself(module: &Module, region: RegionOf<'_>) -> bool {
    let image = LoadedImage::new(module, region);
    image.section_names().any(|name| PROTECTORS.iter().any(|mark| name.starts_with(mark)))
}

/// The beginnings of the names of the sections that protectors leave: VMProtect, Themida,
/// WinLicense, Enigma Protector.
const PROTECTORS: [&[u8]; 6] =
    [b".vmp", b".themida", b"Themida", b".winlice", b"WinLicen", b".enigma"];

/// A function that a module imports.
struct BoundImport {
    /// Its entry in the import lookup table; 0 in an image without one.
    lookup: usize,
    /// The address of its slot in the import address table.
    slot: usize,
    /// The address that it was bound to: the contents of the slot.
    address: usize,
}

impl BoundImport {
    /// The name of the function; none if it is imported by ordinal, or there is no lookup table.
    fn name_in(&self, image: &LoadedImage<'_>) -> Option<&'static CStr> {
        const HINT_SIZE: usize = 2;
        const LONGEST: usize = 64;

        let by_ordinal = self.lookup.cast_signed() < 0;
        if by_ordinal || self.lookup == 0 {
            return None;
        }
        image.text(self.lookup.checked_add(HINT_SIZE)?, LONGEST)
    }
}

/// The imports that the loader has bound, until the tables end or cannot be read.
fn imports(image: &LoadedImage<'_>) -> impl Iterator<Item = BoundImport> {
    const DESCRIPTOR_SIZE: usize = 20;
    const ADDRESS_TABLE: usize = 16;

    let table = image.directory(Directory::Imports).map(|(table, _)| table);
    let descriptors = (0..).map_while(move |index: usize| {
        let descriptor = table?.saturating_add(index * DESCRIPTOR_SIZE);
        let lookups = image.number(descriptor)?;
        let addresses = image.number(descriptor + ADDRESS_TABLE)?;
        (addresses != 0).then_some((lookups, addresses))
    });
    descriptors.flat_map(|(lookups, addresses)| imports_in(image, lookups, addresses))
}

/// The imports of DLLs that are loaded with the first call of one of their functions.
fn delayed_imports(image: &LoadedImage<'_>) -> impl Iterator<Item = BoundImport> {
    const DESCRIPTOR_SIZE: usize = 32;
    const ADDRESS_TABLE: usize = 12;
    const LOOKUP_TABLE: usize = 16;
    /// Of the attributes: the fields are offsets. Old linkers (Visual C++ 6) wrote addresses.
    const HAS_OFFSETS: usize = 1;

    let table = image.directory(Directory::DelayImports).map(|(table, _)| table);
    let descriptors = (0..).map_while(move |index: usize| {
        let descriptor = table?.saturating_add(index * DESCRIPTOR_SIZE);
        let attributes = image.number(descriptor)?;
        let offset = |field: usize| {
            let value = image.number(descriptor + field)?;
            let is_offset = attributes & HAS_OFFSETS != 0 || value == 0;
            Some(if is_offset { value } else { value.wrapping_sub(image.base) })
        };
        let (lookups, addresses) = (offset(LOOKUP_TABLE)?, offset(ADDRESS_TABLE)?);
        (addresses != 0).then_some((lookups, addresses))
    });
    descriptors.flat_map(|(lookups, addresses)| imports_in(image, lookups, addresses))
}

/// The imports of one descriptor. Some old linkers make no lookup table: then the address table
/// ends with a zero of its own.
fn imports_in(
    image: &LoadedImage<'_>,
    lookups: usize,
    addresses: usize,
) -> impl Iterator<Item = BoundImport> {
    (0..).map_while(move |index: usize| {
        let slot = addresses.saturating_add(index * size_of::<usize>());
        let address = image.read::<usize>(slot)?;
        let lookup = match lookups {
            0 => 0,
            _ => image.read::<usize>(lookups.saturating_add(index * size_of::<usize>()))?,
        };
        let is_last = if lookups == 0 { address == 0 } else { lookup == 0 };
        let slot = image.base + slot;
        (!is_last).then_some(BoundImport { lookup, slot, address })
    })
}

#[cfg(test)]
mod tests {
    use allograft_detour::{Protection, Region};

    use super::*;
    use crate::loaded_image::tests::{ImageInMemory, WORD, readable};

    const TABLE: usize = 0x200;
    const LOOKUPS: usize = 0x300;
    const ADDRESSES: usize = 0x400;
    const NAMES: usize = 0x500;
    const DELAYED: usize = 0x600;

    /// An image with two descriptors: `malloc`, ordinal 7 and `free`; then one without a lookup
    /// table.
    fn image() -> ImageInMemory {
        let mut image = ImageInMemory::new();
        image.set_directory(Directory::Imports, TABLE, 0);
        image.put_number(TABLE, LOOKUPS);
        image.put_number(TABLE + 16, ADDRESSES);
        image.put_number(TABLE + 20 + 16, ADDRESSES + 0x80);
        let by_ordinal = 1usize << (usize::BITS - 1) | 7;
        for (index, lookup) in [NAMES, by_ordinal, NAMES + 0x20].into_iter().enumerate() {
            image.put_word(LOOKUPS + index * WORD, lookup);
            image.put_word(ADDRESSES + index * WORD, 0xA000 + index);
        }
        image.put_word(ADDRESSES + 0x80, 0xB000);
        image.put(NAMES + 2, b"malloc");
        image.put(NAMES + 0x20 + 2, b"free");
        image
    }

    /// The same with a delay-loaded DLL of two functions, described by offsets or by addresses.
    fn image_with_delayed(by_offsets: bool) -> ImageInMemory {
        let mut image = image();
        image.set_directory(Directory::DelayImports, DELAYED, 0x40);
        let origin = if by_offsets { 0 } else { image.base() };
        image.put_number(DELAYED, by_offsets.into());
        image.put_number(DELAYED + 4, origin.wrapping_add(NAMES));
        image.put_number(DELAYED + 12, origin.wrapping_add(DELAYED + 0x80));
        image.put_number(DELAYED + 16, origin.wrapping_add(DELAYED + 0x100));
        for index in 0..2 {
            image.put_word(DELAYED + 0x80 + index * WORD, 0xC000 + index);
            image.put_word(DELAYED + 0x100 + index * WORD, NAMES);
        }
        image
    }

    fn slots(image: &ImageInMemory) -> Vec<(usize, usize)> {
        let mut slots = Vec::new();
        visit(&image.module(), &readable, &mut |slot, address| {
            slots.push((slot - image.base(), address));
        });
        slots
    }

    const STATIC_SLOTS: [(usize, usize); 4] = [
        (ADDRESSES, 0xA000),
        (ADDRESSES + WORD, 0xA001),
        (ADDRESSES + 2 * WORD, 0xA002),
        (ADDRESSES + 0x80, 0xB000),
    ];

    #[test]
    fn every_slot_is_visited_with_its_contents() {
        assert_eq!(slots(&image()), STATIC_SLOTS);
    }

    #[test]
    fn slots_of_delay_loaded_functions_are_visited_too() {
        // An address has 32 bits there: on other hosts only offsets can be tried.
        for by_offsets in if WORD == 4 { &[true, false][..] } else { &[true] } {
            let visited = slots(&image_with_delayed(*by_offsets));
            assert_eq!(visited[..4], STATIC_SLOTS);
            let delayed = [(DELAYED + 0x80, 0xC000), (DELAYED + 0x80 + WORD, 0xC001)];
            assert_eq!(visited[4..], delayed, "{by_offsets}");
        }
    }

    #[test]
    fn slots_are_visited_with_the_names_of_their_functions() {
        let image = image_with_delayed(true);
        let mut visited = Vec::new();
        visit_named(&image.module(), &readable, &mut |name, slot, address| {
            visited.push((name, slot - image.base(), address));
        });
        let delayed = (c"malloc", DELAYED + 0x80, 0xC000);
        assert_eq!(
            visited[..2],
            [(c"malloc", ADDRESSES, 0xA000), (c"free", ADDRESSES + 2 * WORD, 0xA002)]
        );
        assert_eq!((visited[2], visited.len()), (delayed, 4), "ordinals have no name");
    }

    #[test]
    fn imports_are_found_by_name_and_bound_address() {
        let image = image();
        let module = image.module();
        let found = slot(&module, &readable, c"free");
        assert_eq!(found, Some(module.base() + ADDRESSES + 2 * WORD));
        assert_eq!(slot(&module, &readable, c"mallo"), None);
        let find = |names: &[&'static CStr], meant: usize| {
            find_any(&module, &readable, names, |address| address == meant)
        };
        assert_eq!(find(&[c"calloc", c"malloc"], 0xA000), Some(c"malloc"));
        assert_eq!(find(&[c"malloc"], 0xA002), None, "malloc is bound elsewhere");
        assert_eq!(find(&[c"free"], 0xB000), None, "a slot without a name");
    }

    #[test]
    fn a_protected_image_is_recognised_by_its_section_names() {
        let mut image = image();
        assert!(!may_check_itself(&image.module(), &readable));
        for (name, protected) in [
            (b".vmp1\0\0\0", true),
            (b".themida", true),
            (b".enigma1", true),
            (b"UPX0\0\0\0\0", false),
            (b".text\0\0\0", false),
        ] {
            image.set_section(name);
            assert_eq!(may_check_itself(&image.module(), &readable), protected, "{name:?}");
        }
    }

    #[test]
    fn damaged_offsets_and_hidden_pages_end_the_walk() {
        let table = ImageInMemory::directory_entry(Directory::Imports);
        for (at, value) in [(0x3C, 0xFFFF_FFF0), (0x3C, 0xFFE), (table, 0xFFFF_0000)] {
            let mut image = image();
            image.put_number(at, value);
            assert_eq!(slots(&image), [], "{at:#x}");
        }
        let mut delayed = image_with_delayed(true);
        delayed.put_number(DELAYED + 12, 0xFFFF_FF00);
        assert_eq!(slots(&delayed), STATIC_SLOTS);
        let mut cut = image();
        cut.0.truncate(ADDRESSES + WORD);
        assert_eq!(slots(&cut), [(ADDRESSES, 0xA000)]);
        let image = image();
        let mut visited = 0;
        visit(&image.module(), &|_| None, &mut |_, _| visited += 1);
        let guarded = Protection(Protection::READ_WRITE.0 | 0x100);
        let guard =
            |address| readable(address).map(|region| Region { protection: guarded, ..region });
        visit(&image.module(), &guard, &mut |_, _| visited += 1);
        assert_eq!(visited, 0);
    }
}
