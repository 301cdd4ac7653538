//! A loaded module's headers in memory, read with checked offsets.
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

/// A data directory of an image, by its index in the optional header.
#[derive(Clone, Copy)]
pub(crate) enum Directory {
    Exports = 0,
    Imports = 1,
    DelayImports = 13,
}

/// An image in memory.
pub(crate) struct LoadedImage<'a> {
    pub(crate) base: usize,
    size: usize,
    region: RegionOf<'a>,
    /// Addresses that are known to be readable: some sections, as tables refer from one to another.
    readable: [Cell<(usize, usize)>; 4],
    /// Which of them to give up next.
    oldest: Cell<usize>,
}

impl<'a> LoadedImage<'a> {
    pub(crate) fn new(module: &Module, region: RegionOf<'a>) -> LoadedImage<'a> {
        LoadedImage {
            base: module.base(),
            size: module.size(),
            region,
            readable: Default::default(),
            oldest: Cell::new(0),
        }
    }

    /// The offset and the size of a data directory; none if the image has no such directory.
    pub(crate) fn directory(&self, directory: Directory) -> Option<(usize, usize)> {
        const DIRECTORIES: usize = OPTIONAL_HEADER + DIRECTORIES_IN_OPTIONAL_HEADER;
        const COUNT: usize = DIRECTORIES - 4;
        let headers = self.headers()?;
        let index = directory as usize;
        if index >= self.number(headers.saturating_add(COUNT))? {
            return None;
        }
        let entry = headers.saturating_add(DIRECTORIES + 8 * index);
        let (offset, size) = (self.number(entry)?, self.number(entry + 4)?);
        (offset != 0).then_some((offset, size))
    }

    /// The major version of the linker that made the image, and how many bytes of code it states.
    pub(crate) fn linker_and_code_size(&self) -> Option<(u8, usize)> {
        const MAJOR_LINKER_VERSION: usize = OPTIONAL_HEADER + 2;
        const CODE_SIZE: usize = OPTIONAL_HEADER + 4;
        let headers = self.headers()?;
        let linker = self.read(headers.checked_add(MAJOR_LINKER_VERSION)?)?;
        Some((linker, self.number(headers + CODE_SIZE)?))
    }

    /// The names of the sections, padded with NULs.
    pub(crate) fn section_names(&self) -> impl Iterator<Item = [u8; 8]> {
        const SECTION_COUNT: usize = 6;
        const OPTIONAL_HEADER_SIZE: usize = 20;
        const SECTION_SIZE: usize = 40;
        let table = self.headers().and_then(|headers| {
            let count = self.read::<u16>(headers.saturating_add(SECTION_COUNT))?;
            let size = self.read::<u16>(headers + OPTIONAL_HEADER_SIZE)?;
            Some((headers + OPTIONAL_HEADER + usize::from(size), usize::from(count)))
        });
        let (first, count) = table.unwrap_or((0, 0));
        (0..count).map_while(move |index| self.read(first + index * SECTION_SIZE))
    }

    /// The offset of the NT headers.
    fn headers(&self) -> Option<usize> {
        const NT_HEADERS: usize = 0x3C;
        self.number(NT_HEADERS)
    }

    /// The NUL-terminated text at `offset`; none if it does not end within `longest` bytes.
    pub(crate) fn text(&self, offset: usize, longest: usize) -> Option<&'static CStr> {
        let room = self.size.checked_sub(offset)?.min(longest);
        if !self.can_read(offset..offset + room) {
            return None;
        }
        // SAFETY: the range lies in readable pages of the module, which stays loaded.
        let bytes = unsafe { core::slice::from_raw_parts((self.base + offset) as *const u8, room) };
        CStr::from_bytes_until_nul(bytes).ok()
    }

    /// The bytes from `offset` to the end of the pages that can be read there with it.
    pub(crate) fn bytes_from(&self, offset: usize) -> Option<&'static [u8]> {
        if offset >= self.size {
            return None;
        }
        let end = self.end_of_readable(self.base + offset)?;
        let length = end.min(self.base + self.size) - (self.base + offset);
        // SAFETY: the range lies in readable pages of the module, which stays loaded.
        Some(unsafe { core::slice::from_raw_parts((self.base + offset) as *const u8, length) })
    }

    /// The 32-bit number at `offset`.
    pub(crate) fn number(&self, offset: usize) -> Option<usize> {
        Some(self.read::<u32>(offset)? as usize)
    }

    /// Offsets that the image states may be anything: they are added up with saturation, and fail
    /// here.
    pub(crate) fn read<T: Integer>(&self, offset: usize) -> Option<T> {
        let end = offset.checked_add(size_of::<T>())?;
        // SAFETY: the range lies in readable pages of the module, and any bytes are a `T`.
        self.can_read(offset..end)
            .then(|| unsafe { ((self.base + offset) as *const T).read_unaligned() })
    }

    fn can_read(&self, offsets: Range<usize>) -> bool {
        if offsets.end > self.size {
            return false;
        }
        let end = self.base + offsets.end;
        let mut next = self.base + offsets.start;
        while next < end {
            match self.end_of_readable(next) {
                Some(end) => next = end,
                None => return false,
            }
        }
        true
    }

    /// Up to where the pages can be read that begin with that of `address`; none if it cannot be.
    fn end_of_readable(&self, address: usize) -> Option<usize> {
        let known = self.readable.iter().map(Cell::get);
        if let Some((_, end)) = known.into_iter().find(|(from, to)| (*from..*to).contains(&address))
        {
            return Some(end);
        }
        let region = (self.region)(address).filter(|region| region.protection.is_readable())?;
        let end = region.base + region.size;
        let oldest = self.oldest.get();
        self.readable[oldest].set((region.base, end));
        self.oldest.set((oldest + 1) % self.readable.len());
        Some(end)
    }
}

