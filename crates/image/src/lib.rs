//! Reads Windows PE images and rewrites their import tables, on any host.
//!
//! - [`summary`] reads the essentials of an image, [`Image`] everything else.
//! - [`patch`] puts a module first in an import table, so that the loader loads it before
//!   everything else; [`undo`] restores the original byte for byte, from the patched image alone.
//! - [`build_proxy`] makes a DLL that stands in for one of the system's and loads the module.
//! - [`check::check`] predicts whether allograft will work on a program, from its files alone.
//!
//! Images are not trusted: every offset and every count is checked and bounded, nothing panics, and
//! every patched image is read back and checked before it takes its place.
//!
//! Records, the tables of exports and resources, and the writing of proxies are `object`'s. Three
//! things are read here, since `object` reads them as a linker or debugger does and not as the
//! loader:
//! - headers and section table: a rewrite needs the file offset of every field that it changes, and
//!   must refuse what the loader would refuse;
//! - the layout in memory: whole pages, zeroes behind the bytes of the file, flat images;
//! - import tables: bounded, with the loader's rule for their end, bound and delayed ones, and
//!   delayed ones by virtual address.
//!
//! ```no_run
//! use allograft_image::{Image, ImageFile, patch};
//!
//! let file = ImageFile::open("game.exe".as_ref())?;
//! let image = Image::parse(file.data())?;
//! let patched = patch(&image, "allograft.dll", false)?;
//! for note in &patched.notes {
//!     println!("{}", note.text);
//! }
//! std::fs::write("game-allograft.exe", patched.to_vec()?)?;
//! # Ok::<(), allograft_image::Error>(())
//! ```

mod checksum;
mod error;
mod exports;
mod file;
mod headers;
mod image;
mod imports;
mod packers;
mod proxy;
mod resources;
mod rewrite;
mod runtime;

pub mod check;
pub mod crt;

pub use allograft_machine::Machine;
pub use checksum::checksum;
pub use error::{Error, Result};
pub use exports::Export;
pub use file::{ImageFile, ImageSummary, Subsystem, summary};
pub use headers::{Directory, Headers, Section};
pub use image::Image;
pub use imports::{ImportKind, ImportedFunction, ImportedModule};
pub use packers::packer_of;
pub use proxy::{build_proxy, is_proxy, known_exports, known_names};
pub use resources::FileVersion;
pub use rewrite::{
    IMPORTED_FUNCTION, Note, PatchState, Patched, Restored, patch, patch_state, undo,
};
pub use runtime::{OutsideReference, RuntimeReferences};

/// Serializes a machine, or none, as its name. `Machine` has no `Serialize` of its own, because the
/// modules link its crate: a feature that one crate enables would bring serde and `std` into them.
///
/// # Errors
///
/// Those of `serializer`.
pub fn serialize_machine<S: serde::Serializer>(
    machine: &(impl Copy + Into<Option<Machine>>),
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    match (*machine).into() {
        Some(machine) => serializer.collect_str(&machine),
        None => serializer.serialize_none(),
    }
}
