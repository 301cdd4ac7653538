//! Putting a module first in an image's import table, and taking it out again.
//!
//! Nothing that is in the file moves, neither in memory nor in the file: the new table goes into a
//! section of its own behind everything else, and only headers change. Whatever knows places by
//! number (load configuration, guard tables, resources, .NET metadata, debug information, bundlers'
//! own offsets) stays right because of it. Bytes that follow the sections are repeated behind the
//! new one, for those who look for them from the end of the file.

mod edit;
mod patched;
mod plan;
mod record;
mod room;
mod table;
mod undo;

pub use patched::Patched;
pub use table::IMPORTED_FUNCTION;
pub use undo::{Restored, undo};

use crate::layout::Layout;
use crate::packers::packer_of;
use crate::{Error, Image, ImportKind, Result};
use plan::Rewrite;

/// Name of the section that a patch adds.
pub const SECTION_NAME: [u8; 8] = *b".algraft";

/// Longest name of a module, in bytes.
const MAX_MODULE_NAME: usize = 255;

/// How an image stands to a module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PatchState {
    /// It does not have the module first in its import table.
    Unpatched,
    /// It imports the module first, and not because of us: it was linked so, or another tool
    /// patched it.
    ImportsFirst,
    /// [`patch`] has put this module first.
    Patched {
        /// The module's name.
        module: String,
    },
}

/// Says how `image` stands to `module`.
///
/// # Errors
///
/// If its import table cannot be read.
pub fn patch_state(image: &Image<'_>, module: &str) -> Result<PatchState> {
    let Some(first) = image.imports()?.into_iter().next() else {
        return Ok(PatchState::Unpatched);
    };
    if record::find(image).is_some() {
        return Ok(PatchState::Patched { module: first.name });
    }
    let same = first.kind == ImportKind::Ordinary && first.name.eq_ignore_ascii_case(module);
    Ok(if same { PatchState::ImportsFirst } else { PatchState::Unpatched })
}

/// Puts `module` first in the import table of the image that is the whole of `data`.
///
/// The image must not have been patched before ([`patch_state`] tells; [`undo()`] first, else).
/// Unless `packed_too`, an image that went through a packer is refused. What comes of it is to be
/// read back before anyone gets it: see [`Patched`].
///
/// # Errors
///
/// If `data` is no image, is cut short, contradicts itself, is packed, holds code for two
/// processors, or has no place left for a table; or `module` is no file name.
pub fn patch<'data>(data: &'data [u8], module: &str, packed_too: bool) -> Result<Patched<'data>> {
    check_module_name(module)?;
    let image = Image::parse(data)?;
    if let Some(packer) = packer_of(image.headers()).filter(|_| !packed_too) {
        return Err(Error::Packed(packer));
    }
    if image.is_hybrid() {
        return Err(Error::Hybrid);
    }
    let layout = Layout::of(&image)?;
    let rewrite = Rewrite::plan(&image, &layout, module)?;
    let (pieces, notes) = (rewrite.carry_out()?, rewrite.notes());
    Ok(Patched::new(image, module, pieces, notes))
}

fn check_module_name(module: &str) -> Result<()> {
    let is_plain = |c: char| c.is_ascii_graphic() && !r#"\/:*?"<>|"#.contains(c) || c == ' ';
    if module.is_empty() || module.len() > MAX_MODULE_NAME || !module.chars().all(is_plain) {
        return Err(Error::ModuleName(module.to_owned()));
    }
    Ok(())
}
