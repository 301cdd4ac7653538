//! The resources of the DLLs and the launcher: version, icon and manifest. Build scripts call this
//! crate, so it runs on the machine that compiles. It needs MinGW's `windres` for Windows targets
//! and does nothing for others.

use embed_manifest::manifest::{ManifestBuilder, SupportedOS};
use embed_manifest::{empty_manifest, new_manifest};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use winresource::{VersionInfo, WindowsResource};

/// What Windows shows of every file besides its description.
const PRODUCT: &str = "allograft";
const COPYRIGHT: &str = "Copyright (c) 2026 The allograft authors. MIT licence.";

/// U.S. English, in which the strings are.
const LANGUAGE: u16 = 0x0409;

/// `VFT_DLL` of `VS_FIXEDFILEINFO`; the library's own default is a program.
const TYPE_DLL: u64 = 2;

/// A file that gets resources.
pub struct Resources<'a> {
    /// The file's name in the distribution for 64-bit programs.
    pub file: &'a str,
    /// The file's name in the distribution for 32-bit programs.
    pub file_x86: &'a str,
    /// What Explorer and the Task Manager call it.
    pub description: &'a str,
}

impl Resources<'_> {
    /// Adds the resources to the program that the calling build script belongs to.
    ///
    /// # Panics
    ///
    /// If they cannot be compiled.
    pub fn embed_in_program(&self) {
        let Some(mut resource) = self.version_and_icon() else { return };
        // The loader reads the manifest of a program under its number 1: the library's default.
        let manifest = write_manifest(new_manifest(PRODUCT));
        resource.set_manifest_file(path_text(&manifest));
        self.compile(&resource);
    }

    /// Adds the resources to the DLL that the calling build script belongs to.
    ///
    /// # Panics
    ///
    /// If they cannot be compiled.
    pub fn embed_in_dll(&self) {
        let Some(mut resource) = self.version_and_icon() else { return };
        resource.set_version_info(VersionInfo::FILETYPE, TYPE_DLL);
        // The loader evaluates the manifest of a DLL under number 2 while it loads it, in whatever
        // program that is. Under number 3 (for code that asks for it itself) it does not, so
        // nothing in the manifest can keep the module from being loaded.
        let manifest =
            write_manifest(empty_manifest().name(PRODUCT).supported_os(SupportedOS::Windows7..));
        let escaped = path_text(&manifest).replace('\\', "\\\\");
        resource.append_rc_content(&format!("3 24 \"{escaped}\""));
        self.compile(&resource);
    }

    /// None for targets that have no resources.
    fn version_and_icon(&self) -> Option<WindowsResource> {
        if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("windows") {
            return None;
        }
        let x86 = env::var("CARGO_CFG_TARGET_ARCH").as_deref() == Ok("x86");
        let icon = Path::new(env!("CARGO_MANIFEST_DIR")).join("allograft.ico");
        println!("cargo:rerun-if-changed={}", icon.display());
        if env::var("CARGO_CFG_TARGET_ENV").as_deref() == Ok("gnu") {
            // The same sources give the same bytes.
            println!("cargo:rustc-link-arg=-Wl,--no-insert-timestamp");
        }
        let mut resource = WindowsResource::new();
        resource
            .set_language(LANGUAGE)
            .set_icon(path_text(&icon))
            .set("ProductName", PRODUCT)
            .set("FileDescription", self.description)
            .set("OriginalFilename", if x86 { self.file_x86 } else { self.file })
            .set("CompanyName", &env::var("CARGO_PKG_AUTHORS").unwrap_or_default())
            .set("LegalCopyright", COPYRIGHT);
        Some(resource)
    }

    fn compile(&self, resource: &WindowsResource) {
        if let Err(error) = resource.compile() {
            panic!(
                "the resources of {} cannot be compiled: {error} (MinGW's windres does it: install \
                 the binutils of your MinGW, or name the program in WINDRES)",
                self.file
            );
        }
    }
}

fn write_manifest(manifest: ManifestBuilder) -> PathBuf {
    let part = |name| env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let version =
        ["CARGO_PKG_VERSION_MAJOR", "CARGO_PKG_VERSION_MINOR", "CARGO_PKG_VERSION_PATCH"].map(part);
    let manifest = manifest.version(version[0], version[1], version[2], 0);
    let folder = env::var_os("OUT_DIR").expect("cargo names a folder for what is generated");
    let path = Path::new(&folder).join("allograft.manifest");
    if let Err(error) = fs::write(&path, manifest.to_string()) {
        panic!("cannot write {}: {error}", path.display());
    }
    path
}

/// `path` for the resource compiler, which takes text.
fn path_text(path: &Path) -> &str {
    path.to_str().unwrap_or_else(|| {
        panic!(
            "{}: the resource compiler cannot be given this path: use one in Unicode",
            path.display()
        )
    })
}
