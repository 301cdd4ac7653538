//! The DLLs beside a program: those that it imports, directly or through one another, and those that
//! it may load while it runs.

use crate::crt::{self, Crt};
use crate::{FileVersion, Image, ImageFile, ImportKind, Machine, Result};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Most DLLs of a folder that are looked at.
const MAX_DLLS: usize = 2048;

/// A DLL in the program's folder.
#[derive(Clone, PartialEq, Eq, Debug)]
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
#[derive(Clone, PartialEq, Eq, Debug, Default)]
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
        let mut files = Files::beside(path, image.headers().machine);
        let mut queue: Vec<String> =
            image.imports()?.into_iter().map(|module| module.name).collect();
        let mut dlls = Vec::new();
        // Each file is taken out of the list when it is first met, so circular imports end.
        while let Some(name) = queue.pop() {
            if let Some((neighbour, imports)) = files.take(&name) {
                dlls.push(Neighbour { is_imported: true, ..neighbour });
                queue.extend(imports);
            }
        }
        dlls.sort_by(|a, b| a.name.cmp(&b.name));
        dlls.extend(files.rest());
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
            None => users
                .find(|dll| !crt::is_runtime_file(&dll.name))
                .map_or(Reach::Nowhere, Reach::Beside),
        }
    }

    /// The DLL named `name`, in any case of letters.
    pub fn dll(&self, name: &str) -> Option<&Neighbour> {
        self.dlls.iter().find(|dll| dll.name.eq_ignore_ascii_case(name))
    }
}

/// The DLLs of a folder that have not been met yet, by their names in lower case.
struct Files {
    paths: HashMap<String, PathBuf>,
    machine: Machine,
}

impl Files {
    fn beside(program: &Path, machine: Machine) -> Files {
        let folder = match program.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let paths = std::fs::read_dir(folder).into_iter().flatten().filter_map(|entry| {
            let path = entry.ok()?.path();
            let name = path.file_name()?.to_str()?.to_ascii_lowercase();
            (name.ends_with(".dll") && path.file_name() != program.file_name())
                .then_some((name, path))
        });
        Files { paths: paths.take(MAX_DLLS).collect(), machine }
    }

    /// Takes the DLL `name` out of the list, with the modules that it imports. An API set of the C
    /// runtime counts as the runtime's file.
    fn take(&mut self, name: &str) -> Option<(Neighbour, Vec<String>)> {
        let name = name.to_ascii_lowercase();
        let path = self
            .paths
            .remove(&name)
            .or_else(|| self.paths.remove(Crt::from_module(&name)?.file))?;
        self.look_at(&path)
    }

    fn rest(mut self) -> Vec<Neighbour> {
        let mut paths: Vec<PathBuf> = std::mem::take(&mut self.paths).into_values().collect();
        paths.sort();
        paths.iter().filter_map(|path| self.look_at(path)).map(|(neighbour, _)| neighbour).collect()
    }

    fn look_at(&self, path: &Path) -> Option<(Neighbour, Vec<String>)> {
        let file = ImageFile::open(path).ok()?;
        let image = Image::parse(file.data()).ok()?;
        if image.headers().machine != self.machine {
            return None;
        }
        let imports = image.imports().ok()?;
        let crt_imports = crate::file::distinct_crts(&imports);
        let ordinary = imports.into_iter().filter(|module| module.kind == ImportKind::Ordinary);
        let neighbour = Neighbour {
            name: path.file_name()?.to_str()?.to_owned(),
            is_imported: false,
            crt_imports,
            version: image.file_version(),
        };
        Some((neighbour, ordinary.map(|module| module.name).collect()))
    }
}
