//! Copying the module from beside this program to where a program looks for it.

use crate::error::Error;
use std::fs;
use std::path::Path;

/// What became of the module in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModuleCopy {
    WasThere,
    Copied,
    /// It is not beside this program either.
    Missing,
}

/// Copies `module` from beside this program to `folder` if it is not there.
pub fn bring(module: &str, folder: &Path) -> Result<ModuleCopy, Error> {
    let there = folder.join(module);
    if there.exists() {
        return Ok(ModuleCopy::WasThere);
    }
    let own = std::env::current_exe().map(|program| program.with_file_name(module));
    let Some(own) = own.ok().filter(|own| own.is_file()) else {
        return Ok(ModuleCopy::Missing);
    };
    fs::copy(own, &there).map_err(|source| {
        Error::file(&there, format_args!("cannot copy the module there: {source}"))
    })?;
    Ok(ModuleCopy::Copied)
}
