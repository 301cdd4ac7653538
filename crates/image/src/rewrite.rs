//! Puts a module first in an image's import table, and takes it out again.
//!
//! Nothing that is in the file moves, neither in memory nor in the file: the new table goes into a
//! section of its own behind everything else, and only headers change. So whatever refers to places
//! by number stays right: load configuration, guard tables, resources, .NET metadata, debug
//! information, the offsets of bundlers. Bytes that follow the sections are repeated behind the new
//! one, for readers that look for them from the end of the file.

mod layout;
mod plan;
mod section;

pub use plan::Note;
pub use section::IMPORTED_FUNCTION;

use crate::imports::check_module_name;
use crate::packers::packer_of;
use crate::{Error, Image, ImportKind, ImportedFunction, Result};
use layout::FileLayout;
use object::pe;
use plan::Rewrite;
use section::UndoRecord;
use std::borrow::Cow;

/// Whether an image imports a module first, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PatchState {
    /// It does not import the module first.
    Unpatched,
    /// It imports the module first, and [`patch`] did not do that: it was linked so, or another
    /// tool patched it.
    ImportsFirst,
    /// [`patch`] has put this module first.
    Patched {
        /// The module's name.
        module: String,
    },
}

/// Finds out whether `image` imports `module` first.
///
/// # Errors
///
/// If its import table cannot be read.
pub fn patch_state(image: &Image<'_>, module: &str) -> Result<PatchState> {
    let Some(first) = image.imports()?.into_iter().next() else {
        return Ok(PatchState::Unpatched);
    };
    if section::find(image).is_some() {
        return Ok(PatchState::Patched { module: first.name });
    }
    let same = first.kind == ImportKind::Ordinary && first.name.eq_ignore_ascii_case(module);
    Ok(if same { PatchState::ImportsFirst } else { PatchState::Unpatched })
}

/// Puts `module` first in the import table of `image`.
///
/// The image must not be patched already (see [`patch_state`] and [`undo`]). An image that went
/// through a packer, or whose imports are not looked for in the program's folder, is refused unless
/// `regardless`.
///
/// # Errors
///
/// If the image is cut short, contradicts itself, is packed, holds code for two processors, has no
/// room for a table, or would not find the module; or `module` is no file name.
pub fn patch<'a>(image: &'a Image<'a>, module: &str, regardless: bool) -> Result<Patched<'a>> {
    check_module_name(module)?;
    if let Some(packer) = packer_of(image.headers()).filter(|_| !regardless) {
        return Err(Error::Packed(packer));
    }
    if !image.finds_imports_beside_program() && !regardless {
        return Err(Error::DependentLoadFlags(image.dependent_load_flags()));
    }
    if image.is_hybrid() {
        return Err(Error::Hybrid);
    }
    let layout = FileLayout::new(image)?;
    let rewrite = Rewrite::plan(image, &layout, module)?;
    let (pieces, notes) = (rewrite.carry_out()?, rewrite.notes());
    Ok(Patched { original: image, module: module.to_owned(), pieces, notes })
}

/// An image with the module first in its import table: the file in pieces, so that a large one need
/// not be held in memory.
///
/// Whoever writes the pieces must read the file back and [`check`](Patched::check) it;
/// [`to_vec`](Patched::to_vec) does both.
#[derive(Clone, Debug)]
pub struct Patched<'a> {
    original: &'a Image<'a>,
    module: String,
    pieces: [Cow<'a, [u8]>; 4],
    /// What else had to change, and what the user should know.
    pub notes: Vec<Note>,
}

