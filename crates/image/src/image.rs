//! An image in memory: its headers, and what lies at an address once it is mapped.

use crate::{Directory, Headers, Result};
use object::LittleEndian as LE;
use object::pe;
use object::pod::{self, Pod};
use std::mem::offset_of;
use std::ops::Range;

/// Longest string that is read from an image, in bytes: longer than any name that a loader accepts.
const MAX_STRING: usize = 4096;

/// Most entries of the debug directory that are looked at.
const MAX_DEBUG_ENTRIES: usize = 64;

/// A PE image whose headers have been read.
///
/// Nothing in an image is trusted: what lies outside the file or the image is `None` or an error,
/// never a panic.
#[derive(Clone, Debug)]
pub struct Image<'data> {
    data: &'data [u8],
    headers: Headers,
}

impl<'data> Image<'data> {
    /// Reads the headers of the image that is the whole of `data`.
    ///
    /// # Errors
    ///
    /// If `data` is no PE image, or ends within its headers.
    pub fn parse(data: &'data [u8]) -> Result<Image<'data>> {
        Ok(Image { data, headers: Headers::parse(data)? })
    }

    /// The same image, in which the headers are not mapped.
    pub(crate) fn without_headers(&self) -> Image<'data> {
        let mut image = self.clone();
        image.headers.size_of_headers = 0;
        image
    }

