//! Making DLLs that stand in for one of the system's: they load a module, and pass every call on.
//!
//! A program that imports `version.dll` is given the one in its own folder, if there is one there.
//! A proxy is such a file: when it is loaded it loads allograft's module from its own folder, and
//! each of its exports leads to the export of that name (or ordinal, for those that have no name)
//! of the DLL of the proxy's own name in the system's folder.
//!
//! An export table can pass names on by itself, but only to a module by its name, which here would
//! be the proxy again. So each export is a jump through a slot. The slots lead to code that loads
//! the system's DLL, fills them all, and goes on to where the call was meant to go; it leaves the
//! registers of the call as they were, so a function may have any signature. This happens at the
//! first call and not when the proxy is loaded, because loading a DLL while the loader is loading
//! another is asking for trouble.

mod known;
mod link;
mod machine;

pub use known::{known_exports, known_names};

use crate::{Error, Export, Machine, Result};
use machine::ProxyMachine;

/// What follows the DOS header of every proxy, for people who look into the file and for
/// [`is_proxy`].
const MARKER: &[u8] =
    b"A proxy made by allograft: it loads a module of allograft and passes every call on to the system's DLL.\r\n\0";

/// Longest name of a DLL, in characters.
const MAX_NAME: usize = 255;

/// Whether the file with these bytes is a proxy that [`build_proxy`] has made.
pub fn is_proxy(bytes: &[u8]) -> bool {
    bytes.starts_with(b"MZ")
        && bytes
            .get(size_of::<object::pe::ImageDosHeader>()..)
            .is_some_and(|rest| rest.starts_with(MARKER))
}

/// Makes a proxy for programs of `machine`: a DLL that loads `module` from its own folder and
/// passes `exports` on to the system's DLL called `name`.
///
/// The same arguments make the same bytes.
///
/// # Errors
///
/// [`Error::ProxyMachine`] if proxies are not made for the machine, [`Error::ModuleName`] if `name`
/// or `module` is no file name, [`Error::Variable`] if an export is a variable, which cannot be
/// passed on, and [`Error::NoExports`] if there are none.
pub fn build_proxy(
    machine: Machine,
    name: &str,
    module: &str,
    exports: &[Export],
) -> Result<Vec<u8>> {
    let machine = ProxyMachine::new(machine)?;
    for file in [name, module] {
        let is_name = !file.is_empty()
            && file.len() <= MAX_NAME
            && file.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
            && !file.contains(['\\', '/', ':']);
        if !is_name {
            return Err(Error::ModuleName(file.to_owned()));
        }
    }
    if exports.is_empty() {
        return Err(Error::NoExports);
    }
    if let Some(variable) = exports.iter().find(|export| !export.is_code) {
        let ordinal = || format!("ordinal {}", variable.ordinal);
        return Err(Error::Variable(variable.name.clone().unwrap_or_else(ordinal)));
    }
    link::link(machine, name, module, exports)
}
