//! The C runtimes that a program can import, and which of them allograft takes over.

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

/// A runtime that the engine takes over, unless it is a debug build.
const fn crt(file: &'static str, kind: CrtKind, origin: &'static str) -> Crt {
    Crt {
        file,
        kind,
        origin,
        taken_over: !matches!(kind, CrtKind::UniversalDebug | CrtKind::VersionedDebug),
    }
}

/// A runtime that only programs of the last century and Store programs use: the engine has no table
/// for it.
const fn left_alone(file: &'static str, kind: CrtKind, origin: &'static str) -> Crt {
    Crt { file, kind, origin, taken_over: false }
}

/// Every known C runtime. The first is the one that API sets lead to.
pub const RUNTIMES: [Crt; 19] = [
    crt("ucrtbase.dll", CrtKind::Universal, "Visual C++ 2015 and later"),
    crt("ucrtbased.dll", CrtKind::UniversalDebug, "Visual C++ 2015 and later, debug build"),
    crt("msvcrt.dll", CrtKind::System, "Windows itself, and MinGW"),
    crt("msvcr120.dll", CrtKind::Versioned, "Visual C++ 2013"),
    crt("msvcr110.dll", CrtKind::Versioned, "Visual C++ 2012"),
    crt("msvcr100.dll", CrtKind::Versioned, "Visual C++ 2010"),
    crt("msvcr90.dll", CrtKind::Versioned, "Visual C++ 2008"),
    crt("msvcr80.dll", CrtKind::Versioned, "Visual C++ 2005"),
    left_alone("msvcr71.dll", CrtKind::Versioned, "Visual C++ .NET 2003"),
    left_alone("msvcr70.dll", CrtKind::Versioned, "Visual C++ .NET 2002"),
    left_alone("msvcr120_app.dll", CrtKind::Versioned, "Visual C++ 2013, Store program"),
    left_alone("msvcr110_app.dll", CrtKind::Versioned, "Visual C++ 2012, Store program"),
    crt("msvcr120d.dll", CrtKind::VersionedDebug, "Visual C++ 2013, debug build"),
    crt("msvcr110d.dll", CrtKind::VersionedDebug, "Visual C++ 2012, debug build"),
    crt("msvcr100d.dll", CrtKind::VersionedDebug, "Visual C++ 2010, debug build"),
    crt("msvcr90d.dll", CrtKind::VersionedDebug, "Visual C++ 2008, debug build"),
    crt("msvcr80d.dll", CrtKind::VersionedDebug, "Visual C++ 2005, debug build"),
    crt("msvcrtd.dll", CrtKind::VersionedDebug, "Visual C++ 6, debug build"),
    left_alone("crtdll.dll", CrtKind::System, "the first versions of Windows NT"),
];

impl Crt {
    /// The C runtime that an import of the module `name` leads to, if it leads to one. Case does not
    /// matter.
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
    fn every_api_set_of_the_universal_crt_leads_to_ucrtbase() {
        for name in ["api-ms-win-crt-runtime-l1-1-0.dll", "Api-Ms-Win-Crt-Math-L1-1-0.DLL"] {
            let crt = Crt::from_module(name).unwrap();
            assert_eq!((crt.file, crt.taken_over), ("ucrtbase.dll", true));
        }
        assert!(Crt::from_module("api-ms-win-core-heap-l1-1-0.dll").is_none());
    }

    #[test]
    fn the_debug_runtime_is_recognised_and_not_taken_over() {
        let crt = Crt::from_module("UCRTBASED.dll").unwrap();
        assert_eq!((crt.kind, crt.taken_over), (CrtKind::UniversalDebug, false));
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
