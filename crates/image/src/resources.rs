//! Reads the two resources that describe a program: its version and its manifest.

use crate::Image;
use object::LittleEndian as LE;
use object::pe;
use object::read::pe::{ResourceDirectory, ResourceDirectoryTable};
use serde::{Serialize, Serializer};
use std::fmt;

/// Longest resource that is read, in bytes.
const MAX_RESOURCE: usize = 1 << 20;

/// The version of a file, most significant part first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct FileVersion(pub [u16; 4]);

impl fmt::Display for FileVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, build, revision] = self.0;
        write!(f, "{major}.{minor}.{build}.{revision}")
    }
}

impl Serialize for FileVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'data> Image<'data> {
    /// The file version in the image's version resource, if it has one.
    pub fn file_version(&self) -> Option<FileVersion> {
        // `dwSignature` of VS_FIXEDFILEINFO; the file version stands 8 and 12 bytes behind it.
        const SIGNATURE: [u8; 4] = 0xFEEF_04BD_u32.to_le_bytes();

        let resource = self.resource(pe::RT_VERSION)?;
        let info = resource.get(memchr::memmem::find(resource, &SIGNATURE)?..)?;
        let half = |at: usize| Some(u16::from_le_bytes(info.get(at..at + 2)?.try_into().ok()?));
        Some(FileVersion([half(10)?, half(8)?, half(14)?, half(12)?]))
    }

    /// The image's manifest, as text.
    pub fn manifest(&self) -> Option<String> {
        self.resource(pe::RT_MANIFEST).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// The first resource of the type `kind`, in whichever language comes first.
    fn resource(&self, kind: u16) -> Option<&'data [u8]> {
        let address = self.directory(pe::IMAGE_DIRECTORY_ENTRY_RESOURCE)?.address;
        let directory = ResourceDirectory::new(self.bytes_at(address)?);
        let first =
            |table: ResourceDirectoryTable<'data>| table.entries.first()?.data(directory).ok();
        let root = directory.root().ok()?;
        let of_kind = root.entries.iter().find(|entry| entry.name_or_id().id() == Some(kind))?;
        let by_name = of_kind.data(directory).ok()?.table()?;
        let by_language = first(by_name)?.table()?;
        let data = first(by_language)?.data()?;
        let bytes = self.bytes_at(data.offset_to_data.get(LE))?;
        bytes.get(..(data.size.get(LE) as usize).min(MAX_RESOURCE))
    }
}
