//! Reading the import names of a loaded module from its headers in memory. The loader has accepted the image; offsets are checked
//! against its size all the same, because packers rewrite headers after loading.

use core::ffi::CStr;

use crate::loaded::Module;

/// Whether `module` imports one of `names` and was bound to an address for which `is_meant` holds. API sets and forwarders have
/// led the loader there already.
pub(crate) fn imports_any(
    module: &Module,
    names: &[&CStr],
    is_meant: impl Fn(usize) -> bool,
) -> bool {
    imports(module).is_some_and(|mut all| {
        all.any(|import| names.contains(&import.name) && is_meant(import.address))
    })
}

/// The address of the word in which `module` keeps the address of the function that it imports as `name`.
pub(crate) fn slot(module: &Module, name: &CStr) -> Option<usize> {
    imports(module)?
        .find(|import| import.name == name)
        .map(|import| import.slot)
}

/// A function that is imported by name.
struct Import {
    name: &'static CStr,
    /// The word that holds its address.
    slot: usize,
    /// What it was bound to.
    address: usize,
}

/// An image in memory, read with checked offsets.
#[derive(Clone, Copy)]
struct Image {
    base: usize,
    size: usize,
}

impl Image {
    fn read<T: Copy>(self, offset: usize) -> Option<T> {
        let end = offset.checked_add(size_of::<T>())?;
        // SAFETY: the range lies in the module; `T` is a plain number. Import tables are in sections that can be read.
        (end <= self.size).then(|| unsafe { ((self.base + offset) as *const T).read_unaligned() })
    }

    /// The string at `offset`, if it ends before the image does and is no longer than any name of ours.
    fn name(self, offset: usize) -> Option<&'static CStr> {
        const LONGEST: usize = 64;
        let room = self.size.checked_sub(offset)?.min(LONGEST);
        // SAFETY: as in `read`.
        let bytes = unsafe { core::slice::from_raw_parts((self.base + offset) as *const u8, room) };
        CStr::from_bytes_until_nul(bytes).ok()
    }
}

/// All functions that the module imports by name. None if it imports nothing.
fn imports(module: &Module) -> Option<impl Iterator<Item = Import>> {
    const NT_HEADERS: usize = 0x3C;
    const OPTIONAL_HEADER: usize = 24;
    const IMPORT_DIRECTORY: usize = if cfg!(target_pointer_width = "64") {
        120
    } else {
        104
    };
    const DESCRIPTOR_SIZE: usize = 20;
    const ADDRESSES: usize = 16;

    let image = Image {
        base: module.base(),
        size: module.size(),
    };
    let headers = image.read::<u32>(NT_HEADERS)? as usize;
    let table = image.read::<u32>(headers + OPTIONAL_HEADER + IMPORT_DIRECTORY)? as usize;
    if table == 0 {
        return None;
    }
    let descriptors = (0..).map_while(move |index| {
        let descriptor = table + index * DESCRIPTOR_SIZE;
        let names = image.read::<u32>(descriptor)?;
        let addresses = image.read::<u32>(descriptor + ADDRESSES)?;
        (addresses != 0).then_some((names as usize, addresses as usize))
    });
    // Without a table of names (some old linkers) the addresses have already overwritten them.
    Some(
        descriptors
            .filter(|&(names, _)| names != 0)
            .flat_map(move |(names, addresses)| imports_in(image, names, addresses)),
    )
}

/// The imports by name in one pair of tables; imports by ordinal have none.
fn imports_in(image: Image, names: usize, addresses: usize) -> impl Iterator<Item = Import> {
    const HINT: usize = 2;
    let word = size_of::<usize>();
    (0..)
        .map_while(move |index| {
            let thunk = image
                .read::<usize>(names + index * word)
                .filter(|&thunk| thunk != 0)?;
            Some((thunk, addresses + index * word))
        })
        .filter(|(thunk, _)| thunk.cast_signed() >= 0)
        .filter_map(move |(thunk, slot)| {
            Some(Import {
                name: image.name(thunk + HINT)?,
                slot: image.base + slot,
                address: image.read::<usize>(slot)?,
            })
        })
}
