//! What the tests of this crate share.
#![allow(dead_code, reason = "each test program uses a part of it")]

pub mod build_image;

use allograft_image::{Image, ImportKind, Machine, Note, Restored, Result, patch, undo};

pub const MODULE: &str = "allograft.dll";

pub const MACHINES: [Machine; 3] = [Machine::X86, Machine::X64, Machine::Arm64];

/// The image `data` with `module` first, and what the user is told.
pub fn patch_bytes(data: &[u8], module: &str, packed_too: bool) -> Result<(Vec<u8>, Vec<Note>)> {
    let image = Image::parse(data)?;
    let patched = patch(&image, module, packed_too)?;
    Ok((patched.to_vec()?, patched.notes))
}

/// What undoing makes of the image `data`.
pub fn undo_bytes(data: &[u8], regardless: bool) -> Result<Restored<'_>> {
    undo(&Image::parse(data)?, regardless)
}

/// The names of the modules that `data` imports, ordinary ones and delayed ones.
pub fn imports(data: &[u8]) -> (Vec<String>, Vec<String>) {
    let image = Image::parse(data).unwrap();
    let (ordinary, delayed): (Vec<_>, Vec<_>) = image
        .imports()
        .unwrap()
        .into_iter()
        .partition(|module| module.kind == ImportKind::Ordinary);
    let names = |modules: Vec<allograft_image::ImportedModule>| {
        modules.into_iter().map(|module| module.name).collect()
    };
    (names(ordinary), names(delayed))
}
