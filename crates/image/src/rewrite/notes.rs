//! What a rewrite changed besides the import table, for the user to know.

use serde::{Serialize, Serializer, ser::SerializeStruct};
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
    /// The kind of note, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Note::SignatureDropped => "signature-dropped",
            Note::LaterSignatureDropped => "later-signature-dropped",
            Note::ForceIntegrityCleared => "force-integrity-cleared",
            Note::StrongNameBroken => "strong-name-broken",
            Note::DotnetOnly => "dotnet-only",
            Note::BoundImportsDropped => "bound-imports-dropped",
            Note::AddressTableStated => "address-table-stated",
            Note::HeadersMoved => "headers-moved",
            Note::SectionExtended(_) => "section-extended",
            Note::TrailingDataRepeated(_) => "trailing-data-repeated",
        }
    }

    /// Whether the program may behave differently because of it, so that the user must be told.
    pub fn is_warning(&self) -> bool {
        matches!(
            self,
            Note::SignatureDropped
                | Note::LaterSignatureDropped
                | Note::ForceIntegrityCleared
                | Note::StrongNameBroken
                | Note::DotnetOnly
        )
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::SignatureDropped => f.write_str(
                "its Authenticode signature was taken out, because it no longer matches: Windows shows the publisher as unknown, and \
                 policies that admit signed programs only will refuse it; --undo puts the signature back",
            ),
            Note::LaterSignatureDropped => {
                f.write_str("the signature that it was given after patching was taken out, because it no longer matches")
            }
            Note::ForceIntegrityCleared => f.write_str(
                "the flag that lets Windows load it with a valid signature only was cleared, since it would not start otherwise",
            ),
            Note::StrongNameBroken => f.write_str(
                "its .NET strong name no longer matches: programs that verify strong names will refuse it",
            ),
            Note::DotnetOnly => f.write_str(
                "it holds .NET code only: Windows does not read the import table of such a program, and the module will not be loaded",
            ),
            Note::BoundImportsDropped => {
                f.write_str("addresses that were bound in advance were dropped; the loader looks them up as usual")
            }
            Note::AddressTableStated => f.write_str("the extent of its import addresses, which it left to be guessed, is stated now"),
            Note::HeadersMoved => f.write_str("the DOS stub was shortened to make room for another section"),
            Note::SectionExtended(name) => {
                write!(f, "there was no room for another section: section {name} was extended instead")
            }
            Note::TrailingDataRepeated(len) => write!(
                f,
                "the {len} bytes behind its sections stay where they were and follow again at the end, so that the program finds them \
                 whichever way it looks"
            ),
        }
    }
}

impl Serialize for Note {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut note = serializer.serialize_struct("Note", 3)?;
        note.serialize_field("code", self.code())?;
        note.serialize_field("warning", &self.is_warning())?;
        note.serialize_field("text", &self.to_string())?;
        note.end()
    }
}