    /// The whole file.
    pub fn data(&self) -> &'data [u8] {
        self.data
    }

    /// What the headers say.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The bytes of the file that are mapped at `address`, up to the end of the section (or of the
    /// headers) that holds it.
    pub fn bytes_at(&self, address: u32) -> Option<&'data [u8]> {
        let (bytes, _) = self.memory_at(address)?;
        (!bytes.is_empty()).then_some(bytes)
    }

    /// The memory at `address`, up to the end of the section (or of the headers) that holds it: the
    /// bytes that come from the file, and the length with the zeroes that the loader puts behind
    /// them. `None` if nothing is mapped there, or the file is cut off.
    fn memory_at(&self, address: u32) -> Option<(&'data [u8], u64)> {
        let headers = &self.headers;
        let header_len = (headers.size_of_headers as usize).min(self.data.len());
        if let Some(bytes) =
            self.data[..header_len].get(address as usize..).filter(|bytes| !bytes.is_empty())
        {
            return Some((bytes, bytes.len() as u64));
        }
        let section = headers.section_at(address)?;
        let within = u64::from(address - section.address);
        let mapped = headers.mapped_size(section);
        let from_file = u64::from(section.raw_size).min(mapped).saturating_sub(within);
        let bytes = if from_file == 0 {
            &[]
        } else {
            let start = usize::try_from(u64::from(section.raw_offset) + within).ok()?;
            self.data.get(start..start.checked_add(usize::try_from(from_file).ok()?)?)?
        };
        Some((bytes, mapped - within))
    }

    /// The plain record that is mapped at `address`, all of it in one section.
    pub fn record_at<T: Pod + Copy>(&self, address: u32) -> Option<T> {
        let (bytes, len) = self.memory_at(address)?;
        let mut buffer = [0u8; 64];
        let buffer =
            buffer.get_mut(..size_of::<T>()).filter(|buffer| buffer.len() as u64 <= len)?;
        let known = bytes.len().min(buffer.len());
        buffer[..known].copy_from_slice(&bytes[..known]);
        pod::from_bytes::<T>(buffer).ok().map(|(value, _)| *value)
    }

    /// The NUL-terminated string that is mapped at `address`, without its NUL; `None` if it has no
    /// end.
    pub fn string_at(&self, address: u32) -> Option<&'data [u8]> {
        let bytes = self.bytes_at(address)?;
        let bytes = &bytes[..bytes.len().min(MAX_STRING)];
        memchr::memchr(0, bytes).map(|end| &bytes[..end])
    }

    /// The data directory number `index` (`IMAGE_DIRECTORY_ENTRY_*`), if the image has it and it is
    /// not empty.
    pub fn directory(&self, index: usize) -> Option<Directory> {
        self.headers.directory(index)
    }

    /// Whether the image holds .NET code.
    pub fn is_dotnet(&self) -> bool {
        self.directory(pe::IMAGE_DIRECTORY_ENTRY_COM_DESCRIPTOR).is_some()
    }

    /// The flags of the .NET header; none if there is no such header.
    pub(crate) fn dotnet_flags(&self) -> pe::CorFlags {
        self.directory(pe::IMAGE_DIRECTORY_ENTRY_COM_DESCRIPTOR)
            .and_then(|it| it.address.checked_add(offset_of!(pe::ImageCor20Header, flags) as u32))
            .and_then(|address| self.record_at::<object::U32<LE, pe::CorFlags>>(address))
            .map_or(pe::CorFlags(0), |flags| flags.get(LE))
    }

    /// Whether the image holds code for ARM64 and x86-64 at once (ARM64EC, ARM64X).
    pub fn is_hybrid(&self) -> bool {
        let field = offset_of!(pe::ImageLoadConfigDirectory64, chpe_metadata_pointer);
        self.headers.is_64
            && self
                .load_config::<object::U64<LE>>(field)
                .is_some_and(|pointer| pointer.get(LE) != 0)
    }

    /// Whether the loader looks into the program's folder for the DLLs that the image imports. An
    /// image that was linked with `/DEPENDENTLOADFLAG` may limit it to other folders (Windows 10
    /// 1607 and later).
    pub fn finds_imports_beside_program(&self) -> bool {
        // LOAD_LIBRARY_SEARCH_*: all folders that can be searched, and the two that include the
        // program's.
        const SEARCH: u16 = 0x1F00;
        const PROGRAMS_FOLDER: u16 = 0x0200 | 0x1000;
        let flags = self.dependent_load_flags();
        flags & SEARCH == 0 || flags & PROGRAMS_FOLDER != 0
    }

    /// The `LOAD_LIBRARY_*` flags with which the loader looks for what the image imports; 0 if it
    /// states none.
    pub fn dependent_load_flags(&self) -> u16 {
        let field = match self.headers.is_64 {
            true => offset_of!(pe::ImageLoadConfigDirectory64, dependent_load_flags),
            false => offset_of!(pe::ImageLoadConfigDirectory32, dependent_load_flags),
        };
        self.load_config::<object::U16<LE>>(field).map_or(0, |flags| flags.get(LE))
    }

    /// The field at `offset` of the load configuration. The structure states its own length; older
    /// ones end before the field.
    fn load_config<T: Pod + Copy>(&self, offset: usize) -> Option<T> {
        let address = self.directory(pe::IMAGE_DIRECTORY_ENTRY_LOAD_CONFIG)?.address;
        let length = self.record_at::<object::U32<LE>>(address)?.get(LE) as usize;
        let has_field = length >= offset + size_of::<T>();
        self.record_at(address.checked_add(offset as u32).filter(|_| has_field)?)
    }

    /// The certificate table (the Authenticode signature): a range that lies within the file.
    pub fn certificates(&self) -> Option<Range<usize>> {
        let directory = self.directory(pe::IMAGE_DIRECTORY_ENTRY_SECURITY)?;
        let start = directory.address as usize;
        let end = start.checked_add(directory.size as usize)?;
        (end <= self.data.len()).then_some(start..end)
    }

    /// The first entries of the debug directory.
    pub(crate) fn debug_entries(&self) -> impl Iterator<Item = pe::ImageDebugDirectory> {
        let directory = self.directory(pe::IMAGE_DIRECTORY_ENTRY_DEBUG).unwrap_or_default();
        let entry_len = size_of::<pe::ImageDebugDirectory>();
        let count = (directory.size as usize / entry_len).min(MAX_DEBUG_ENTRIES);
        (0..count).filter_map(move |index| {
            let address = directory.address.checked_add((index * entry_len) as u32)?;
            self.record_at(address)
        })
    }
}
