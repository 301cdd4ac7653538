//! What the .NET header of an image says.

use crate::Image;
use object::LittleEndian as LE;
use object::pe;

/// The .NET header's flags that matter to a rewrite.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct DotnetFlags {
    /// The image holds .NET code and nothing else; the loader does not read its import table.
    pub is_pure: bool,
    /// The image carries a strong name, a signature over its contents.
    pub is_strong_named: bool,
}

/// Reads the flags; all false where there is no .NET header.
pub(crate) fn flags(image: &Image<'_>) -> DotnetFlags {
    // Offset of `Flags` in IMAGE_COR20_HEADER, and two of its bits.
    const FLAGS: u32 = 16;
    const IL_ONLY: u32 = 1;
    const STRONG_NAME_SIGNED: u32 = 8;

    let flags = image
        .directory(pe::IMAGE_DIRECTORY_ENTRY_COM_DESCRIPTOR)
        .and_then(|directory| directory.address.checked_add(FLAGS))
        .and_then(|address| image.record_at::<object::U32<LE>>(address))
        .map_or(0, |flags| flags.get(LE));
    DotnetFlags { is_pure: flags & IL_ONLY != 0, is_strong_named: flags & STRONG_NAME_SIGNED != 0 }
}
