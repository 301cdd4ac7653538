//! What became of a takeover.

use std::fmt;

/// What was taken over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// The C runtimes, in the order in which they were taken over; none if none is loaded yet.
    pub runtimes: Vec<Runtime>,
    /// Other threads that were stopped for it.
    pub threads_stopped: u32,
}

/// A C runtime that was taken over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Runtime {
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
    /// This is not Windows, or not one of the targets that the takeover is made for.
    NotSupported,
    /// The environment or `allograft.ini` says that nothing is to be taken over
    /// (`MIMALLOC_DISABLE_REDIRECT`).
    Disabled,
    /// allograft's module is in the process already, loaded by a launcher or by another part of the
    /// program.
    AlreadyTakenOver,
    /// It was tried, and failed at what the text says.
    Failed(String),
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.runtimes.is_empty() {
            return f.write_str("no C runtime is loaded yet: the first one will be taken over");
        }
        f.write_str("took over ")?;
        for (index, runtime) in self.runtimes.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            let Runtime { name, functions, .. } = runtime;
            write!(f, "{separator}{functions} functions of {name}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotSupported => {
                f.write_str("C runtimes are taken over on Windows, in programs for the -gnu targets of Rust only")
            }
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
    fn a_report_names_every_runtime_with_its_functions() {
        let runtime = |name: &str, functions| Runtime {
            name: name.to_owned(),
            version: [10, 0, 1, 2],
            functions,
        };
        let mut report = Report {
            runtimes: vec![runtime("ucrtbase.dll", 40), runtime("msvcrt.dll", 18)],
            threads_stopped: 0,
        };
        assert_eq!(
            report.to_string(),
            "took over 40 functions of ucrtbase.dll, 18 functions of msvcrt.dll"
        );
        report.runtimes.clear();
        assert!(report.to_string().starts_with("no C runtime is loaded yet"));
    }
}
