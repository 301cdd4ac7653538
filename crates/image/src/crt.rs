//! The C runtimes that a program can import, and which of them allograft takes over.

use CrtKind::{System, Universal, UniversalDebug, Versioned, VersionedDebug};
use serde::Serialize;

/// The family a C runtime belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CrtKind {
    /// The Universal CRT, `ucrtbase.dll`.
    Universal,
    /// The Universal CRT's debug build, `ucrtbased.dll`.
    UniversalDebug,
    /// `msvcrt.dll`, a part of Windows.
    System,
    /// A runtime of one version of Visual C++ up to 2013.
    Versioned,
    /// The debug build of such a runtime.
    VersionedDebug,
}

/// One C runtime.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Crt {
    /// The file that holds its heap functions, in lower case.
    pub file: &'static str,
    /// The family it belongs to.
    pub kind: CrtKind,
    /// The compiler that programs with this runtime come from, in words.
    pub origin: &'static str,
    /// Whether allograft's engine takes its heap over today.
    pub taken_over: bool,
}

/// The loader forwards API sets whose names begin like this to the Universal CRT.
const UNIVERSAL_API_SETS: &str = "api-ms-win-crt-";

const fn crt(file: &'static str, kind: CrtKind, origin: &'static str, taken_over: bool) -> Crt {
    Crt { file, kind, origin, taken_over }
}

/// Every known C runtime. The first is the one that API sets lead to. The engine takes over no
/// debug builds, and has no tables for those of the last century and of Store programs.
const RUNTIMES: [Crt; 19] = [
    crt("ucrtbase.dll", Universal, "Visual C++ 2015 and later", true),
    crt("ucrtbased.dll", UniversalDebug, "Visual C++ 2015 and later, debug build", false),
    crt("msvcrt.dll", System, "Windows itself, and MinGW", true),
    crt("msvcr120.dll", Versioned, "Visual C++ 2013", true),
    crt("msvcr110.dll", Versioned, "Visual C++ 2012", true),
    crt("msvcr100.dll", Versioned, "Visual C++ 2010", true),
    crt("msvcr90.dll", Versioned, "Visual C++ 2008", true),
    crt("msvcr80.dll", Versioned, "Visual C++ 2005", true),
    crt("msvcr71.dll", Versioned, "Visual C++ .NET 2003", false),
    crt("msvcr70.dll", Versioned, "Visual C++ .NET 2002", false),
    crt("msvcr120_app.dll", Versioned, "Visual C++ 2013, Store program", false),
    crt("msvcr110_app.dll", Versioned, "Visual C++ 2012, Store program", false),
    crt("msvcr120d.dll", VersionedDebug, "Visual C++ 2013, debug build", false),
    crt("msvcr110d.dll", VersionedDebug, "Visual C++ 2012, debug build", false),
    crt("msvcr100d.dll", VersionedDebug, "Visual C++ 2010, debug build", false),
    crt("msvcr90d.dll", VersionedDebug, "Visual C++ 2008, debug build", false),
    crt("msvcr80d.dll", VersionedDebug, "Visual C++ 2005, debug build", false),
    crt("msvcrtd.dll", VersionedDebug, "Visual C++ 6, debug build", false),
    crt("crtdll.dll", System, "the first versions of Windows NT", false),
];

impl Crt {
    /// The C runtime that an import of the module `name` leads to, if it leads to one. Case does
    /// not matter.
    ///
    /// ```
    /// use allograft_image::crt::Crt;
    /// assert_eq!(Crt::from_module("API-MS-WIN-CRT-HEAP-L1-1-0.dll").unwrap().file, "ucrtbase.dll");
    /// assert!(Crt::from_module("kernel32.dll").is_none());
    /// ```
    pub fn from_module(name: &str) -> Option<&'static Crt> {
        let name = name.to_ascii_lowercase();
        if name.starts_with(UNIVERSAL_API_SETS) {
            return Some(&RUNTIMES[0]);
        }
        RUNTIMES.iter().find(|crt| crt.file == name)
    }
}

/// Whether the file `name` belongs to a compiler's runtime (the C runtime itself, the C++ library,
/// their support) rather than to the program that it lies beside.
pub fn is_runtime_file(name: &str) -> bool {
    const SUPPORT: [&str; 6] = ["vcruntime", "msvcp", "concrt", "vcomp", "vccorlib", "api-ms-win-"];
    let name = name.to_ascii_lowercase();
    Crt::from_module(&name).is_some() || SUPPORT.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn api_sets_lead_to_ucrtbase_and_only_the_release_build_is_taken_over() {
        for (name, expected) in [
            ("api-ms-win-crt-runtime-l1-1-0.dll", Some(("ucrtbase.dll", true))),
            ("Api-Ms-Win-Crt-Math-L1-1-0.DLL", Some(("ucrtbase.dll", true))),
            ("UCRTBASED.dll", Some(("ucrtbased.dll", false))),
            ("api-ms-win-core-heap-l1-1-0.dll", None),
        ] {
            let crt = Crt::from_module(name);
            assert_eq!(crt.map(|crt| (crt.file, crt.taken_over)), expected, "{name}");
        }
    }

    #[test]
    fn no_runtime_stands_in_the_table_twice() {
        for (index, crt) in RUNTIMES.iter().enumerate() {
            assert_eq!(crt.file, crt.file.to_ascii_lowercase());
            assert!(RUNTIMES[index + 1..].iter().all(|other| other.file != crt.file));
        }
    }

    #[test]
    fn a_program_s_own_dll_is_no_runtime_file() {
        assert!(is_runtime_file("VCRUNTIME140_1.dll"));
        assert!(!is_runtime_file("jvm.dll"));
    }
}
