//! Which machine a proxy is made for.

use super::{ProxyArgs, refused};
use crate::error::Error;
use allograft_image::{Machine, summary};
use clap::ValueEnum;
use std::fs;
use std::path::Path;

/// The machines that a user can choose from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Choice {
    /// 32-bit programs
    X86,
    /// 64-bit programs
    #[value(name = "x86-64")]
    X64,
}

/// The machine that the user chooses, or else the one of the DLL to read, or else that of the
/// programs in the folder, or else x86-64.
///
/// # Errors
///
/// If the programs in the folder are not all of one machine, or the DLL to read is no image.
pub fn of(args: &ProxyArgs) -> Result<Machine, Error> {
    if let Some(choice) = args.machine {
        return Ok(match choice {
            Choice::X86 => Machine::X86,
            Choice::X64 => Machine::X64,
        });
    }
    if let Some(from) = &args.from {
        return match summary(from) {
            Ok(image) => Ok(image.machine),
            Err(error) => Err(refused(from, error)),
        };
    }
    let machines = machines_in(&args.into);
    match machines[..] {
        [] => Ok(Machine::X64),
        [first, ..] if machines.iter().all(|&machine| machine == first) => Ok(first),
        _ => Err(refused(
            &args.into,
            "the programs in it are not all of one word size: say with --machine which ones the proxy is for",
        )),
    }
}

/// The machines of the programs in `folder` that proxies can be made for.
fn machines_in(folder: &Path) -> Vec<Machine> {
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| summary(&entry.path()).ok())
        .filter(|image| !image.is_dll)
        .map(|image| image.machine)
        .filter(|machine| matches!(machine, Machine::X86 | Machine::X64))
        .collect()
}