const OPTIONAL_HEADER: usize = 24;
const DIRECTORIES_IN_OPTIONAL_HEADER: usize =
    if cfg!(target_pointer_width = "64") { 112 } else { 96 };

/// What [`LoadedImage::read`] reads: types for which any bytes are a value.
pub(crate) trait Integer: Copy {}
impl Integer for u8 {}
impl Integer for u16 {}
impl Integer for u32 {}
impl Integer for usize {}
impl Integer for [u8; 8] {}

#[cfg(test)]
pub(crate) mod tests {
    use allograft_detour::Protection;

    use super::*;

    const SIZE: usize = 0x1000;
    const HEADERS: usize = 0x80;
    pub(crate) const WORD: usize = size_of::<usize>();

    /// An image in memory, to be filled by a test.
    pub(crate) struct ImageInMemory(pub(crate) Vec<u8>);

    impl ImageInMemory {
        /// An image whose directories are all empty.
        pub(crate) fn new() -> ImageInMemory {
            let mut image = ImageInMemory(vec![0; SIZE]);
            image.put(0x3C, &(HEADERS as u32).to_le_bytes());
            let directories = HEADERS + OPTIONAL_HEADER + DIRECTORIES_IN_OPTIONAL_HEADER;
            image.put(directories - 4, &16u32.to_le_bytes());
            image
        }

        pub(crate) fn put(&mut self, at: usize, value: &[u8]) {
            self.0[at..at + value.len()].copy_from_slice(value);
        }

        pub(crate) fn put_number(&mut self, at: usize, value: usize) {
            self.put(at, &(value as u32).to_le_bytes());
        }

        pub(crate) fn put_word(&mut self, at: usize, value: usize) {
            self.put(at, &value.to_le_bytes());
        }

        pub(crate) fn set_directory(&mut self, directory: Directory, at: usize, size: usize) {
            self.put_number(Self::directory_entry(directory), at);
            self.put_number(Self::directory_entry(directory) + 4, size);
        }

        /// The offset of the directory's entry in the headers.
        pub(crate) fn directory_entry(directory: Directory) -> usize {
            HEADERS + OPTIONAL_HEADER + DIRECTORIES_IN_OPTIONAL_HEADER + 8 * directory as usize
        }

        /// Adds one section with this name.
        pub(crate) fn set_section(&mut self, name: &[u8; 8]) {
            let optional = DIRECTORIES_IN_OPTIONAL_HEADER + 16 * 8;
            self.put(HEADERS + 6, &1u16.to_le_bytes());
            self.put(HEADERS + 20, &(optional as u16).to_le_bytes());
            self.put(HEADERS + OPTIONAL_HEADER + optional, name);
        }

        pub(crate) fn base(&self) -> usize {
            self.0.as_ptr() as usize
        }

        pub(crate) fn module(&self) -> Module {
            // SAFETY: the image lives as long as the test uses the module.
            unsafe { Module::new(self.base(), self.0.len(), &[], &[]) }
        }
    }

    /// All memory can be read.
    pub(crate) fn readable(address: usize) -> Option<Region> {
        let protection = Protection::READ_ONLY;
        Some(Region { base: address & !0xFFF, size: SIZE, free: false, protection })
    }

    #[test]
    fn section_names_are_read_from_the_table_behind_the_optional_header() {
        let mut image = ImageInMemory::new();
        image.set_section(b".vmp0\0\0\0");
        let module = image.module();
        let loaded = LoadedImage::new(&module, &readable);
        assert!(loaded.section_names().eq([*b".vmp0\0\0\0"]));
        let hidden = LoadedImage::new(&module, &|_| None);
        assert_eq!(hidden.section_names().count(), 0);
    }

    #[test]
    fn the_linker_and_the_size_of_the_code_are_in_the_optional_header() {
        let mut image = ImageInMemory::new();
        image.put(HEADERS + OPTIONAL_HEADER, &[0x0B, 2, 9, 0, 0x34, 0x12, 0, 0]);
        let module = image.module();
        let loaded = LoadedImage::new(&module, &readable);
        assert_eq!(loaded.linker_and_code_size(), Some((9, 0x1234)));
    }

    #[test]
    fn directories_beyond_their_count_are_not_read() {
        let mut image = ImageInMemory::new();
        image.set_directory(Directory::DelayImports, 0x300, 0x40);
        let read = |image: &ImageInMemory| {
            LoadedImage::new(&image.module(), &readable).directory(Directory::DelayImports)
        };
        assert_eq!(read(&image), Some((0x300, 0x40)));
        image.put_number(ImageInMemory::directory_entry(Directory::Exports) - 4, 13);
        assert_eq!(read(&image), None);
    }
}
