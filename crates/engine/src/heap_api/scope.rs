//! Which modules' allocations mimalloc serves.

use crate::module::Module;
use crate::{is_debug_runtime, is_runtime};

/// Whose calls of `HeapAlloc` on the process's heap mimalloc is to serve.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum HeapScope {
    /// The program's image, if it imports `HeapAlloc` or `RtlAllocateHeap`: it has a C runtime
    /// linked in, or is written against the heap API, as Rust programs are.
    #[default]
    Automatic,
    /// The program's image.
    Program,
    /// All modules that are not the system's.
    All,
}

/// Whose allocations are served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ServedModules {
    /// Nobody's: only blocks of the C runtimes that are taken over come to the heap API.
    None,
    /// Those of the program's image.
    Program,
    /// Those of all modules that are not the system's.
    All,
}

/// What tells modules apart.
#[derive(Clone, Copy)]
pub(crate) struct Landmarks {
    program: usize,
    own: usize,
    mimalloc: usize,
    system_folder: [u16; 260],
    folder_length: usize,
}

impl Landmarks {
    /// The bases of the program's image, of the image that this code is in, which may be the same,
    /// and of mimalloc's where it has one of its own; and the path of the Windows folder.
    pub(crate) fn new(
        program: usize,
        own: usize,
        mimalloc: usize,
        system_folder: &[u16],
    ) -> Landmarks {
        let system = [0; 260];
        let mut landmarks =
            Landmarks { program, own, mimalloc, system_folder: system, folder_length: 0 };
        if let Some(place) = landmarks.system_folder.get_mut(..system_folder.len()) {
            place.copy_from_slice(system_folder);
            landmarks.folder_length = system_folder.len();
        }
        landmarks
    }

    fn is_systems(&self, module: &Module) -> bool {
        is_below(module.path(), &self.system_folder[..self.folder_length])
    }
}

impl ServedModules {
    /// Whether the allocations of `module` are served. C runtimes that are DLLs never are: they
    /// are taken over by their own functions, or left alone. Neither is the mimalloc that serves,
    /// nor another `mimalloc.dll`.
    pub(crate) fn include(self, module: &Module, landmarks: &Landmarks) -> bool {
        if module.base() == landmarks.program {
            return self != ServedModules::None;
        }
        self == ServedModules::All
            && ![landmarks.own, landmarks.mimalloc].contains(&module.base())
            && !is_runtime(module)
            && !is_debug_runtime(module)
            && !module.name_is("mimalloc.dll")
            && !landmarks.is_systems(module)
    }
}

/// Whether `path` lies in `folder` or in a folder below it. ASCII letters are compared without
/// case.
fn is_below(path: &[u16], folder: &[u16]) -> bool {
    const BACKSLASH: u16 = b'\\' as u16;
    /// `\\?\` and `\??\`, which mean the path behind them.
    const PREFIXES: [&[u8; 4]; 2] = [br"\\?\", br"\??\"];

    let lower = |unit: &u16| match *unit {
        0x41..=0x5A => unit + 0x20,
        0x2F => BACKSLASH,
        unit => unit,
    };
    let is_prefixed = |prefix: &&[u8; 4]| {
        path.len() > prefix.len() && path.iter().zip(**prefix).all(|(&a, b)| a == u16::from(b))
    };
    let path = if PREFIXES.iter().any(is_prefixed) { &path[4..] } else { path };
    let folder = folder.strip_suffix(&[BACKSLASH]).unwrap_or(folder);
    let in_folder = path.len() > folder.len()
        && path.iter().zip(folder).all(|(a, b)| lower(a) == lower(b))
        && lower(&path[folder.len()]) == BACKSLASH;
    in_folder && !folder.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wide(text: &str) -> Vec<u16> {
        text.encode_utf16().collect()
    }

    fn module(base: usize, path: &str) -> Module {
        let path: &'static [u16] = wide(path).leak();
        let start = path.iter().rposition(|&unit| unit == 0x5C).map_or(0, |at| at + 1);
        // SAFETY: no memory of the module is accessed.
        unsafe { Module::new(base, 0x1000, &path[start..], path) }
    }

    #[test]
    fn the_system_is_what_lies_below_the_windows_folder() {
        let folder = wide(r"C:\Windows");
        for (path, below) in [
            (r"C:\Windows\System32\ole32.dll", true),
            (r"c:\WINDOWS\WinSxS\x\comctl32.dll", true),
            (r"\\?\C:\Windows\explorer.exe", true),
            (r"C:\Windows.old\a.dll", false),
            (r"C:\Windows", false),
            (r"D:\Windows\a.dll", false),
            (r"C:\Program Files\a.dll", false),
            ("", false),
        ] {
            assert_eq!(is_below(&wide(path), &folder), below, "{path}");
        }
        assert!(is_below(&wide(r"C:\Windows\a.dll"), &wide(r"C:\Windows\")));
        assert!(!is_below(&wide(r"C:\a.dll"), &[]), "the folder is unknown");
    }

    #[test]
    fn the_scope_decides_whose_allocations_are_served() {
        let folder = wide(r"C:\Windows");
        let landmarks = &Landmarks::new(0x10_0000, 0x20_0000, 0x80_0000, &folder);
        let all = ServedModules::All;
        for (module, program_only, everybody) in [
            (module(0x10_0000, r"C:\game\game.exe"), true, true),
            (module(0x20_0000, r"C:\tools\allograft.dll"), false, false),
            (module(0x30_0000, r"C:\game\engine.dll"), false, true),
            (module(0x40_0000, r"C:\Windows\System32\ole32.dll"), false, false),
            (module(0x50_0000, r"C:\game\ucrtbase.dll"), false, false),
            (module(0x60_0000, r"C:\game\msvcr120d.dll"), false, false),
            (module(0x70_0000, r"C:\game\mimalloc.dll"), false, false),
            (module(0x80_0000, r"C:\game\mimalloc-secure.dll"), false, false),
        ] {
            assert_eq!(ServedModules::Program.include(&module, landmarks), program_only);
            assert_eq!(all.include(&module, landmarks), everybody, "{:#x}", module.base());
            assert!(!ServedModules::None.include(&module, landmarks));
        }
        // A program of the system's is still the program.
        let notepad = module(0x10_0000, r"C:\Windows\notepad.exe");
        assert!(ServedModules::Program.include(&notepad, landmarks));
        // The Rust crate is a part of the program.
        let linked = &Landmarks::new(0x10_0000, 0x10_0000, 0, &folder);
        assert!(ServedModules::Program.include(&module(0x10_0000, r"C:\a.exe"), linked));
    }
}
