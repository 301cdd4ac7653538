//! What the user should know about a rewrite, besides the import table.

use serde::{Serialize, Serializer, ser::SerializeStruct};
use std::borrow::Cow;
use std::fmt;

/// Something that a rewrite had to do, or that the user should know about its result.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Note {
    /// The Authenticode signature was taken out.
    SignatureDropped,
    /// A signature that was put on after patching was taken out by undoing.
    LaterSignatureDropped,
    /// The flag that demands a valid signature was cleared.
    ForceIntegrityCleared,
    /// A .NET assembly with a strong name no longer matches it.
    StrongNameBroken,
    /// The image holds .NET code only, for which the loader ignores the import table.
    DotnetOnly,
    /// Addresses bound in advance were dropped.
    BoundImportsDropped,
    /// The extent of the import addresses was stated, since the loader would have guessed it from
    /// the old table.
    AddressTableStated,
    /// The PE header was moved down over the DOS stub, to make room.
    HeadersMoved,
    /// No room for another section: this one was copied to the end of the file and extended there.
    SectionExtended(String),
    /// So many bytes behind the sections stay where they were, and follow again at the end of the
    /// file.
    TrailingDataRepeated(u64),
}

impl Note {
    /// Its code, whether it is a warning, and its text.
    fn parts(&self) -> (&'static str, bool, Cow<'static, str>) {
        match self {
            Note::SignatureDropped => (
                "signature-dropped",
                true,
                "its Authenticode signature was taken out, because it no longer matches: Windows shows the publisher as unknown, and \
                 policies that admit signed programs only will refuse it; --undo puts the signature back"
                    .into(),
            ),
            Note::LaterSignatureDropped => (
                "later-signature-dropped",
                true,
                "the signature that it was given after patching was taken out, because it no longer matches".into(),
            ),
            Note::ForceIntegrityCleared => (
                "force-integrity-cleared",
                true,
                "the flag that lets Windows load it with a valid signature only was cleared, since it would not start otherwise".into(),
            ),
            Note::StrongNameBroken => (
                "strong-name-broken",
                true,
                "its .NET strong name no longer matches: programs that verify strong names will refuse it".into(),
            ),
            Note::DotnetOnly => (
                "dotnet-only",
                true,
                "it holds .NET code only: Windows does not read the import table of such a program, and the module will not be loaded".into(),
            ),
            Note::BoundImportsDropped => (
                "bound-imports-dropped",
                false,
                "addresses that were bound in advance were dropped; the loader looks them up as usual".into(),
            ),
            Note::AddressTableStated => (
                "address-table-stated",
                false,
                "the extent of its import addresses, which it left to be guessed, is stated now".into(),
            ),
            Note::HeadersMoved => (
                "headers-moved",
                false,
                "the DOS stub was shortened to make room for another section".into(),
            ),
            Note::SectionExtended(name) => (
                "section-extended",
                false,
                format!("there was no room for another section: section {name} was extended instead").into(),
            ),
            Note::TrailingDataRepeated(len) => (
                "trailing-data-repeated",
                false,
                format!(
                    "the {len} bytes behind its sections stay where they were and follow again at the end, so that the program finds \
                     them whichever way it looks"
                )
                .into(),
            ),
        }
    }

    /// Whether the program may behave differently because of it.
    pub fn is_warning(&self) -> bool {
        self.parts().1
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.parts().2)
    }
}

impl Serialize for Note {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (code, warning, text) = self.parts();
        let mut note = serializer.serialize_struct("Note", 3)?;
        note.serialize_field("code", code)?;
        note.serialize_field("warning", &warning)?;
        note.serialize_field("text", &text)?;
        note.end()
    }
}
