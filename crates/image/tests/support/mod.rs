//! What the tests of this crate share.
#![allow(dead_code, reason = "each test program uses a part of it")]

pub mod build_image;

use allograft_image::{Image, ImportKind};

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
