//! The DLLs beside a program: those that it imports, directly or through one another, and those
//! that it may load while it runs.

use crate::crt::Crt;
use crate::file::distinct_crts;
use crate::{FileVersion, Image, ImageFile, ImportKind, Machine, Result};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

const MAX_DLLS: usize = 2048;

pub struct Neighbour {
    /// As it is in the folder; letters may be of either case.
    pub name: String,
    /// Whether the program imports it, directly or through other DLLs beside it.
    pub is_imported: bool,
    pub crt_imports: Vec<&'static Crt>,
    pub version: Option<FileVersion>,
}

/// The DLLs in the folder of the program at `path`, whose image is `image`, that are for its
/// machine: those that are imported first. What cannot be read is left out.
///
/// # Errors
///
/// If the program's own imports cannot be read.
pub fn neighbours(path: &Path, image: &Image<'_>) -> Result<Vec<Neighbour>> {
    let machine = image.headers().machine;
    let mut paths = dlls_beside(path);
    let mut queue: Vec<String> = image.imports()?.into_iter().map(|module| module.name).collect();
    let mut dlls = Vec::new();
    // Each file is taken out of the list when it is first met, so circular imports end.
    while let Some(name) = queue.pop() {
        let name = name.to_ascii_lowercase();
        // An API set of the C runtime leads to the runtime's file.
        let path = paths.remove(&name).or_else(|| paths.remove(Crt::from_module(&name)?.file));
        if let Some((dll, imports)) = path.and_then(|path| read(&path, machine, true)) {
            dlls.push(dll);
            queue.extend(imports);
        }
    }
    dlls.sort_by(|a, b| a.name.cmp(&b.name));
    let mut rest: Vec<PathBuf> = paths.into_values().collect();
    rest.sort();
    let rest = rest.iter().filter_map(|path| read(path, machine, false));
    dlls.extend(rest.map(|(dll, _)| dll));
    Ok(dlls)
}

/// The DLLs in the folder of `program`, by their names in lower case.
fn dlls_beside(program: &Path) -> HashMap<String, PathBuf> {
    let folder = match program.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let dlls = std::fs::read_dir(folder).into_iter().flatten().filter_map(|entry| {
        let path = entry.ok()?.path();
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        (name.ends_with(".dll") && path.file_name() != program.file_name()).then_some((name, path))
    });
    dlls.take(MAX_DLLS).collect()
}

/// The DLL at `path`, with the modules that it imports, if it is for `machine`.
fn read(path: &Path, machine: Machine, is_imported: bool) -> Option<(Neighbour, Vec<String>)> {
    let file = ImageFile::open(path).ok()?;
    let image = Image::parse(file.data()).ok().filter(|it| it.headers().machine == machine)?;
    let imports = image.imports().ok()?;
    let neighbour = Neighbour {
        name: path.file_name()?.to_str()?.to_owned(),
        is_imported,
        crt_imports: distinct_crts(&imports),
        version: image.file_version(),
    };
    let ordinary = imports.into_iter().filter(|module| module.kind == ImportKind::Ordinary);
    Some((neighbour, ordinary.map(|module| module.name).collect()))
}
