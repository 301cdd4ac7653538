//! The file version of a loaded module, read from its resources in memory: version.dll stays out of
//! it.

use core::fmt;
use core::ptr::without_provenance;

use windows_sys::Win32::System::LibraryLoader::{
    FindResourceW, LoadResource, LockResource, SizeofResource,
};

use crate::loaded::Module;

/// A file version: major, minor, build, revision.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FileVersion(pub [u16; 4]);

impl fmt::Display for FileVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, build, revision] = self.0;
        write!(f, "{major}.{minor}.{build}.{revision}")
    }
}

impl FileVersion {
    /// The version of `module`; none if it has no version resource.
    pub fn of(module: &Module) -> Option<FileVersion> {
        // Resource types and names may be numbers in place of pointers.
        let (version, first) = (without_provenance(16), without_provenance(1));

        // SAFETY: the module is loaded; the resource is part of it, and as long as the system says.
        let resource: &[u32] = unsafe {
            let found = FindResourceW(module.handle(), first, version);
            if found.is_null() {
                return None;
            }
            let size = SizeofResource(module.handle(), found) as usize;
            let data = LockResource(LoadResource(module.handle(), found)).cast::<u32>();
            if data.is_null() || !data.is_aligned() {
                return None;
            }
            core::slice::from_raw_parts(data, size / 4)
        };
        FileVersion::find_in(resource)
    }

    /// `VS_FIXEDFILEINFO` begins with this signature, and its third and fourth words are the file
    /// version.
    fn find_in(resource: &[u32]) -> Option<FileVersion> {
        const SIGNATURE: u32 = 0xFEEF_04BD;
        let at = resource.iter().position(|&word| word == SIGNATURE)?;
        let (high, low) = (*resource.get(at + 2)?, *resource.get(at + 3)?);
        Some(FileVersion([(high >> 16) as u16, high as u16, (low >> 16) as u16, low as u16]))
    }
}
