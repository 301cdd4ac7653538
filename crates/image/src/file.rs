//! Images in files, which are mapped: only the pages that are looked at are read.

use crate::crt::Crt;
use crate::{Error, Headers, Image, ImportedModule, Machine, Result};
use memmap2::Mmap;
use object::pe;
use serde::Serialize;
use std::fs::File;
use std::path::Path;

/// A file mapped into memory for reading.
#[derive(Debug)]
pub struct ImageFile {
    map: Option<Mmap>,
}

impl ImageFile {
    /// Opens and maps the file at `path`. On Windows nobody can write to it while it is open.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] if it cannot be opened, read or mapped, or is no ordinary file.
    pub fn open(path: &Path) -> Result<ImageFile> {
        let file = open_for_reading(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(Error::NotAnImage("it is not an ordinary file"));
        }
        if metadata.len() == 0 {
            return Ok(ImageFile { map: None });
        }
        // SAFETY: the mapping is read-only and private to this value. Windows keeps others from
        // changing the file while it is mapped; elsewhere a program that shortens it meanwhile
        // would end this one with SIGBUS, as it does to every program that maps its input.
        let map = unsafe { Mmap::map(&file)? };
        Ok(ImageFile { map: Some(map) })
    }

    /// The bytes of the file.
    pub fn data(&self) -> &[u8] {
        self.map.as_deref().unwrap_or_default()
    }
}

/// Opens the file at `path` so that nobody can write to it meanwhile, where the system has a way to
/// say that.
fn open_for_reading(path: &Path) -> std::io::Result<File> {
    let mut options = File::options();
    // FILE_SHARE_READ, FILE_SHARE_DELETE.
    #[cfg(windows)]
    std::os::windows::fs::OpenOptionsExt::share_mode(&mut options, 1 | 4);
    options.read(true).open(path)
}

/// What a program needs of the system to run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subsystem {
    /// A window of its own, or none.
    Gui,
    /// A console.
    Console,
    /// Neither: a driver, a boot program, a native process.
    Other,
}

/// The essentials of an image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImageSummary {
    /// The processor it is made for.
    pub machine: Machine,
    /// Whether it is a DLL.
    pub is_dll: bool,
    /// What it needs of the system to run.
    pub subsystem: Subsystem,
    /// Whether it holds .NET code.
    pub is_dotnet: bool,
    /// The C runtimes that it imports itself, each once, in the order of the import table.
    pub crt_imports: Vec<&'static Crt>,
}

/// Reads the essentials of the image at `path`. Only its headers and import tables are read from
/// the disk.
///
/// # Errors
///
/// If the file cannot be read, is no PE image, or its tables lie outside it.
pub fn summary(path: &Path) -> Result<ImageSummary> {
    let file = ImageFile::open(path)?;
    ImageSummary::new(&Image::parse(file.data())?)
}

impl ImageSummary {
    /// The essentials of an image in memory.
    ///
    /// # Errors
    ///
    /// If its import tables lie outside it.
    pub fn new(image: &Image<'_>) -> Result<ImageSummary> {
        let headers = image.headers();
        Ok(ImageSummary {
            machine: headers.machine,
            is_dll: headers.is_dll(),
            subsystem: subsystem_of(headers),
            is_dotnet: image.is_dotnet(),
            crt_imports: distinct_crts(&image.imports()?),
        })
    }
}

pub(crate) fn subsystem_of(headers: &Headers) -> Subsystem {
    match headers.subsystem {
        n if n == pe::IMAGE_SUBSYSTEM_WINDOWS_GUI.0 => Subsystem::Gui,
        n if n == pe::IMAGE_SUBSYSTEM_WINDOWS_CUI.0 => Subsystem::Console,
        _ => Subsystem::Other,
    }
}

/// The C runtimes that `imports` lead to, each once.
pub(crate) fn distinct_crts(imports: &[ImportedModule]) -> Vec<&'static Crt> {
    let mut crts: Vec<&'static Crt> = Vec::new();
    for crt in imports.iter().filter_map(ImportedModule::crt) {
        if !crts.contains(&crt) {
            crts.push(crt);
        }
    }
    crts
}
