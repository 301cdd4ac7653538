//! What the tests of this crate share.
#![allow(dead_code, reason = "each test program uses a part of it")]

pub mod build_image;

use allograft_image::{Image, ImportKind, Machine, Note, Restored, Result, patch, undo};

pub const MODULE: &str = "allograft.dll";

pub const MACHINES: [Machine; 3] = [Machine::X86, Machine::X64, Machine::Arm64];

/// The image `data` with `module` first, and what the user is told.
pub fn patch_bytes(data: &[u8], module: &str, regardless: bool) -> Result<(Vec<u8>, Vec<Note>)> {
    let image = Image::parse(data)?;
    let patched = patch(&image, module, regardless)?;
    Ok((patched.to_vec()?, patched.notes))
}

/// What undoing makes of the image `data`.
pub fn undo_bytes(data: &[u8], regardless: bool) -> Result<Restored<'_>> {
    undo(&Image::parse(data)?, regardless)
}

/// The image `data`, which is sound.
pub fn parse(data: &[u8]) -> Image<'_> {
    Image::parse(data).unwrap()
}

/// Overwrites the 32-bit field at `at`.
pub fn set(data: &mut [u8], at: usize, value: u32) {
    data[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

/// The names of the modules that `data` imports, ordinary ones and delayed ones.
pub fn imports(data: &[u8]) -> (Vec<String>, Vec<String>) {
    let modules = parse(data).imports().unwrap();
    let names = |kind| {
        let modules = modules.iter().filter(|module| module.kind == kind);
        modules.map(|module| module.name.clone()).collect()
    };
    (names(ImportKind::Ordinary), names(ImportKind::Delayed))
}
