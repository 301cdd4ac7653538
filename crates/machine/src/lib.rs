//! The processor types of Windows programs, and the names of allograft's files for each.
//!
//! The modules link this crate, so it has no dependencies: a feature that another crate enables
//! would bring `std` into them.

#![no_std]

use core::fmt;

/// The processor type that a program or DLL is made for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Machine {
    /// 32-bit x86.
    X86,
    /// x86-64. Images for ARM64EC count as this: their file headers say x86-64.
    X64,
    /// 64-bit ARM.
    Arm64,
    /// Any other, with its number in the file header.
    Other(u16),
}

impl Machine {
    /// The machine that this code is compiled for.
    pub const OWN: Machine = if cfg!(target_arch = "x86") {
        Machine::X86
    } else if cfg!(target_arch = "aarch64") {
        Machine::Arm64
    } else {
        Machine::X64
    };

    /// The machine with this number in the file header (`IMAGE_FILE_MACHINE_…`).
    pub const fn from_number(number: u16) -> Machine {
        match number {
            0x014C => Machine::X86,
            0x8664 => Machine::X64,
            0xAA64 => Machine::Arm64,
            other => Machine::Other(other),
        }
    }

    /// The file name of the module for programs of this machine, if there is to be one.
    pub const fn module_name(self) -> Option<&'static str> {
        match self {
            Machine::X86 => Some("allograft32.dll"),
            Machine::X64 => Some("allograft.dll"),
            Machine::Arm64 => Some("allograft-arm64.dll"),
            Machine::Other(_) => None,
        }
    }

    /// The file name of the module for programs of this machine that checks every free, if there is
    /// one.
    pub const fn checking_module_name(self) -> Option<&'static str> {
        match self {
            Machine::X86 => Some("allograft32-check.dll"),
            Machine::X64 => Some("allograft-check.dll"),
            Machine::Arm64 | Machine::Other(_) => None,
        }
    }

    /// The file name of the launcher that is itself a program of this machine, if there is one.
    pub const fn launcher_name(self) -> Option<&'static str> {
        match self {
            Machine::X86 => Some("allograft32.exe"),
            Machine::X64 => Some("allograft.exe"),
            Machine::Arm64 | Machine::Other(_) => None,
        }
    }

    /// Whether there is a module for this machine today. Import tables can be rewritten for all.
    pub const fn is_taken_over(self) -> bool {
        matches!(self, Machine::X86 | Machine::X64)
    }

    /// Whether pointers have 64 bits; `None` where that is not known.
    pub const fn is_64(self) -> Option<bool> {
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
