//! Which module to load, and what to tell it.

use crate::args::ModuleArgs;
use crate::diagnosis;
use crate::error::Error;
use crate::windows::wide;
use allograft_image::Machine;
use allograft_inject::{FILE_PATH_UNITS, HeapScope, OptionValues};
use std::path::{Path, PathBuf, absolute};

/// What the user asks for, with paths that exist and mean the same in every process.
#[derive(Debug)]
pub struct Request {
    /// The module that the user names, and the machine that it is made for.
    module: Option<(PathBuf, Machine)>,
    /// NUL-terminated; a lone NUL for none.
    log: Vec<u16>,
    /// NUL-terminated; a lone NUL for none.
    report: Vec<u16>,
    count: bool,
    follow: bool,
    heap: HeapScope,
    exact_sizes: bool,
    check_frees: bool,
}

impl Request {
    pub fn resolve(args: &ModuleArgs) -> Result<Request, Error> {
        Ok(Request {
            module: args.module.as_deref().map(|path| module_at(full_path(path)?)).transpose()?,
            log: option("the log file", args.log.as_deref())?,
            report: option("the report file", args.report.as_deref())?,
            count: args.count,
            follow: args.follow_children,
            heap: args.heap.heap.unwrap_or_default(),
            exact_sizes: args.heap.exact_sizes,
            check_frees: args.check_frees,
        })
    }

    pub fn options(&self) -> OptionValues<'_> {
        OptionValues {
            disable: false,
            count: self.count,
            follow: self.follow,
            heap: self.heap,
            exact_sizes: self.exact_sizes,
            log: &self.log,
            report: &self.report,
        }
    }

    /// The path of the module for a program of `machine`: what the user names, or the one of that
    /// machine beside this program.
    pub fn module_for(&self, machine: Machine) -> Result<PathBuf, Error> {
        let (path, made_for) = match &self.module {
            Some(module) => module.clone(),
            None => {
                let name = match self.check_frees {
                    true => machine.checking_module_name(),
                    false => machine.module_name(),
                };
                let name = name.expect("a program for which there is no module is refused before");
                module_at(beside_this_program(name)?)?
            }
        };
        if made_for != machine {
            let reason = format!("it is made for {made_for}, and the program for {machine}");
            return Err(cannot_be_loaded(&path, &reason));
        }
        Ok(path)
    }
}

/// The module at `path`, and the machine that it is made for.
fn module_at(path: PathBuf) -> Result<(PathBuf, Machine), Error> {
    if !path.is_file() {
        return Err(Error::new(format!(
            "no module at {}: put it there, or name another with --module",
            path.display()
        )));
    }
    match diagnosis::machine_of_module(allograft_image::summary(&path)) {
        Ok(machine) => Ok((path, machine)),
        Err(reason) => Err(cannot_be_loaded(&path, &reason)),
    }
}

fn cannot_be_loaded(path: &Path, reason: &str) -> Error {
    Error::new(format!("{} cannot be loaded: {reason}", path.display()))
}

/// The path of the file `name` in the folder of this program.
pub fn beside_this_program(name: &str) -> Result<PathBuf, Error> {
    let program = std::env::current_exe()
        .map_err(|source| Error::system("find the folder of this program", source))?;
    Ok(program.with_file_name(name))
}

/// A path option as the module reads it: absolute, because the program may have another current
/// folder.
fn option(what: &'static str, path: Option<&Path>) -> Result<Vec<u16>, Error> {
    let Some(path) = path else {
        return Ok(vec![0]);
    };
    let units = wide(full_path(path)?.as_os_str());
    if units.len() > FILE_PATH_UNITS {
        return Err(Error::new(format!(
            "{what}: {} is longer than the {} characters that the module takes",
            path.display(),
            FILE_PATH_UNITS - 1
        )));
    }
    Ok(units)
}

fn full_path(path: &Path) -> Result<PathBuf, Error> {
    absolute(path).map_err(|source| {
        Error::system(format_args!("make sense of the path {}", path.display()), source)
    })
}
