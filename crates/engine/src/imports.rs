//! Reading the import tables of a loaded module from its headers in memory.
//!
//! The loader has accepted the image. Even so, all offsets are checked against its size, and pages
//! before they are read: packers rewrite and hide headers after loading. Nothing here allocates,
//! for it also runs while threads are suspended.

use core::cell::Cell;
use core::ffi::CStr;
use core::ops::Range;

use allograft_detour::Region;

use crate::module::Module;

/// How to ask the system for the pages around an address.
pub(crate) type RegionOf<'a> = &'a dyn Fn(usize) -> Option<Region>;

/// Whether `module` imports one of `names`, bound to an address for which `is_meant` holds. API
/// sets and forwarders are resolved in that address.
pub(crate) fn imports_any(
    module: &Module,
    region: RegionOf<'_>,
    names: &[&CStr],
    is_meant: impl Fn(usize) -> bool,
) -> bool {
    let image = LoadedImage::new(module, region);
    image.imports().any(|import| {
        is_meant(import.address) && image.name_of(&import).is_some_and(|name| names.contains(&name))
    })
}

/// The address of the slot in which `module` keeps the address of the function that it imports as
/// `name`.
pub(crate) fn slot(module: &Module, region: RegionOf<'_>, name: &CStr) -> Option<usize> {
    let image = LoadedImage::new(module, region);
    let import = image.imports().find(|import| image.name_of(import) == Some(name))?;
    Some(import.slot)
}

/// Calls `visit` with the address and the contents of each slot of the import address tables of
/// `module`.
pub(crate) fn visit(module: &Module, region: RegionOf<'_>, visit: &mut dyn FnMut(usize, usize)) {
    let image = LoadedImage::new(module, region);
    image.imports().for_each(|import| visit(import.slot, import.address));
}

/// A function that a module imports.
struct BoundImport {
    /// Its entry in the import lookup table; 0 in an image without one.
    lookup: usize,
    /// The address of its slot in the import address table.
    slot: usize,
    /// The address that it was bound to: the contents of the slot.
    address: usize,
}

/// An image in memory, read with checked offsets.
struct LoadedImage<'a> {
    base: usize,
    size: usize,
    region: RegionOf<'a>,
    /// Addresses that are known to be readable.
    readable: Cell<(usize, usize)>,
}

impl<'a> LoadedImage<'a> {
    fn new(module: &Module, region: RegionOf<'a>) -> LoadedImage<'a> {
        LoadedImage {
            base: module.base(),
            size: module.size(),
            region,
            readable: Cell::new((0, 0)),
        }
    }

    /// All imports, until the tables end or cannot be read.
    fn imports(&self) -> impl Iterator<Item = BoundImport> {
        const DESCRIPTOR_SIZE: usize = 20;
        const ADDRESS_TABLE: usize = 16;

        let table = self.import_directory();
        let descriptors = (0..).map_while(move |index: usize| {
            let descriptor = table?.saturating_add(index * DESCRIPTOR_SIZE);
            let lookups = self.read::<u32>(descriptor)? as usize;
            let addresses = self.read::<u32>(descriptor + ADDRESS_TABLE)? as usize;
            (addresses != 0).then_some((lookups, addresses))
        });
        descriptors.flat_map(|(lookups, addresses)| self.imports_in(lookups, addresses))
    }

    /// The offset of the import table; none if the module imports nothing.
    fn import_directory(&self) -> Option<usize> {
        const NT_HEADERS: usize = 0x3C;
        const OPTIONAL_HEADER: usize = 24;
        const IMPORT_DIRECTORY: usize = if cfg!(target_pointer_width = "64") { 120 } else { 104 };
        let headers = self.read::<u32>(NT_HEADERS)? as usize;
        let directory = headers.saturating_add(OPTIONAL_HEADER + IMPORT_DIRECTORY);
        let table = self.read::<u32>(directory)? as usize;
        (table != 0).then_some(table)
    }

    /// The imports of one descriptor. Some old linkers make no lookup table: then the address table
    /// ends with a zero of its own.
    fn imports_in(&self, lookups: usize, addresses: usize) -> impl Iterator<Item = BoundImport> {
        (0..).map_while(move |index: usize| {
            let slot = addresses.saturating_add(index * size_of::<usize>());
            let address = self.read::<usize>(slot)?;
            let lookup = match lookups {
                0 => 0,
                _ => self.read::<usize>(lookups.saturating_add(index * size_of::<usize>()))?,
            };
            let is_last = if lookups == 0 { address == 0 } else { lookup == 0 };
            let slot = self.base + slot;
            (!is_last).then_some(BoundImport { lookup, slot, address })
        })
    }

    /// The name of the function; none if it is imported by ordinal, or there is no lookup table.
    fn name_of(&self, import: &BoundImport) -> Option<&'static CStr> {
        const HINT_SIZE: usize = 2;
        const LONGEST: usize = 64;

        let by_ordinal = import.lookup.cast_signed() < 0;
        if by_ordinal || import.lookup == 0 {
            return None;
        }
        let offset = import.lookup.checked_add(HINT_SIZE)?;
        let room = self.size.checked_sub(offset)?.min(LONGEST);
        if !self.can_read(offset..offset + room) {
            return None;
        }
        // SAFETY: the range lies in readable pages of the module, which stays loaded.
        let bytes = unsafe { core::slice::from_raw_parts((self.base + offset) as *const u8, room) };
        CStr::from_bytes_until_nul(bytes).ok()
    }

