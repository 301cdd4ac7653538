//! The DLLs beside a program: those that it imports, directly or through one another, and those that
//! it may load while it runs.

use crate::crt::{Crt, is_runtime_file};
use crate::file::distinct_crts;
use crate::{FileVersion, Image, ImageFile, ImportKind, Machine, Result};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Most DLLs of a folder that are looked at.
const MAX_DLLS: usize = 2048;

/// A DLL in the program's folder.
#[derive(PartialEq, Eq, Debug)]
pub struct Neighbour {
    /// Its file name, as it stands in the folder.
    pub name: String,
    /// Whether the program imports it, directly or through other DLLs beside it.
    pub is_imported: bool,
    /// The C runtimes that it imports.
    pub crt_imports: Vec<&'static Crt>,
    /// Its file version, if it states one.
    pub version: Option<FileVersion>,
}

/// What lies beside a program.
pub struct Neighbours {
    /// The DLLs for the program's machine, those that are imported first.
    pub dlls: Vec<Neighbour>,
}

/// How a program uses a C runtime that allograft takes over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach<'a> {
    /// It imports the runtime itself.
    Itself,
    /// A DLL beside it that it imports does.
    Imported(&'a Neighbour),
    /// A DLL beside it does, which it may load while it runs.
    Beside(&'a Neighbour),
    /// Nothing in its folder does.
    Nowhere,
}

impl Neighbours {
    /// Looks at the DLLs in the folder of the program at `path`, whose image is `image`. What
    /// cannot be read is left out.
    ///
    /// # Errors
    ///
    /// If the program's own imports cannot be read.
    pub fn find(path: &Path, image: &Image<'_>) -> Result<Neighbours> {
        let machine = image.headers().machine;
        let mut paths = dlls_beside(path);
        let mut queue: Vec<String> =
            image.imports()?.into_iter().map(|module| module.name).collect();
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
        Ok(Neighbours { dlls })
    }

    /// How the program, which imports the C runtimes `own`, uses one that allograft takes over.
    ///
    /// The compiler's runtime files themselves do not count: that `vcruntime140.dll` lies in a
    /// folder says nothing about the program.
    pub fn reach(&self, own: &[&'static Crt]) -> Reach<'_> {
        let takes_over = |crts: &[&'static Crt]| crts.iter().any(|crt| crt.taken_over);
        if takes_over(own) {
            return Reach::Itself;
        }
        let mut users = self.dlls.iter().filter(|dll| takes_over(&dll.crt_imports));
        match users.clone().find(|dll| dll.is_imported) {
            Some(dll) => Reach::Imported(dll),
            None => {
                users.find(|dll| !is_runtime_file(&dll.name)).map_or(Reach::Nowhere, Reach::Beside)
            }
        }
    }

    /// The DLL named `name`, in any case of letters.
    pub fn dll(&self, name: &str) -> Option<&Neighbour> {
        self.dlls.iter().find(|dll| dll.name.eq_ignore_ascii_case(name))
    }
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
