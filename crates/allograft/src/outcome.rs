//! The result of a takeover.

use std::fmt;

/// A takeover that succeeded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Installation {
    /// The C runtimes, in the order in which they were taken over; none if none is loaded yet.
    pub runtimes: Vec<TakenRuntime>,
    /// Whether allocations from the process's heap come from mimalloc: those of C and C++ code by
    /// `HeapAlloc`, and those of Rust code that is on [`std::alloc::System`].
    pub process_heap: bool,
    /// Other threads that were suspended for it.
    pub threads_suspended: u32,
}

/// A C runtime that was taken over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TakenRuntime {
    /// Its file name, such as `ucrtbase.dll`.
    pub name: String,
    /// Its file version, most significant part first; all zero if it states none.
    pub version: [u16; 4],
    /// How many of its functions lead to mimalloc.
    pub functions: u32,
}

/// Why nothing was taken over.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Error {
    /// The program is not for Windows on x86 or x86-64.
    NotSupported,
    /// The environment or `allograft.ini` disables the takeover (`MIMALLOC_DISABLE_REDIRECT`).
    Disabled,
    /// allograft's module is in the process already, loaded by a launcher or by another part of the
    /// program.
    AlreadyTakenOver,
    /// The takeover failed, for the reason in this text.
    Failed(String),
}

impl fmt::Display for Installation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.runtimes.is_empty() && !self.process_heap {
            return f.write_str("no C runtime is loaded yet: the first one will be taken over");
        }
        f.write_str("took over ")?;
        for (index, runtime) in self.runtimes.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            let TakenRuntime { name, functions, .. } = runtime;
            write!(f, "{separator}{functions} functions of {name}")?;
        }
        match (self.process_heap, self.runtimes.is_empty()) {
            (true, true) => f.write_str("the process's heap"),
            (true, false) => f.write_str(", and the process's heap"),
            (false, _) => Ok(()),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotSupported => f.write_str(
                "C runtimes are taken over on Windows only, in programs for x86 and x86-64",
            ),
            Error::Disabled => f.write_str("disabled by MIMALLOC_DISABLE_REDIRECT"),
            Error::AlreadyTakenOver => {
                f.write_str("another copy of allograft's module is in the process already")
            }
            Error::Failed(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_names_every_runtime_with_its_functions_and_the_heap() {
        let runtime = |name: &str, functions| TakenRuntime {
            name: name.to_owned(),
            version: [10, 0, 1, 2],
            functions,
        };
        let mut installed = Installation {
            runtimes: vec![runtime("ucrtbase.dll", 40), runtime("msvcrt.dll", 18)],
            process_heap: false,
            threads_suspended: 0,
        };
        assert_eq!(
            installed.to_string(),
            "took over 40 functions of ucrtbase.dll, 18 functions of msvcrt.dll"
        );
        installed.process_heap = true;
        assert!(installed.to_string().ends_with("msvcrt.dll, and the process's heap"));
        installed.runtimes.clear();
        assert_eq!(installed.to_string(), "took over the process's heap");
        installed.process_heap = false;
        assert!(installed.to_string().starts_with("no C runtime is loaded yet"));
    }
}
