//! Which module to load, and what to tell it.

use crate::args::ModuleArgs;
use crate::diagnosis;
use crate::error::Error;
use crate::windows::wide;
use allograft_status::PATH_UNITS;
use std::path::{Path, PathBuf, absolute};

/// The module's name where the user names none.
const DEFAULT_NAME: &str = "allograft.dll";

/// A module that exists, and its options, with paths that mean the same in every process.
#[derive(Debug)]
pub struct Request {
    /// The module's file.
    pub path: PathBuf,
    /// The log file, NUL-terminated; a lone NUL for none.
    pub log: Vec<u16>,
    /// The report file, likewise.
    pub report: Vec<u16>,
    /// Whether to count the blocks of the old heap.
    pub count: bool,
    /// Whether the programs that the program starts get the module too.
    pub follow: bool,
}

impl Request {
    /// Settles what the user asks for.
    ///
    /// # Errors
    ///
    /// If there is no such module, it cannot be loaded into a 64-bit process, or a path is too long.
    pub fn resolve(args: &ModuleArgs) -> Result<Request, Error> {
        let path = match &args.module {
            Some(path) => full_path(path)?,
            None => beside_this_program()?,
        };
        if !path.is_file() {
            return Err(Error::ModuleMissing { path });
        }
        if let Some(reason) = diagnosis::unfit_module(allograft_image::summary(&path)) {
            return Err(Error::ModuleUnfit { path, reason });
        }
        Ok(Request {
            path,
            log: option("the log file", args.log.as_deref())?,
            report: option("the report file", args.report.as_deref())?,
            count: args.count,
            follow: args.follow_children,
        })
    }
}

fn beside_this_program() -> Result<PathBuf, Error> {
    let program = std::env::current_exe().map_err(|source| Error::System {
        action: "find the folder of this program".to_owned(),
        source,
    })?;
    Ok(program.with_file_name(DEFAULT_NAME))
}

/// A path option as the module reads it: absolute, because the program may have another current folder.
fn option(what: &'static str, path: Option<&Path>) -> Result<Vec<u16>, Error> {
    let Some(path) = path else {
        return Ok(vec![0]);
    };
    let units = wide(full_path(path)?.as_os_str());
    if units.len() > PATH_UNITS {
        return Err(Error::PathTooLong {
            what,
            path: path.to_path_buf(),
        });
    }
    Ok(units)
}

fn full_path(path: &Path) -> Result<PathBuf, Error> {
    absolute(path).map_err(|source| Error::System {
        action: format!("make sense of the path {}", path.display()),
        source,
    })
}
