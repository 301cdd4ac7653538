//! The processors that images are made for.

use object::pe;
use serde::{Serialize, Serializer};
use std::fmt;

/// The processor an image is made for, as its file header says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Machine {
    /// 32-bit x86.
    X86,
    /// x86-64, which includes ARM64EC: such images call themselves x86-64.
    X64,
    /// 64-bit ARM.
    Arm64,
    /// Any other, with its number in the file header.
    Other(u16),
}

impl Machine {
    /// The machine with this number in the file header.
    pub fn from_number(number: u16) -> Machine {
        match number {
            n if n == pe::IMAGE_FILE_MACHINE_I386.0 => Machine::X86,
            n if n == pe::IMAGE_FILE_MACHINE_AMD64.0 => Machine::X64,
            n if n == pe::IMAGE_FILE_MACHINE_ARM64.0 => Machine::Arm64,
            other => Machine::Other(other),
        }
    }

    /// The file name of allograft's module for this machine, if there is to be one.
    pub fn module_name(self) -> Option<&'static str> {
        match self {
            Machine::X86 => Some("allograft32.dll"),
            Machine::X64 => Some("allograft.dll"),
            Machine::Arm64 => Some("allograft-arm64.dll"),
            Machine::Other(_) => None,
        }
    }

    /// Whether the takeover itself works on this machine today. Import tables can be rewritten for
    /// all of them.
    pub fn is_taken_over(self) -> bool {
        matches!(self, Machine::X86 | Machine::X64)
    }

    /// Whether the machine's images have the 64-bit form of the optional header; `None` where we
    /// cannot tell.
    pub(crate) fn is_64(self) -> Option<bool> {
        match self {
            Machine::X86 => Some(false),
            Machine::X64 | Machine::Arm64 => Some(true),
            Machine::Other(_) => None,
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Machine::X86 => f.write_str("x86"),
            Machine::X64 => f.write_str("x86-64"),
            Machine::Arm64 => f.write_str("ARM64"),
            Machine::Other(number) => write!(f, "machine {number:#06x}"),
        }
    }
}

impl Serialize for Machine {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
