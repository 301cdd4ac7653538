//! The machines that proxies are made for, and what differs between them besides the code.

use crate::{Error, Machine, Result};
use object::pe;

/// A machine that proxies are made for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    X86,
    X64,
}

impl Target {
    /// # Errors
    ///
    /// [`Error::ProxyMachine`] for a machine that none are made for.
    pub fn of(machine: Machine) -> Result<Target> {
        match machine {
            Machine::X86 => Ok(Target::X86),
            Machine::X64 => Ok(Target::X64),
            other => Err(Error::ProxyMachine(other)),
        }
    }

    /// Bytes of an address.
    pub fn pointer(self) -> u32 {
        match self {
            Target::X86 => 4,
            Target::X64 => 8,
        }
    }

    /// Where the image would lie if the loader did not move it.
    pub fn image_base(self) -> u64 {
        match self {
            Target::X86 => 0x1000_0000,
            Target::X64 => 0x1_8000_0000,
        }
    }

    /// The kind of relocation that changes a whole address.
    pub fn relocation(self) -> u16 {
        match self {
            Target::X86 => pe::IMAGE_REL_BASED_HIGHLOW.0,
            Target::X64 => pe::IMAGE_REL_BASED_DIR64.0,
        }
    }

    /// The bytes of `number` as an address.
    pub fn address(self, number: u64) -> impl Iterator<Item = u8> {
        number.to_le_bytes().into_iter().take(self.pointer() as usize)
    }
}