    /// Offsets that the image states may be anything: they are added up with saturation, and fail
    /// here.
    fn read<T: Copy>(&self, offset: usize) -> Option<T> {
        let end = offset.checked_add(size_of::<T>())?;
        // SAFETY: the range lies in readable pages of the module, and `T` is an integer.
        self.can_read(offset..end)
            .then(|| unsafe { ((self.base + offset) as *const T).read_unaligned() })
    }

    fn can_read(&self, offsets: Range<usize>) -> bool {
        if offsets.end > self.size {
            return false;
        }
        let end = self.base + offsets.end;
        let mut next = self.base + offsets.start;
        loop {
            let (from, to) = self.readable.get();
            if (from..to).contains(&next) {
                next = to;
            }
            if next >= end {
                return true;
            }
            match (self.region)(next) {
                Some(region) if region.protection.is_readable() => {
                    self.readable.set((region.base, region.base + region.size));
                }
                _ => return false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use allograft_detour::Protection;

    use super::*;

    const SIZE: usize = 0x1000;
    const WORD: usize = size_of::<usize>();
    const TABLE: usize = 0x200;
    const LOOKUPS: usize = 0x300;
    const ADDRESSES: usize = 0x400;
    const NAMES: usize = 0x500;

    /// An image with two descriptors: `malloc`, ordinal 7 and `free`; then one without a lookup
    /// table.
    fn image() -> Vec<u8> {
        let mut bytes = vec![0; SIZE];
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        let directory = if WORD == 8 { 120 } else { 104 };
        put(0x3C, &0x80u32.to_le_bytes());
        put(0x80 + 24 + directory, &(TABLE as u32).to_le_bytes());
        put(TABLE, &(LOOKUPS as u32).to_le_bytes());
        put(TABLE + 16, &(ADDRESSES as u32).to_le_bytes());
        put(TABLE + 20 + 16, &(ADDRESSES as u32 + 0x80).to_le_bytes());
        let by_ordinal = 1usize << (usize::BITS - 1) | 7;
        for (index, lookup) in [NAMES, by_ordinal, NAMES + 0x20].into_iter().enumerate() {
            put(LOOKUPS + index * WORD, &lookup.to_le_bytes());
            put(ADDRESSES + index * WORD, &(0xA000 + index).to_le_bytes());
        }
        put(ADDRESSES + 0x80, &0xB000usize.to_le_bytes());
        put(NAMES + 2, b"malloc");
        put(NAMES + 0x20 + 2, b"free");
        bytes
    }

    fn module(image: &[u8]) -> Module {
        // SAFETY: the image lives as long as the test uses the module.
        unsafe { Module::new(image.as_ptr() as usize, image.len(), &[], &[]) }
    }

    fn readable(address: usize) -> Option<Region> {
        let protection = Protection::READ_ONLY;
        Some(Region { base: address & !0xFFF, size: SIZE, free: false, protection })
    }

    fn slots(image: &[u8]) -> Vec<(usize, usize)> {
        let mut slots = Vec::new();
        visit(&module(image), &readable, &mut |slot, address| {
            slots.push((slot - image.as_ptr() as usize, address));
        });
        slots
    }

    #[test]
    fn every_slot_is_visited_with_its_contents() {
        let expected = [
            (ADDRESSES, 0xA000),
            (ADDRESSES + WORD, 0xA001),
            (ADDRESSES + 2 * WORD, 0xA002),
            (ADDRESSES + 0x80, 0xB000),
        ];
        assert_eq!(slots(&image()), expected);
    }

    #[test]
    fn imports_are_found_by_name_and_bound_address() {
        let image = image();
        let module = module(&image);
        let found = slot(&module, &readable, c"free");
        assert_eq!(found, Some(module.base() + ADDRESSES + 2 * WORD));
        assert_eq!(slot(&module, &readable, c"mallo"), None);
        let imports = |names: &[&CStr], meant: usize| {
            imports_any(&module, &readable, names, |address| address == meant)
        };
        assert!(imports(&[c"calloc", c"malloc"], 0xA000));
        assert!(!imports(&[c"malloc"], 0xA002), "malloc is bound elsewhere");
        assert!(!imports(&[c"free"], 0xB000), "a slot without a name");
    }

    #[test]
    fn damaged_offsets_and_hidden_pages_end_the_walk() {
        for (at, value) in [(0x3C, 0xFFFF_FFF0u32), (0x3C, 0xFFE), (0x80 + 24 + 120, 0xFFFF_0000)] {
            let mut image = image();
            image[at..at + 4].copy_from_slice(&value.to_le_bytes());
            if at != 0x80 + 24 + 120 || WORD == 8 {
                assert_eq!(slots(&image), [], "{at:#x}");
            }
        }
        let mut cut = image();
        cut.truncate(ADDRESSES + WORD);
        assert_eq!(slots(&cut), [(ADDRESSES, 0xA000)]);
        let image = image();
        let mut visited = 0;
        visit(&module(&image), &|_| None, &mut |_, _| visited += 1);
        let guarded = Protection(Protection::READ_WRITE.0 | 0x100);
        let guard =
            |address| readable(address).map(|region| Region { protection: guarded, ..region });
        visit(&module(&image), &guard, &mut |_, _| visited += 1);
        assert_eq!(visited, 0);
    }
}
