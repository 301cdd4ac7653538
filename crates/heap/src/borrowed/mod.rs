//! The heap of a `mimalloc.dll` that the process has loaded, in the place of the module's own: the
//! same functions as in `native.rs`, by mimalloc's public interface alone.
//!
//! Each free looks the block up in the page map twice: here, and again inside mimalloc, whose
//! internals are unknown here.

mod dll;
mod entries;
mod exact;
mod heap_api;

pub use dll::*;
pub use entries::*;
pub use exact::*;
pub use heap_api::*;
