//! `mimalloc.dll` and what a program needs to link with it: import libraries, and mimalloc's
//! headers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use allograft_image::{Image, ImageFile};
use allograft_tests::{Target, X64};
use anyhow::{Context, Result};

use crate::cargo::{self, MIMALLOC, WindowsBuild};
use crate::files::{copy, copy_files, fill_in, read, write};
use crate::layout;
use crate::step;

/// The file name of every `mimalloc.dll`, ours and mimalloc's own.
pub const DLL: &str = "mimalloc.dll";

/// The package that carries mimalloc's sources.
pub const PACKAGE: &str = "libmimalloc-sys";

/// The folders of mimalloc's own sources, as the package carries them.
pub struct Sources {
    pub headers: PathBuf,
    /// With `static.c`, which includes all the rest.
    pub code: PathBuf,
}

impl Sources {
    pub fn find() -> Result<Sources> {
        let mut packages = cargo::metadata(&[&X64])?.packages.into_iter();
        let package = packages.find(|package| package.name.as_str() == PACKAGE);
        let package = package.with_context(|| format!("cargo knows of no package {PACKAGE}"))?;
        let folder = package.manifest_path.with_file_name("c_src/mimalloc/v3");
        Ok(Sources { headers: folder.join("include").into(), code: folder.join("src").into() })
    }

    /// mimalloc's version, for instance `3.3.2`.
    pub fn version(&self) -> Result<String> {
        let header = self.headers.join("mimalloc.h");
        version_in(&read(&header)?)
            .with_context(|| format!("{} states no version", header.display()))
    }

    /// Copies the public headers into `folder`.
    pub fn copy_headers(&self, folder: &Path) -> Result<()> {
        copy_files(&self.headers, folder, |header| header.is_file())
    }
}

/// A built `mimalloc.dll`.
pub struct Mimalloc {
    pub dll: PathBuf,
    /// `libmimalloc.dll.a`, the import library for MinGW.
    import_library: PathBuf,
    pub sources: Sources,
    target: &'static Target,
}

impl Mimalloc {
    /// Builds it alone: in one call of cargo, it and the module would get each other's features.
    pub fn build(build: WindowsBuild) -> Result<Mimalloc> {
        let built = build.packages(&[MIMALLOC])?;
        Ok(Mimalloc {
            dll: built.file(DLL)?,
            import_library: built.file("libmimalloc.dll.a")?,
            sources: Sources::find()?,
            target: build.target,
        })
    }

    /// Lays out under `root` what programs that link with it are built with: the DLL, its import
    /// libraries, mimalloc's headers, and the file by which pkg-config finds all that. What is for
    /// 32-bit programs has a folder of its own.
    pub fn lay_out(&self, zig: &Path, root: &Path) -> Result<()> {
        let folder = root.join(self.target.folder);
        let library = folder.join("lib");
        copy(&self.dll, &folder.join(DLL))?;
        copy(&self.import_library, &library.join("libmimalloc.dll.a"))?;
        write_import_library(zig, self.target, &self.dll, &library.join("mimalloc.dll.lib"))?;
        self.sources.copy_headers(&folder.join("include"))?;
        let version = format!("{}mi_version", self.target.symbol_prefix);
        fill_in_packaging("allograft.pc", &version, &library.join("pkgconfig"))
    }
}

/// Lays out under `root` the files by which CMake finds what [`Mimalloc::lay_out`] laid out there,
/// for programs of either kind.
pub fn lay_out_for_cmake(root: &Path) -> Result<()> {
    let folder = root.join("lib/cmake/allograft");
    for file in ["allograft-config.cmake", "allograft-config-version.cmake"] {
        fill_in_packaging(file, "", &folder)?;
    }
    Ok(())
}

/// Lays a file of `packaging/` into `folder`. `symbol` is the one that linkers are made to look
/// for, so that they link with the DLL.
fn fill_in_packaging(file: &str, symbol: &str, folder: &Path) -> Result<()> {
    let words = [("@VERSION@", layout::VERSION), ("@SYMBOL@", symbol)];
    fill_in(&layout::own("packaging/cmake").join(file), &words, &folder.join(file))
}

/// Makes at `output`, by `zig`, a library that programs for `target` link with to import what the
/// DLL at `dll` exports. Microsoft's linker takes it, LLVM's, and GNU's.
pub fn write_import_library(zig: &Path, target: &Target, dll: &Path, output: &Path) -> Result<()> {
    let file = ImageFile::open(dll)?;
    let exports = Image::parse(file.data())?.exports()?;
    let names = exports.into_iter().filter_map(|export| export.name);
    write_library(zig, target.dlltool, &definitions(DLL, names), output)
}

/// Makes the import library that the module definition `text` describes, whose functions are C's,
/// for the processor type that dlltool calls `machine`. Names with the size of their arguments are
/// without it in the DLL.
pub fn write_library(zig: &Path, machine: &str, text: &str, output: &Path) -> Result<()> {
    let definitions = layout::beside(output, "def");
    write(&definitions, text)?;
    let mut command = Command::new(zig);
    command.args(["dlltool", "-k", "-m", machine, "-d"]).arg(&definitions).arg("-l").arg(output);
    step::capture(&mut command)?;
    fs::remove_file(&definitions).with_context(|| format!("removing {}", definitions.display()))
}

/// A module definition: what the DLL `library` exports.
pub fn definitions(library: &str, names: impl IntoIterator<Item = String>) -> String {
    let mut text = format!("LIBRARY {library}\nEXPORTS\n");
    for name in names {
        text.push_str(&format!("    {name}\n"));
    }
    text
}

/// The version that mimalloc's header states as one number: a digit, and then two for each further
/// part.
fn version_in(header: &str) -> Option<String> {
    let line = header.lines().find_map(|line| line.strip_prefix("#define MI_MALLOC_VERSION"))?;
    let number: u32 = line.split_whitespace().next()?.parse().ok()?;
    Some(format!("{}.{}.{}", number / 10_000, number / 100 % 100, number % 100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_names_the_library_and_its_functions() {
        let names = ["mi_free", "mi_malloc"].map(str::to_owned);
        assert_eq!(
            definitions("a.dll", names),
            "LIBRARY a.dll\nEXPORTS\n    mi_free\n    mi_malloc\n"
        );
    }

    #[test]
    fn the_sources_lie_in_the_package_that_cargo_names() {
        let sources = Sources::find().unwrap();
        assert!(sources.headers.join("mimalloc.h").is_file());
        assert!(sources.code.join("static.c").is_file());
        assert!(sources.version().unwrap().starts_with("3."));
    }

    #[test]
    fn the_version_is_read_from_the_header() {
        let header = "// text\n#define MI_MALLOC_VERSION   30302   // comment\n";
        assert_eq!(version_in(header).as_deref(), Some("3.3.2"));
        assert_eq!(version_in("nothing"), None);
    }
}
