//! Reading the import tables of a loaded module from its headers in memory. The loader has accepted
//! the image; offsets are checked against its size all the same, and pages before they are read,
//! because packers rewrite and hide headers after loading.

use core::cell::Cell;
use core::ffi::CStr;
use core::ops::Range;

use allograft_detour::{System, Windows};

use crate::loaded::Module;

/// Whether `module` imports one of `names` and was bound to an address for which `is_meant` holds.
/// API sets and forwarders have led the loader there already.
pub(crate) fn imports_any(
    module: &Module,
    names: &[&CStr],
    is_meant: impl Fn(usize) -> bool,
) -> bool {
    let image = Image::of(module);
    let mut found = false;
    for_each(&image, &mut |import| {
        found = is_meant(import.address)
            && import.name(&image).is_some_and(|name| names.contains(&name));
        !found
    });
    found
}

/// The address of the word in which `module` keeps the address of the function that it imports as
/// `name`.
pub(crate) fn slot(module: &Module, name: &CStr) -> Option<usize> {
    let image = Image::of(module);
    let mut slot = None;
    for_each(&image, &mut |import| {
        if import.name(&image) == Some(name) {
            slot = Some(import.slot);
        }
        slot.is_none()
    });
    slot
}

/// Calls `visit` with the address of each word in which `module` keeps the address of a function
/// that it imports, and that address.
pub(crate) fn visit(module: &Module, visit: &mut dyn FnMut(usize, usize)) {
    for_each(&Image::of(module), &mut |import| {
        visit(import.slot, import.address);
        true
    });
}

/// A function that is imported.
struct Import {
    /// What the table of names says of it; 0 in an image without one.
    thunk: usize,
    /// The word that holds its address.
    slot: usize,
    /// What it was bound to.
    address: usize,
}

impl Import {
    /// Its name; none if it is imported by ordinal, or nothing says how.
    fn name(&self, image: &Image) -> Option<&'static CStr> {
        const HINT: usize = 2;
        let by_ordinal = self.thunk.cast_signed() < 0;
        if by_ordinal || self.thunk == 0 {
            return None;
        }
        image.name(self.thunk.checked_add(HINT)?)
    }
}

/// An image in memory, read with checked offsets.
struct Image {
    base: usize,
    size: usize,
    /// Addresses that are known to be readable.
    readable: Cell<(usize, usize)>,
}

impl Image {
    fn of(module: &Module) -> Image {
        Image { base: module.base(), size: module.size(), readable: Cell::new((0, 0)) }
    }

    fn read<T: Copy>(&self, offset: usize) -> Option<T> {
        let end = offset.checked_add(size_of::<T>())?;
        // SAFETY: the range lies in the module and can be read; `T` is a plain number.
        self.can_read(offset..end)
            .then(|| unsafe { ((self.base + offset) as *const T).read_unaligned() })
    }

    /// The string at `offset`, if it ends before the image does and is no longer than any name of
    /// ours.
    fn name(&self, offset: usize) -> Option<&'static CStr> {
        const LONGEST: usize = 64;
        let room = self.size.checked_sub(offset)?.min(LONGEST);
        if !self.can_read(offset..offset + room) {
            return None;
        }
        // SAFETY: as in `read`.
        let bytes = unsafe { core::slice::from_raw_parts((self.base + offset) as *const u8, room) };
        CStr::from_bytes_until_nul(bytes).ok()
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
            match Windows.region(next) {
                Some(region) if region.protection.is_readable() => {
                    self.readable.set((region.base, region.base + region.size));
                }
                _ => return false,
            }
        }
    }
}

/// Goes through all functions that the module imports, until `visit` says that it is enough by
/// returning false.
fn for_each(image: &Image, visit: &mut dyn FnMut(&Import) -> bool) {
    const DESCRIPTOR_SIZE: usize = 20;
    const ADDRESSES: usize = 16;

    let Some(mut descriptor) = import_directory(image) else {
        return;
    };
    while let (Some(names), Some(addresses @ 1..)) =
        (image.read::<u32>(descriptor), image.read::<u32>(descriptor + ADDRESSES))
    {
        for import in imports_in(image, names as usize, addresses as usize) {
            if !visit(&import) {
                return;
            }
        }
        descriptor += DESCRIPTOR_SIZE;
    }
}

/// The offset of the import table; none if the module imports nothing.
fn import_directory(image: &Image) -> Option<usize> {
    const NT_HEADERS: usize = 0x3C;
    const OPTIONAL_HEADER: usize = 24;
    const IMPORT_DIRECTORY: usize = if cfg!(target_pointer_width = "64") { 120 } else { 104 };
    let headers = image.read::<u32>(NT_HEADERS)? as usize;
    let table = image.read::<u32>(headers + OPTIONAL_HEADER + IMPORT_DIRECTORY)? as usize;
    (table != 0).then_some(table)
}

/// The imports in one pair of tables. Some old linkers make no table of names: then the addresses
/// end it.
fn imports_in(image: &Image, names: usize, addresses: usize) -> impl Iterator<Item = Import> {
    let word = size_of::<usize>();
    (0..).map_while(move |index| {
        let slot = addresses + index * word;
        let address = image.read::<usize>(slot)?;
        let thunk = match names {
            0 => 0,
            _ => image.read::<usize>(names + index * word)?,
        };
        let is_last = if names == 0 { address == 0 } else { thunk == 0 };
        (!is_last).then_some(Import { thunk, slot: image.base + slot, address })
    })
}
