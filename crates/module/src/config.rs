//! What the user asks for: by a launcher's options first, then by the environment, then by
//! `allograft.ini`.

use windows_sys::Win32::System::Environment::GetEnvironmentVariableW;
use windows_sys::core::{PCWSTR, w};

use allograft_inject::OptionValues;

use crate::ini;
use crate::text::{copy_wide, until_nul};

/// Longest path that is taken from the environment or the file, in UTF-16 units.
const PATH_UNITS: usize = 2048;

/// What was asked for.
#[derive(Clone)]
pub(crate) struct Config {
    log: [u16; PATH_UNITS],
    report: [u16; PATH_UNITS],
    /// Load, and take nothing over.
    pub(crate) disabled: bool,
    /// Say on standard error what happens.
    pub(crate) verbose: bool,
    /// Count the blocks of the old heap.
    pub(crate) count: bool,
    /// Give the module to the programs that the program starts.
    pub(crate) follow: bool,
    /// Point import tables straight at mimalloc.
    pub(crate) imports: bool,
}

impl Config {
    /// Nothing was asked for.
    pub(crate) const fn nothing() -> Config {
        Config {
            log: [0; PATH_UNITS],
            report: [0; PATH_UNITS],
            disabled: false,
            verbose: false,
            count: false,
            follow: false,
            imports: true,
        }
    }

    /// Reads it all.
    pub(crate) fn read(options: Option<OptionValues<'_>>) -> Config {
        let options = options.unwrap_or_default();
        let mut config = Config {
            log: [0; PATH_UNITS],
            report: [0; PATH_UNITS],
            disabled: flag(w!("MIMALLOC_DISABLE_REDIRECT"), "mimalloc", "disable_redirect")
                || options.disable,
            verbose: flag(w!("MIMALLOC_VERBOSE"), "mimalloc", "verbose"),
            count: flag(w!("ALLOGRAFT_COUNT"), "allograft", "count") || options.count,
            follow: flag(w!("ALLOGRAFT_FOLLOW_CHILDREN"), "allograft", "follow_children")
                || options.follow,
            imports: flag_or(true, w!("ALLOGRAFT_IMPORTS"), "allograft", "imports"),
        };
        let from_launcher = |path: &[u16], to: &mut [u16]| {
            copy_wide(path, to);
            to[0] != 0
        };
        if !from_launcher(options.log, &mut config.log) {
            text(w!("ALLOGRAFT_LOG"), "allograft", "log", &mut config.log);
        }
        if !from_launcher(options.report, &mut config.report) {
            text(w!("ALLOGRAFT_REPORT"), "allograft", "report", &mut config.report);
        }
        config
    }

    /// Path of the log, NUL-terminated.
    pub(crate) fn log(&self) -> Option<&[u16]> {
        with_nul(&self.log)
    }

    /// Path of the report, NUL-terminated.
    pub(crate) fn report(&self) -> Option<&[u16]> {
        with_nul(&self.report)
    }
}

fn with_nul(path: &[u16]) -> Option<&[u16]> {
    let length = until_nul(path).len();
    (length > 0).then(|| &path[..=length])
}

/// A variable of the environment, or else a line of the file.
fn text(variable: PCWSTR, section: &str, key: &str, value: &mut [u16]) -> usize {
    // SAFETY: the name is NUL-terminated, the buffer as long.
    let length =
        unsafe { GetEnvironmentVariableW(variable, value.as_mut_ptr(), value.len() as u32) }
            as usize;
    if length != 0 && length < value.len() {
        return length;
    }
    value[0] = 0;
    ini::read(section, key, value)
}

/// A switch that is off if nothing is said.
fn flag(variable: PCWSTR, section: &str, key: &str) -> bool {
    flag_or(false, variable, section, key)
}

/// A switch: on for what mimalloc takes as on, `default` if nothing is said.
fn flag_or(default: bool, variable: PCWSTR, section: &str, key: &str) -> bool {
    let mut value = [0u16; 16];
    let length = text(variable, section, key, &mut value);
    let is = |word: &str| {
        value[..length].iter().map(|&unit| (unit as u8).to_ascii_uppercase()).eq(word.bytes())
    };
    match length {
        0 => default,
        _ => !["0", "FALSE", "NO", "OFF"].into_iter().any(is),
    }
}
