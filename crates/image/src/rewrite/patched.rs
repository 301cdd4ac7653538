//! What a rewrite makes.

use super::table::IMPORTED_FUNCTION;
use super::{PatchState, patch_state, undo};
use crate::layout::Layout;
use crate::notes::Note;
use crate::{Error, Image, ImportedFunction, Result};

/// A patched file in the order of its pieces, of which the large ones are the original's.
#[derive(Clone, Debug)]
pub(super) struct Pieces<'data> {
    /// The headers, as far as anything in them can have changed.
    pub headers: Vec<u8>,
    /// What follows them in the original.
    pub body: &'data [u8],
    /// The section that was added, with the padding before it.
    pub section: Vec<u8>,
    /// What is repeated behind it.
    pub trailing: &'data [u8],
}

impl Pieces<'_> {
    pub fn in_order(&self) -> [&[u8]; 4] {
        [&self.headers, self.body, &self.section, self.trailing]
    }
}

/// An image with the module first in its import table: the file in pieces, so that a large one need
/// not be held in memory.
///
/// Whoever writes the pieces has the file read back by [`check`](Patched::check) before anyone gets
/// it; [`to_vec`](Patched::to_vec) does so by itself.
#[derive(Clone, Debug)]
pub struct Patched<'data> {
    original: Image<'data>,
    module: String,
    pieces: Pieces<'data>,
    /// What else had to change, and what the user should know.
    pub notes: Vec<Note>,
}

impl<'data> Patched<'data> {
    pub(super) fn new(
        original: Image<'data>,
        module: &str,
        pieces: Pieces<'data>,
        notes: Vec<Note>,
    ) -> Patched<'data> {
        Patched { original, module: module.to_owned(), pieces, notes }
    }

    /// The pieces of the file, in order.
    pub fn pieces(&self) -> [&[u8]; 4] {
        self.pieces.in_order()
    }

    /// The whole file, read back.
    ///
    /// # Errors
    ///
    /// [`Error::SelfCheck`], which is a defect of this crate.
    pub fn to_vec(&self) -> Result<Vec<u8>> {
        let bytes = self.pieces().concat();
        self.check(&bytes)?;
        Ok(bytes)
    }

    /// Reads back `written`, the whole patched file, and compares it with what was meant: it is an
    /// image again, its imports are the module and then the old ones, and [`undo()`] gives the
    /// original.
    ///
    /// # Errors
    ///
    /// [`Error::SelfCheck`], if that is not so.
    pub fn check(&self, written: &[u8]) -> Result<()> {
        let original = &self.original;
        let patched = Image::parse(written)?;
        if let Err(error) = Layout::of(&patched) {
            return failed(&error.to_string());
        }
        if patch_state(&patched, &self.module)?
            != (PatchState::Patched { module: self.module.clone() })
        {
            return failed("the module is not its first import");
        }
        let imports = patched.imports()?;
        let function = ImportedFunction::Name(IMPORTED_FUNCTION.as_bytes());
        if patched.functions(&imports[0])? != [function] {
            return failed("its import of the module is not what it should be");
        }
        let rest = imports[1..].iter().map(|module| (&module.name, module.kind));
        if !rest.eq(original.imports()?.iter().map(|module| (&module.name, module.kind))) {
            return failed("its other imports changed");
        }
        if !undo(written, false)?.equals(original.data()) {
            return failed("undoing it does not give the original");
        }
        Ok(())
    }
}

fn failed<T>(what: &str) -> Result<T> {
    Err(Error::SelfCheck(what.to_owned()))
}
