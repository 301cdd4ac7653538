//! `mimalloc.dll` and what a program needs to link with it: import libraries, and mimalloc's headers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use allograft_image::{Image, ImageFile};
use anyhow::{Context, Result};

use crate::compile::{self, Output, Variant};
use crate::layout;
use crate::setup::Rust;
use crate::step;

/// The package of `mimalloc.dll`.
pub const PACKAGE: &str = "allograft-mimalloc";

/// The package that mimalloc's sources are in.
const SOURCES: &str = "libmimalloc-sys";

/// What was built, and where mimalloc's headers are.
pub struct Mimalloc {
    /// `mimalloc.dll`
    pub dll: PathBuf,
    /// `libmimalloc.dll.a`, the import library for MinGW.
    pub import_library: PathBuf,
    headers: PathBuf,
}

impl Mimalloc {
    /// Builds it, by itself: together with the module cargo would give both the features of either.
    pub fn build(rust: Rust, variant: Variant, output: Output) -> Result<Mimalloc> {
        let messages = compile::packages(rust, variant, output, &[PACKAGE], Some(PACKAGE))?;
        let manifest = messages
            .iter()
            .filter_map(|message| message["manifest_path"].as_str().map(Path::new))
            .find(|manifest| is_of_sources(manifest))
            .with_context(|| format!("cargo built {PACKAGE} without {SOURCES}"))?;
        Ok(Mimalloc {
            dll: compile::artifact(&messages, PACKAGE, "mimalloc.dll")?,
            import_library: compile::artifact(&messages, PACKAGE, "libmimalloc.dll.a")?,
            headers: manifest.with_file_name("c_src").join("mimalloc/v3/include"),
        })
    }

    /// The folder of mimalloc's headers, beside that of its sources.
    pub fn headers(&self) -> &Path {
        &self.headers
    }

    /// Copies mimalloc's public headers into `folder`.
    pub fn copy_headers(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        for entry in fs::read_dir(&self.headers)
            .with_context(|| format!("reading {}", self.headers.display()))?
        {
            let header = entry?.path();
            if let (true, Some(name)) = (header.is_file(), header.file_name()) {
                fs::copy(&header, folder.join(name))
                    .with_context(|| format!("copying {}", header.display()))?;
            }
        }
        Ok(())
    }

    /// Makes the import library for Microsoft's linker at `output`, by `zig`.
    pub fn write_msvc_library(&self, zig: &Path, output: &Path) -> Result<()> {
        let definitions = layout::beside(output, "def");
        fs::write(&definitions, self.definitions()?)
            .with_context(|| format!("writing {}", definitions.display()))?;
        let mut command = Command::new(zig);
        command
            .args(["dlltool", "-m", "i386:x86-64", "-d"])
            .arg(&definitions)
            .arg("-l")
            .arg(output);
        step::capture(&mut command)?;
        fs::remove_file(&definitions).with_context(|| format!("removing {}", definitions.display()))
    }

    /// A module definition that names what the DLL exports.
    fn definitions(&self) -> Result<String> {
        let file = ImageFile::open(&self.dll)?;
        let exports = Image::parse(file.data())?.exports()?;
        let names = exports.into_iter().filter_map(|export| export.name);
        Ok(definitions("mimalloc.dll", names))
    }
}

fn definitions(library: &str, names: impl Iterator<Item = String>) -> String {
    let mut text = format!("LIBRARY {library}\nEXPORTS\n");
    for name in names {
        text.push_str(&format!("    {name}\n"));
    }
    text
}

/// Whether the manifest at this path is that of the package with mimalloc's sources, in whatever version.
fn is_of_sources(manifest: &Path) -> bool {
    manifest
        .parent()
        .and_then(Path::file_name)
        .is_some_and(|folder| folder.to_string_lossy().starts_with(SOURCES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_names_the_library_and_its_functions() {
        let names = ["mi_free", "mi_malloc"].map(str::to_owned);
        assert_eq!(
            definitions("a.dll", names.into_iter()),
            "LIBRARY a.dll\nEXPORTS\n    mi_free\n    mi_malloc\n"
        );
    }

    #[test]
    fn the_sources_are_known_by_the_folder_of_their_manifest() {
        assert!(is_of_sources(Path::new(
            "/r/libmimalloc-sys-0.1.49/Cargo.toml"
        )));
        assert!(!is_of_sources(Path::new("/r/libc-0.2.1/Cargo.toml")));
    }
}
