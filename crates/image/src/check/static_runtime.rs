//! What a program that imports no C runtime seems to have in it instead.

use crate::{Image, ImportedFunction, Result};
use memchr::memmem;
use serde::Serialize;

/// A guess, from strings that runtimes leave in the programs they are linked into.
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
    /// The guess in words, of which those for a C runtime go into brackets.
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

/// Strings that give a runtime away, the more telling ones first.
const MARKS: [(&[u8], StaticRuntime); 6] = [
    (b"\xff Go buildinf:", StaticRuntime::Go),
    (b"Go build ID: \"", StaticRuntime::Go),
    (b"SOFTWARE\\Embarcadero\\", StaticRuntime::Delphi),
    (b"SOFTWARE\\Borland\\Delphi", StaticRuntime::Delphi),
    (b"FPC 3.", StaticRuntime::FreePascal),
    (b"/rustc/", StaticRuntime::Rust),
];

/// Makes the guess for `image`, which imports no C runtime.
pub(super) fn find(image: &Image<'_>) -> Result<Option<StaticRuntime>> {
    let data = image.data();
    if holds_visual_c(data) {
        return Ok(Some(StaticRuntime::VisualC));
    }
    let marked = MARKS.iter().find(|(mark, _)| memmem::find(data, mark).is_some());
    if let Some(&(_, runtime)) = marked {
        return Ok(Some(runtime));
    }
    Ok(has_the_imports_of_a_runtime(image)?.then_some(StaticRuntime::Unknown))
}

/// Visual C++'s static runtime asks .NET, by name, to end a process that .NET code runs in.
fn holds_visual_c(data: &[u8]) -> bool {
    let wide: Vec<u8> = "mscoree.dll".encode_utf16().flat_map(u16::to_le_bytes).collect();
    memmem::find(data, b"CorExitProcess\0").is_some() && memmem::find(data, &wide).is_some()
}

fn has_the_imports_of_a_runtime(image: &Image<'_>) -> Result<bool> {
    const FUNCTIONS: [&[u8]; 4] = [b"HeapAlloc", b"HeapFree", b"GetStringTypeW", b"LCMapStringW"];
    let mut missing = FUNCTIONS.to_vec();
    for module in image.imports()? {
        for function in image.functions(&module)? {
            if let ImportedFunction::Name(name) = function {
                missing.retain(|wanted| *wanted != name);
            }
        }
    }
    Ok(missing.is_empty())
}
