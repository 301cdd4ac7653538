//! Reads Windows PE images and rewrites their import tables, on any host.
//!
//! - [`summary`] says what there is to know of an image at a glance, [`Image`] reads the rest.
//! - [`patch`] puts a module first in an import table, so that the loader loads it before
//!   everything else; [`undo`] gives the original back, byte for byte, from what the patched image
//!   itself remembers.
//! - [`build_proxy`] makes a DLL that stands in for one of the system's and loads the module.
//! - [`check::check`] says whether allograft will work on a program, from its files alone.
//!
//! Images are not trusted: every offset and every count is checked and bounded, and what a patch
//! makes has been read back before anyone gets it.
//!
//! ```no_run
//! use allograft_image::{ImageFile, patch};
//!
//! let file = ImageFile::open("game.exe".as_ref())?;
//! let patched = patch(file.data(), "allograft.dll", false)?;
//! for note in &patched.notes {
//!     println!("{note}");
//! }
//! std::fs::write("game-allograft.exe", patched.to_vec()?)?;
//! # Ok::<(), allograft_image::Error>(())
//! ```

mod checksum;
mod dotnet;
mod error;
mod exports;
mod file;
mod headers;
mod image;
mod imports;
mod layout;
mod neighbours;
mod notes;
mod packers;
mod proxy;
mod resources;
mod rewrite;

pub mod check;
pub mod crt;

pub use allograft_machine::Machine;
pub use checksum::checksum;
pub use error::{Error, Result};
pub use exports::Export;
pub use file::{ImageFile, ImageSummary, Subsystem, summary, summary_of};
pub use headers::{Directory, Headers, Section};
pub use image::Image;
pub use imports::{ImportKind, ImportedFunction, ImportedModule};
pub use neighbours::{Neighbour, Neighbours, Reach};
pub use notes::Note;
pub use packers::packer_of;
pub use proxy::{build_proxy, is_proxy, known_exports, known_names};
pub use resources::FileVersion;
pub use rewrite::{
    IMPORTED_FUNCTION, PatchState, Patched, Restored, SECTION_NAME, patch, patch_state, undo,
};

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
