//! What can be wrong with an image, in one line each.

use crate::Machine;
use std::io;

/// Why an image cannot be read or rewritten.
///
/// Every message is one line without the name of the file, which the caller adds.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file does not begin as a PE image does.
    #[error("not a PE image: {0}")]
    NotAnImage(&'static str),

    /// The headers promise more than the file holds.
    #[error("truncated: {what} would end at byte {end}, and the file ends at byte {len}")]
    Truncated {
        /// What is cut off.
        what: String,
        /// The file offset at which it should end.
        end: u64,
        /// The length of the file in bytes.
        len: u64,
    },

    /// Two statements of the headers exclude each other, or one exceeds what any loader accepts.
    #[error("contradictory headers: {0}")]
    Contradictory(String),

    /// The image was compressed or encrypted after it was linked.
    #[error(
        "packed with {0}: the packer's own code loads what the program imports; unpack it first (--force patches the packed file)"
    )]
    Packed(&'static str),

    /// The image holds code for two processors, with tables that depend on one another.
    #[error(
        "an ARM64EC or ARM64X image: Windows fills a second table of import addresses for it, which cannot be extended from outside"
    )]
    Hybrid,

    /// Windows does not look for what the image imports where the module would be.
    #[error(
        "linked with /DEPENDENTLOADFLAG:{0:#x}: Windows does not look into the program's folder for what it imports, and the patched program would not start; use allograft run, or put the module into the system's folder and patch with --force"
    )]
    DependentLoadFlags(u16),

    /// The module's name cannot stand in an import table.
    #[error(
        "{0:?} cannot be a module's name: give a file name such as allograft.dll, without a folder"
    )]
    ModuleName(String),

    /// Proxies are not made for the machine.
    #[error("proxies are made for x86 and x86-64 programs only, not for {0}")]
    ProxyMachine(Machine),

    /// There is nothing to make a proxy of.
    #[error("it exports nothing that could be passed on")]
    NoExports,

    /// A variable cannot be passed on: a program reads it where it is.
    #[error("it exports a variable ({0}), and only functions can be passed on")]
    Variable(String),

    /// Another section cannot be added, and none can be extended.
    #[error("no room for another section in its headers, and {0}")]
    NoRoom(String),

    /// The image would grow beyond what 32-bit offsets can describe.
    #[error("too large to patch: it would end beyond 4 GiB")]
    TooLarge,

    /// [`patch`](crate::patch) did not patch the image.
    #[error("not patched by allograft: there is nothing to undo")]
    NotPatched,

    /// The image was patched, and something changed it afterwards.
    #[error(
        "changed since it was patched ({0}): restore the backup (--force undoes the patch alone)"
    )]
    ChangedSince(&'static str),

    /// The result is not what it should be: a defect of this program, found before anything takes
    /// its place.
    #[error(
        "the patched image failed its own check ({0}); nothing was written: please report this image"
    )]
    SelfCheck(String),

    /// The file could not be read.
    #[error("cannot read: {0}")]
    Read(#[from] io::Error),
}

impl Error {
    pub(crate) fn truncated(what: &str, end: u64, len: usize) -> Error {
        Error::Truncated { what: what.to_owned(), end, len: len as u64 }
    }

    pub(crate) fn contradictory(message: impl Into<String>) -> Error {
        Error::Contradictory(message.into())
    }
}

/// The result of everything that reads or rewrites images.
pub type Result<T, E = Error> = std::result::Result<T, E>;
