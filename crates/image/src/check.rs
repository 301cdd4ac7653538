//! Predicts from a program's files whether allograft will work on it. Starts and changes nothing.

mod anticheat;
mod heap_use;
mod neighbours;
mod properties;

pub use anticheat::{AntiCheat, anti_cheats_near};
pub use heap_use::{HeapUse, LinkedRuntime, RuntimesHeap, allocates};
pub use properties::{Mitigation, StaticRuntime};

use crate::crt::{Crt, is_runtime_file};
use crate::file::{distinct_crts, subsystem_of};
use crate::{
    FileVersion, Image, ImageFile, ImportedModule, Machine, PatchState, Result, Subsystem,
    packer_of, patch_state,
};
use neighbours::{Neighbour, neighbours};
use object::pe;
use properties::{mitigations, static_runtime};
use serde::Serialize;
use std::path::Path;

/// What the files cannot show; part of every report.
pub const UNSEEN: &str = "Policies that are set from outside (signed modules only, no dynamic code) and anti-cheat \
     systems that leave no file beside the program cannot be seen in its files.";

/// Whether, and how, an image holds .NET code.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dotnet {
    /// Only .NET code: the loader does not read its import table.
    Pure,
    /// .NET code and machine code.
    Mixed,
}

/// One C runtime that a program and the DLLs beside it use.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct CrtUse {
    /// The runtime.
    #[serde(flatten)]
    pub crt: &'static Crt,
    /// The version of the copy beside the program; `None` if there is none, and the system's is
    /// used.
    pub version_beside: Option<FileVersion>,
    /// The files that import it and are loaded with the program.
    pub used_by: Vec<String>,
    /// The files that import it and lie beside the program, which may load them while it runs.
    pub maybe_used_by: Vec<String>,
}

/// What a program's files show.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct CheckReport {
    /// The path as it was given.
    pub path: String,
    /// The processor it is made for.
    #[serde(serialize_with = "crate::serialize_machine")]
    pub machine: Machine,
    /// Whether it is a DLL.
    pub is_dll: bool,
    /// The subsystem that it runs in.
    pub subsystem: Subsystem,
    /// Its file version, if it states one.
    pub version: Option<FileVersion>,
    /// Whether, and how, it holds .NET code.
    pub dotnet: Option<Dotnet>,
    /// The packer that it went through.
    pub packer: Option<&'static str>,
    /// Whether it carries an Authenticode signature.
    pub is_signed: bool,
    /// The module that `allograft patch` has put first in its import table.
    pub patched_with: Option<String>,
    /// The C runtimes that it and the DLLs beside it import.
    pub crts: Vec<CrtUse>,
    /// The runtime that is probably linked into it; only set if it imports no C runtime.
    pub static_runtime: Option<StaticRuntime>,
    /// How it uses the heap API of Windows itself.
    pub heap_use: HeapUse,
    /// Other allocators that it imports, which may replace the heap themselves.
    pub allocators: Vec<String>,
    /// Anti-cheat systems found.
    pub anti_cheats: Vec<AntiCheat>,
    /// Properties that matter to patching or injecting.
    pub mitigations: Vec<Mitigation>,
    /// Whether it will work, and how.
    pub verdict: CheckVerdict,
}

/// How to get the module into a program.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Route {
    /// Start the program with the module in it.
    Run,
    /// Put the module into its import table.
    Patch,
    /// None: leave it alone.
    #[default]
    None,
}

