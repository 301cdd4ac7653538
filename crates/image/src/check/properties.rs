//! Properties of an image that the check reports: what matters to patching it or to loading a
//! module into it, and which runtime is linked into it statically.

use super::heap_use::HeapUse;
use crate::{Image, ImportedFunction, Result};
use memchr::memmem;
use object::LittleEndian as LE;
use object::pe;
use serde::Serialize;

/// A property that matters to patching the image or to loading a module into it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Mitigation {
    /// Its name, for programs.
    pub code: &'static str,
    /// Whether it rules out patching the image.
    pub forbids_patching: bool,
    /// What it means for allograft.
    pub meaning: &'static str,
}

/// The mitigations that can be seen in `image`.
pub fn mitigations(image: &Image<'_>) -> Result<Vec<Mitigation>> {
    let flags = pe::DllFlags(image.headers().dll_characteristics);
    let extended = extended_flags(image);
    let sets_policy = imports_all(image, &[b"SetProcessMitigationPolicy"])?;
    let walks_heaps = imports_all(image, &[b"HeapWalk"])?;
    let manifest = image.manifest().unwrap_or_default();
    let ui_access = ["uiAccess=\"true\"", "uiAccess='true'"];
    Ok([
        (flags.contains(pe::IMAGE_DLLCHARACTERISTICS_GUARD_CF), mitigation(
            "guard-cf",
            "control flow guard is on, which is no obstacle: redirected functions keep their addresses",
        )),
        (extended & CET_COMPAT != 0, mitigation(
            "shadow-stack",
            "hardware shadow stacks are supported, which is no obstacle: no return address is ever changed",
        )),
        (extended & CET_COMPAT_STRICT != 0, mitigation(
            "shadow-stack-strict",
            "shadow stacks are demanded strictly: Windows may refuse modules that are not marked for them",
        )),
        (flags.contains(pe::IMAGE_DLLCHARACTERISTICS_FORCE_INTEGRITY), against_patching(
            "force-integrity",
            "Windows loads it with a valid signature only: patching has to clear that flag along with the signature",
        )),
        (flags.contains(pe::IMAGE_DLLCHARACTERISTICS_APPCONTAINER), mitigation(
            "app-container",
            "it runs in an app container: the module must be readable by ALL APPLICATION PACKAGES",
        )),
        (sets_policy, mitigation(
            "sets-mitigation-policy",
            "it can set policies for itself while it runs (signed modules only, no dynamic code): load the module at the start, \
             before it does",
        )),
        (walks_heaps, mitigation(
            "walks-heaps",
            "it can list the blocks of a heap (HeapWalk): the blocks that mimalloc holds are not in such a list",
        )),
        (manifest.contains("requireAdministrator"), mitigation(
            "requires-administrator",
            "its manifest asks for administrator rights: start allograft with them, too",
        )),
        (ui_access.iter().any(|text| manifest.contains(text)), against_patching(
            "ui-access",
            "its manifest asks for access to other programs' windows, which Windows grants to signed programs only",
        )),
    ]
    .into_iter()
    .filter_map(|(applies, mitigation)| applies.then_some(mitigation))
    .collect())
}

fn mitigation(code: &'static str, meaning: &'static str) -> Mitigation {
    Mitigation { code, forbids_patching: false, meaning }
}

fn against_patching(code: &'static str, meaning: &'static str) -> Mitigation {
    Mitigation { code, forbids_patching: true, meaning }
}

// Bits of the extended characteristics, which have a debug directory entry of their own.
const CET_COMPAT: u32 = 1;
const CET_COMPAT_STRICT: u32 = 2;

fn extended_flags(image: &Image<'_>) -> u32 {
    image
        .debug_entries()
        .find(|entry| entry.typ.get(LE) == pe::IMAGE_DEBUG_TYPE_EX_DLLCHARACTERISTICS)
        .and_then(|entry| image.record_at::<object::U32<LE>>(entry.address_of_raw_data.get(LE)))
        .map_or(0, |flags| flags.get(LE))
}

/// Whether `image` imports every one of `functions`, from whichever modules.
fn imports_all(image: &Image<'_>, functions: &[&[u8]]) -> Result<bool> {
    let mut missing = functions.to_vec();
    for module in image.imports()? {
        for function in image.functions(&module)? {
            if let ImportedFunction::Name(name) = function {
                missing.retain(|wanted| *wanted != name);
            }
        }
    }
    Ok(missing.is_empty())
}

/// The runtime that is linked into a program: a guess from the strings that runtimes leave.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StaticRuntime {
    /// The Go runtime.
    Go,
    /// Rust's standard library, without a C runtime.
    Rust,
    /// Delphi's or C++Builder's.
    Delphi,
    /// Free Pascal's.
    FreePascal,
    /// Visual C++'s C runtime.
    VisualC,
    /// Some C runtime: it uses the process heap and the locale functions that C runtimes are built
    /// on.
    Unknown,
}

impl StaticRuntime {
    /// The guess in words. For a C runtime it goes in brackets.
    pub fn words(self) -> &'static str {
        match self {
            StaticRuntime::Go => "it looks like a Go program: Go brings its own memory manager",
            StaticRuntime::Rust => {
                "it looks like a Rust program, which takes its memory from Windows without a C runtime DLL"
            }
            StaticRuntime::Delphi => {
                "it looks like a Delphi or C++Builder program, which brings its own memory manager"
            }
            StaticRuntime::FreePascal => {
                "it looks like a Free Pascal program, which brings its own memory manager"
            }
            StaticRuntime::VisualC => "by the look of it Visual C++'s, /MT",
            StaticRuntime::Unknown => "by the look of what it imports",
        }
    }
}

/// Strings that runtimes leave; the more specific ones come first.
const MARKS: [(&[u8], StaticRuntime); 5] = [
    (b"\xff Go buildinf:", StaticRuntime::Go),
    (b"Go build ID: \"", StaticRuntime::Go),
    (b"SOFTWARE\\Embarcadero\\", StaticRuntime::Delphi),
    (b"SOFTWARE\\Borland\\Delphi", StaticRuntime::Delphi),
    (b"FPC 3.", StaticRuntime::FreePascal),
];

/// Makes the guess for `image`, which imports no C runtime and uses the heap API as `heap` says.
pub fn static_runtime(image: &Image<'_>, heap: &HeapUse) -> Result<Option<StaticRuntime>> {
    let data = image.data();
    if heap.linked_runtime.is_some() || holds_visual_c(data) {
        return Ok(Some(StaticRuntime::VisualC));
    }
    let marked = MARKS.iter().find(|(mark, _)| memmem::find(data, mark).is_some());
    if let Some(&(_, runtime)) = marked {
        return Ok(Some(runtime));
    }
    if heap.rust.is_some() {
        return Ok(Some(StaticRuntime::Rust));
    }
    let functions: [&[u8]; 4] = [b"HeapAlloc", b"HeapFree", b"GetStringTypeW", b"LCMapStringW"];
    Ok(imports_all(image, &functions)?.then_some(StaticRuntime::Unknown))
}

/// Visual C++'s static runtime asks .NET, by name, to end a process that .NET code runs in.
fn holds_visual_c(data: &[u8]) -> bool {
    let wide: Vec<u8> = "mscoree.dll".encode_utf16().flat_map(u16::to_le_bytes).collect();
    memmem::find(data, b"CorExitProcess\0").is_some() && memmem::find(data, &wide).is_some()
}
