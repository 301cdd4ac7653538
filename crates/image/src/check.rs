//! Says before anyone patches or injects whether allograft will work on a program.

mod anticheat;
mod mitigations;
mod static_runtime;
mod verdict;

pub use anticheat::{AntiCheat, anti_cheats_near};
pub use mitigations::Mitigation;
pub use static_runtime::StaticRuntime;
pub use verdict::{Route, Verdict};

use crate::crt::{Crt, CrtKind};
use crate::file::{distinct_crts, subsystem_of};
use crate::{
    FileVersion, Image, ImageFile, ImportedModule, Machine, Neighbours, PatchState, Reach, Result,
    Subsystem, packer_of, patch_state,
};
use serde::Serialize;
use std::path::Path;

/// What no file tells, said with every report.
pub const UNSEEN: &str = "Policies that are set from outside (signed modules only, no dynamic code) and anti-cheat \
     systems that leave no file beside the program cannot be seen in its files.";

/// Whether, and how, an image holds .NET code.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dotnet {
    /// Nothing else: the loader does not read its import table.
    Pure,
    /// Beside code for the machine.
    Mixed,
}

/// One C runtime that a program and the DLLs beside it use.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct CrtUse {
    /// Its file.
    pub file: &'static str,
    /// Its family.
    pub kind: CrtKind,
    /// The compiler that programs with this runtime come from, in words.
    pub origin: &'static str,
    /// Whether allograft takes it over today.
    pub taken_over: bool,
    /// The version of the copy beside the program; `None` if there is none, and the system's is
    /// used.
    pub version_beside: Option<FileVersion>,
    /// The files that import it and are loaded with the program.
    pub used_by: Vec<String>,
    /// The files that import it and lie beside the program, which may load them while it runs.
    pub maybe_used_by: Vec<String>,
}

/// All that a look at a program's files tells.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Report {
    /// The path as it was given.
    pub path: String,
    /// The processor it is made for.
    #[serde(serialize_with = "crate::serialize_machine")]
    pub machine: Machine,
    /// Whether it is a DLL.
    pub is_dll: bool,
    /// What it needs of the system to run.
    pub subsystem: Subsystem,
    /// Its file version, if it states one.
    pub version: Option<FileVersion>,
    /// Whether, and how, it holds .NET code.
    pub dotnet: Option<Dotnet>,
    /// The packer that it went through.
    pub packer: Option<&'static str>,
    /// Whether it carries an Authenticode signature.
    pub is_signed: bool,
    /// The module that is first in its import table because of `allograft patch`.
    pub patched_with: Option<String>,
    /// The C runtimes that it and the DLLs beside it import.
    pub crts: Vec<CrtUse>,
    /// What it seems to have in it instead of a C runtime of its own to import.
    pub static_runtime: Option<StaticRuntime>,
    /// Other allocators that it imports, which may replace the heap themselves.
    pub allocators: Vec<String>,
    /// Anti-cheat systems found.
    pub anti_cheats: Vec<AntiCheat>,
    /// Properties that matter to patching or injecting.
    pub mitigations: Vec<Mitigation>,
    /// Whether it will work, and how.
    pub verdict: Verdict,
}

/// DLLs that replace the heap, or bring one of their own.
const ALLOCATORS: [&str; 9] = [
    "mimalloc.dll",
    "mimalloc-redirect.dll",
    "mimalloc-redirect32.dll",
    "mimalloc-override.dll",
    "tbbmalloc_proxy.dll",
    "tbbmalloc.dll",
    "jemalloc.dll",
    "tcmalloc.dll",
    "libtcmalloc_minimal.dll",
];