/// Whether allograft works on a program, why, and the one command.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct CheckVerdict {
    /// Whether it will work, judging by the files.
    pub works: bool,
    /// The recommended route.
    pub route: Route,
    /// The one command; empty if there is none.
    pub command: String,
    /// The reason, in one sentence.
    pub reason: String,
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
pub fn check(path: &Path) -> Result<CheckReport> {
    let file = ImageFile::open(path)?;
    let image = Image::parse(file.data())?;
    let imports = image.imports()?;
    let Runtimes { crts, static_runtime, heap_use, reason } =
        Runtimes::of(path, &image, &distinct_crts(&imports))?;
    let mut report = CheckReport {
        path: path.display().to_string(),
        machine: image.headers().machine,
        is_dll: image.headers().is_dll(),
        subsystem: subsystem_of(image.headers()),
        version: image.file_version(),
        dotnet: dotnet(&image),
        packer: packer_of(image.headers()),
        is_signed: image.certificates().is_some(),
        patched_with: match patch_state(&image, "")? {
            PatchState::Patched { module } => Some(module),
            _ => None,
        },
        crts,
        static_runtime,
        heap_use,
        allocators: allocators(&imports),
        anti_cheats: anti_cheats_near(path),
        mitigations: mitigations(&image)?,
        verdict: CheckVerdict::default(),
    };
    report.verdict = verdict(&report, reason);
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
    Ok(Runtimes::of(path, image, &own)?.reason.err())
}

/// Why there is something to take over, or why there is nothing.
type Reason = Result<String, String>;

/// What a program takes its memory from.
struct Runtimes {
    /// The C runtimes that it and the DLLs beside it import.
    crts: Vec<CrtUse>,
    static_runtime: Option<StaticRuntime>,
    heap_use: HeapUse,
    reason: Reason,
}

impl Runtimes {
    /// `own` are the runtimes that the program imports itself.
    fn of(path: &Path, image: &Image<'_>, own: &[&'static Crt]) -> Result<Runtimes> {
        let neighbours = neighbours(path, image)?;
        let crts = crt_uses(path, own, &neighbours);
        let heap_use = HeapUse::read(image)?;
        let static_runtime = if own.is_empty() { static_runtime(image, &heap_use)? } else { None };
        let by_crt = something_to_take_over(own, &neighbours, &crts);
        // What a packer imports is for itself.
        let by_heap = heap_use.effect().filter(|_| packer_of(image.headers()).is_none());
        let is_own = own.iter().any(|crt| crt.taken_over);
        let reason = match (by_crt, by_heap) {
            (Some(crt), _) if is_own => Ok(crt),
            (crt, Some(_)) if image.headers().is_dll() => crt.ok_or_else(|| {
                "it is a DLL without an imported C runtime: what DLLs take from HeapAlloc is \
                 served if the program runs with --heap all"
                    .to_owned()
            }),
            (_, Some(heap)) => Ok(heap),
            (Some(crt), None) => Ok(crt),
            (None, None) => Err(why_nothing_to_take_over(image, &crts, static_runtime)),
        };
        Ok(Runtimes { crts, static_runtime, heap_use, reason })
    }
}

fn dotnet(image: &Image<'_>) -> Option<Dotnet> {
    let is_pure = image.dotnet_flags().contains(pe::COMIMAGE_FLAGS_ILONLY);
    image.is_dotnet().then_some(if is_pure { Dotnet::Pure } else { Dotnet::Mixed })
}

fn allocators(imports: &[ImportedModule]) -> Vec<String> {
    let names = imports.iter().map(|module| &module.name);
    names
        .filter(|name| ALLOCATORS.iter().any(|known| known.eq_ignore_ascii_case(name)))
        .cloned()
        .collect()
}

