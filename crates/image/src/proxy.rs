//! Makes proxies: DLLs that stand in for one of the system's, load a module, and forward every
//! call.
//!
//! A program that imports `version.dll` gets the one in its own folder, if there is one. A proxy is
//! such a file. When it is loaded, it loads allograft's module from its own folder. Each of its
//! exports jumps to the export of the same name (or ordinal, if it has no name) of the DLL with the
//! proxy's name in the system's folder.
//!
//! An export table can forward names, but only to a module by its name, which would be the proxy
//! again. So each export is a jump through a slot. At first the slots lead to code that loads the
//! system's DLL, fills all slots and continues with the function that was called. It preserves the
//! registers, so a function may have any signature. This happens at the first call and not when the
//! proxy is loaded: then the loader holds its lock, and should load no more than it must.

mod known;
mod link;
mod machine;

pub use known::{known_exports, known_names};
pub use link::is_proxy;

use crate::imports::check_module_name;
use crate::{Error, Export, Machine, Result};
use machine::ProxyMachine;

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
    check_module_name(name)?;
    check_module_name(module)?;
    if exports.is_empty() {
        return Err(Error::NoExports);
    }
    if let Some(variable) = exports.iter().find(|export| !export.is_code) {
        let ordinal = || format!("ordinal {}", variable.ordinal);
        return Err(Error::Variable(variable.name.clone().unwrap_or_else(ordinal)));
    }
    link::link(machine, name, module, exports)
}