impl Patched<'_> {
    /// The pieces of the file, in order.
    pub fn pieces(&self) -> [&[u8]; 4] {
        self.pieces.each_ref().map(AsRef::as_ref)
    }

    /// The whole file, checked.
    ///
    /// # Errors
    ///
    /// [`Error::SelfCheck`], which is a defect of this crate.
    pub fn to_vec(&self) -> Result<Vec<u8>> {
        let bytes = self.pieces().concat();
        self.check(&bytes)?;
        Ok(bytes)
    }

    /// Checks that `written`, the whole patched file, is what it should be: an image that imports
    /// the module and then what it imported before, and from which [`undo`] makes the original.
    ///
    /// # Errors
    ///
    /// [`Error::SelfCheck`] if it is not.
    pub fn check(&self, written: &[u8]) -> Result<()> {
        let failed = |what: &str| Err(Error::SelfCheck(what.to_owned()));
        let patched = Image::parse(written)?;
        if let Err(error) = FileLayout::new(&patched) {
            return failed(&error.to_string());
        }
        let expected = PatchState::Patched { module: self.module.clone() };
        if patch_state(&patched, &self.module)? != expected {
            return failed("the module is not its first import");
        }
        let imports = patched.imports()?;
        let function = ImportedFunction::Name(IMPORTED_FUNCTION.as_bytes());
        if patched.functions(&imports[0])? != [function] {
            return failed("its import of the module is not what it should be");
        }
        let rest = imports[1..].iter().map(|module| (&module.name, module.kind));
        if !rest.eq(self.original.imports()?.iter().map(|module| (&module.name, module.kind))) {
            return failed("its other imports changed");
        }
        if !undo(&patched, false)?.equals(self.original.data()) {
            return failed("undoing it does not give the original");
        }
        Ok(())
    }
}

/// The image as it was before it was patched, in pieces of the patched file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Restored<'data> {
    pieces: [&'data [u8]; 3],
    /// What the user should know.
    pub notes: Vec<Note>,
}

impl Restored<'_> {
    /// The pieces of the file, in order.
    pub fn pieces(&self) -> [&[u8]; 3] {
        self.pieces
    }

    /// The whole file.
    pub fn to_vec(&self) -> Vec<u8> {
        self.pieces.concat()
    }

    /// Whether the whole file equals `data`.
    pub fn equals(&self, data: &[u8]) -> bool {
        let rest = self.pieces.iter().try_fold(data, |rest, piece| rest.strip_prefix(*piece));
        rest.is_some_and(<[u8]>::is_empty)
    }
}

/// Gives back the image that was passed to [`patch`], byte for byte, with its signature.
///
/// What other tools changed since in the headers or at the end of the file is lost; so such changes
/// are an error unless `regardless`. A new signature is no such change: it is dropped, with a note.
///
/// # Errors
///
/// [`Error::NotPatched`] or [`Error::ChangedSince`].
pub fn undo<'data>(image: &Image<'data>, regardless: bool) -> Result<Restored<'data>> {
    let (record, is_intact) = section::find(image).ok_or(Error::NotPatched)?;
    let UndoRecord { headers, certificates, kept_len, patched_len, .. } = record;
    if !is_intact && !regardless {
        let what = "its headers or its import table are not as they were left";
        return Err(Error::ChangedSince(what));
    }
    if !ends_as_left(image, patched_len) && !regardless {
        return Err(Error::ChangedSince("something was appended to it or cut off"));
    }
    let body = usize::try_from(kept_len)
        .ok()
        .and_then(|kept| image.data().get(headers.len()..kept))
        .ok_or(Error::NotPatched)?;
    let is_signed = image.directory(pe::IMAGE_DIRECTORY_ENTRY_SECURITY).is_some();
    let note = Note::warning(
        "later-signature-dropped",
        "the signature that it was given after patching was taken out, because it no longer matches",
    );
    let notes = if is_signed { vec![note] } else { Vec::new() };
    Ok(Restored { pieces: [headers, body, certificates], notes })
}

/// Whether the file ends where the patch ended it, or a signature follows there.
fn ends_as_left(image: &Image<'_>, patched_len: u64) -> bool {
    let len = image.data().len();
    match image.certificates() {
        // Signatures begin at multiples of 8.
        Some(range) => range.end == len && range.start as u64 == patched_len.next_multiple_of(8),
        None => len as u64 == patched_len,
    }
}