/// The runtimes that the program itself (`own`) and its neighbours import, with who uses which.
fn crt_uses(path: &Path, own: &[&'static Crt], neighbours: &[Neighbour]) -> Vec<CrtUse> {
    let program = path.file_name().unwrap_or_default().to_string_lossy();
    // A runtime's own parts import one another; that says nothing about the program.
    let dlls = neighbours.iter().filter(|dll| !is_runtime_file(&dll.name));
    let users = dlls.map(|dll| (&*dll.name, dll.is_imported, &*dll.crt_imports));
    let mut uses: Vec<CrtUse> = Vec::new();
    for (user, is_loaded, crts) in std::iter::once((&*program, true, own)).chain(users) {
        for &crt in crts {
            let index = uses.iter().position(|usage| usage.crt == crt).unwrap_or_else(|| {
                let mut dlls = neighbours.iter();
                let beside = dlls.find(|dll| dll.name.eq_ignore_ascii_case(crt.file));
                let version_beside = beside.and_then(|dll| dll.version);
                uses.push(CrtUse { crt, version_beside, used_by: vec![], maybe_used_by: vec![] });
                uses.len() - 1
            });
            let CrtUse { used_by, maybe_used_by, .. } = &mut uses[index];
            if is_loaded { used_by } else { maybe_used_by }.push(user.to_owned());
        }
    }
    uses
}

fn verdict(report: &CheckReport, reason: Reason) -> CheckVerdict {
    let reason = match obstacle(report).map_or(reason, Err) {
        Ok(reason) => reason,
        Err(reason) => return CheckVerdict { reason, ..CheckVerdict::default() },
    };
    if let Some(module) = &report.patched_with {
        let reason = format!("it is patched already: {module} is first in its import table");
        return CheckVerdict { works: true, reason, ..CheckVerdict::default() };
    }
    let path = quoted(&report.path);
    let (route, command) = if report.is_dll {
        (Route::Patch, format!("allograft patch {path}"))
    } else {
        (Route::Run, format!("allograft run -- {path}"))
    };
    CheckVerdict { works: true, route, command, reason }
}

/// Why allograft does not work on the program even if there is something to take over.
fn obstacle(report: &CheckReport) -> Option<String> {
    if let Some(guard) = report.anti_cheats.first() {
        return Some(format!("{} guards this program: {}", guard.name, guard.why));
    }
    if !report.machine.is_taken_over() {
        return Some(format!(
            "it is made for {}, and the takeover works in x86 and x86-64 programs only so far",
            report.machine
        ));
    }
    report.allocators.first().map(|allocator| {
        format!("it imports {allocator}, which brings an allocator of its own: two replacements do not go together")
    })
}

/// How the program comes to a C runtime that allograft takes over.
fn something_to_take_over(
    own: &[&'static Crt],
    neighbours: &[Neighbour],
    crts: &[CrtUse],
) -> Option<String> {
    let takes_over = |crts: &[&'static Crt]| crts.iter().any(|crt| crt.taken_over);
    let runtime = crts.iter().find(|usage| usage.crt.taken_over && !usage.used_by.is_empty());
    let runtime = runtime.map_or("a C runtime", |usage| usage.crt.file);
    if takes_over(own) {
        return Some(format!("it imports {runtime}, whose heap allograft takes over"));
    }
    let mut users = neighbours.iter().filter(|dll| takes_over(&dll.crt_imports));
    if let Some(dll) = users.clone().find(|dll| dll.is_imported) {
        return Some(format!("it imports {}, which uses {runtime}", dll.name));
    }
    // That vcruntime140.dll lies in a folder says nothing about the program.
    let dll = users.find(|dll| !is_runtime_file(&dll.name))?;
    Some(format!(
        "it imports no C runtime itself, but {} beside it, which it may load, uses {runtime}",
        dll.name
    ))
}

fn why_nothing_to_take_over(
    image: &Image<'_>,
    crts: &[CrtUse],
    static_runtime: Option<StaticRuntime>,
) -> String {
    if dotnet(image) == Some(Dotnet::Pure) {
        return "it holds .NET code only, whose memory .NET manages itself".to_owned();
    }
    if let Some(packer) = packer_of(image.headers()) {
        return format!("it is packed with {packer}, which hides what it imports: unpack it first");
    }
    if let Some(CrtUse { crt, .. }) = crts.iter().find(|usage| !usage.used_by.is_empty()) {
        return format!(
            "its C runtime is {} ({}), which allograft does not take over yet",
            crt.file, crt.origin
        );
    }
    match static_runtime {
        Some(guess @ (StaticRuntime::VisualC | StaticRuntime::Unknown)) => {
            format!("it links its C runtime statically ({})", guess.words())
        }
        Some(guess) => format!("neither it nor a DLL beside it imports a C runtime: {}", guess.words()),
        None => "it links its C runtime statically, or has none: neither it nor a DLL beside it imports one".to_owned(),
    }
}

fn quoted(path: &str) -> String {
    if path.contains(char::is_whitespace) { format!("\"{path}\"") } else { path.to_owned() }
}