/// Looks at the program or DLL at `path` and at what lies beside it.
///
/// # Errors
///
/// If it cannot be read, is no PE image, or its tables lie outside it.
pub fn check(path: &Path) -> Result<Report> {
    let file = ImageFile::open(path)?;
    let image = Image::parse(file.data())?;
    let imports = image.imports()?;
    let own = distinct_crts(&imports);
    let neighbours = Neighbours::of(path, &image)?;
    let mut report = Report {
        path: path.display().to_string(),
        machine: image.headers().machine,
        is_dll: image.headers().is_dll(),
        subsystem: subsystem_of(image.headers()),
        version: image.file_version(),
        dotnet: dotnet(&image),
        packer: packer_of(image.headers()),
        is_signed: image.certificates().is_some(),
        patched_with: patched_with(&image)?,
        crts: crt_uses(path, &own, &neighbours),
        static_runtime: if own.is_empty() { static_runtime::find(&image)? } else { None },
        allocators: allocators(&imports),
        anti_cheats: anti_cheats_near(path),
        mitigations: mitigations::of(&image)?,
        verdict: Verdict::default(),
    };
    report.verdict = verdict::of(&report, neighbours.reach(&own));
    Ok(report)
}

/// Why patching or injecting would do nothing to the program at `path`, whose image is `image`;
/// `None` if a C runtime is there that allograft takes over.
///
/// # Errors
///
/// If the image's tables lie outside it.
pub fn nothing_to_take_over(path: &Path, image: &Image<'_>) -> Result<Option<String>> {
    let own = distinct_crts(&image.imports()?);
    if own.iter().any(|crt| crt.taken_over) {
        return Ok(None);
    }
    let neighbours = Neighbours::of(path, image)?;
    if neighbours.reach(&own) != Reach::Nowhere {
        return Ok(None);
    }
    let static_runtime = if own.is_empty() { static_runtime::find(image)? } else { None };
    let crts = crt_uses(path, &own, &neighbours);
    let packer = packer_of(image.headers());
    Ok(Some(verdict::why_nothing_to_take_over(dotnet(image), packer, &crts, static_runtime)))
}

fn dotnet(image: &Image<'_>) -> Option<Dotnet> {
    image
        .is_dotnet()
        .then(|| if crate::dotnet::flags(image).is_pure { Dotnet::Pure } else { Dotnet::Mixed })
}

fn patched_with(image: &Image<'_>) -> Result<Option<String>> {
    Ok(match patch_state(image, "")? {
        PatchState::Patched { module } => Some(module),
        _ => None,
    })
}

fn allocators(imports: &[ImportedModule]) -> Vec<String> {
    let known = |module: &&ImportedModule| {
        ALLOCATORS.iter().any(|name| name.eq_ignore_ascii_case(&module.name))
    };
    imports.iter().filter(known).map(|module| module.name.clone()).collect()
}

/// The runtimes that the program itself (`own`) and its neighbours import, with who uses which.
fn crt_uses(path: &Path, own: &[&'static Crt], neighbours: &Neighbours) -> Vec<CrtUse> {
    let program =
        path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut uses: Vec<CrtUse> = own.iter().map(|crt| crt_use(crt, neighbours)).collect();
    for entry in &mut uses {
        entry.used_by.push(program.clone());
    }
    for dll in &neighbours.dlls {
        // A runtime's own parts import one another; that says nothing about the program.
        if crate::crt::is_runtime_file(&dll.name) {
            continue;
        }
        for crt in &dll.crt_imports {
            let index = uses.iter().position(|entry| entry.file == crt.file).unwrap_or_else(|| {
                uses.push(crt_use(crt, neighbours));
                uses.len() - 1
            });
            let users = if dll.is_imported {
                &mut uses[index].used_by
            } else {
                &mut uses[index].maybe_used_by
            };
            users.push(dll.name.clone());
        }
    }
    uses
}

fn crt_use(crt: &'static Crt, neighbours: &Neighbours) -> CrtUse {
    CrtUse {
        file: crt.file,
        kind: crt.kind,
        origin: crt.origin,
        taken_over: crt.taken_over,
        version_beside: neighbours.dll(crt.file).and_then(|dll| dll.version),
        used_by: Vec::new(),
        maybe_used_by: Vec::new(),
    }
}
