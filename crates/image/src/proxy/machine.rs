//! What differs between proxies for different machines: the code, and a few fields of the headers.
//!
//! The code of a machine is an assembler's listing: the bytes of each instruction in the first
//! [`HEX_COLUMNS`] columns, its source behind them. `tests/real_images.rs` assembles the sources
//! and compares the bytes. The code needs no relocations: it finds everything at fixed distances
//! from its own end, where the section of data begins (`link.rs`).

use crate::{Error, Machine, Result};
use object::pe;

const HEX_COLUMNS: usize = 24;

/// Bytes of the code of one export: a jump through its slot, and what the slot leads to first,
/// which passes the export's number to `bind`.
pub const STUB_LEN: u32 = 16;
/// Offset of the second part of a stub.
pub const UNBOUND: u32 = 6;
/// Offset of the slot's address in a stub, for machines where it is absolute.
pub const SLOT_IN_STUB: u32 = 2;

pub struct ProxyMachine {
    pub number: pe::Machine,
    pub is_64: bool,
    pub image_base: u64,
    pub file_flags: pe::FileFlags,
    pub dll_flags: pe::DllFlags,
    /// The relocation of a whole pointer.
    pub relocation: pe::BaseRelocationType,
    /// The first byte of the instruction that passes a 32-bit number to `bind`.
    pass_number: u8,
    pub listing: &'static str,
}

const X64: ProxyMachine = ProxyMachine {
    number: pe::IMAGE_FILE_MACHINE_AMD64,
    is_64: true,
    image_base: 0x1_8000_0000,
    file_flags: pe::IMAGE_FILE_LARGE_ADDRESS_AWARE,
    dll_flags: pe::IMAGE_DLLCHARACTERISTICS_HIGH_ENTROPY_VA,
    relocation: pe::IMAGE_REL_BASED_DIR64,
    pass_number: 0xB8, // mov eax, number
    listing: include_str!("x64.lst"),
};

const X86: ProxyMachine = ProxyMachine {
    number: pe::IMAGE_FILE_MACHINE_I386,
    is_64: false,
    image_base: 0x1000_0000,
    file_flags: pe::IMAGE_FILE_32BIT_MACHINE,
    // The code handles no exceptions; without this the system would search it for handlers.
    dll_flags: pe::IMAGE_DLLCHARACTERISTICS_NO_SEH,
    relocation: pe::IMAGE_REL_BASED_HIGHLOW,
    pass_number: 0x68, // push number
    listing: include_str!("x86.lst"),
};

impl ProxyMachine {
    pub fn new(machine: Machine) -> Result<&'static ProxyMachine> {
        match machine {
            Machine::X86 => Ok(&X86),
            Machine::X64 => Ok(&X64),
            other => Err(Error::ProxyMachine(other)),
        }
    }

    pub fn pointer_len(&self) -> u32 {
        if self.is_64 { 8 } else { 4 }
    }

    pub fn pointer(&self, value: u64) -> impl Iterator<Item = u8> + use<> {
        value.to_le_bytes().into_iter().take(self.pointer_len() as usize)
    }

    pub fn absolute(&self, address: u32) -> u64 {
        self.image_base + u64::from(address)
    }

    /// The code of the export `number`. The arguments are relative virtual addresses: of this code,
    /// of the export's slot, and of `bind`.
    pub fn stub(&self, at: u32, number: u32, slot: u32, bind: u32) -> [u8; STUB_LEN as usize] {
        let slot = if self.is_64 {
            slot.wrapping_sub(at + UNBOUND)
        } else {
            self.image_base as u32 + slot
        };
        let bind = bind.wrapping_sub(at + STUB_LEN);
        let mut stub = [0xFF, 0x25, 0, 0, 0, 0, self.pass_number, 0, 0, 0, 0, 0xE9, 0, 0, 0, 0];
        stub[2..6].copy_from_slice(&slot.to_le_bytes()); // jmp [slot]
        stub[7..11].copy_from_slice(&number.to_le_bytes());
        stub[12..].copy_from_slice(&bind.to_le_bytes()); // jmp bind
        stub
    }

    /// The code that all exports share.
    pub fn code(&self) -> SharedCode {
        let mut code = SharedCode { bytes: Vec::new(), labels: Vec::new() };
        for line in self.listing.lines() {
            let (hex, source) = line.split_at(line.len().min(HEX_COLUMNS));
            if let Some(label) = source.strip_suffix(':') {
                code.labels.push((label, code.bytes.len() as u32));
            }
            let digits: Vec<u32> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
            code.bytes.extend(digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8));
        }
        code
    }
}

/// The code that all exports share: the entry point, and `bind`, which fills the slots.
pub struct SharedCode {
    pub bytes: Vec<u8>,
    labels: Vec<(&'static str, u32)>,
}

impl SharedCode {
    /// The offset of a label of the listing.
    pub fn label(&self, name: &str) -> u32 {
        self.labels.iter().find(|(label, _)| *label == name).map_or(0, |&(_, offset)| offset)
    }

    /// The functions that use the stack, on x86-64: offsets of their begin and end, and their
    /// `UNWIND_INFO`. All they do to the stack is their first instruction, `sub rsp, N`.
    pub fn frames(&self) -> Vec<(u32, u32, [u8; 8])> {
        const ALLOC_LARGE: u8 = 1;
        const ALLOC_SMALL: u8 = 2;
        let functions = self.labels.windows(2).map(|pair| (pair[0].1, pair[1].1));
        functions
            .filter_map(|(begin, end)| {
                // Version, length of the prologue, number of codes, no frame register; the codes.
                let info = match self.bytes[begin as usize..] {
                    [0x48, 0x83, 0xEC, size, ..] => {
                        [1, 4, 1, 0, 4, (size / 8 - 1) << 4 | ALLOC_SMALL, 0, 0]
                    }
                    [0x48, 0x81, 0xEC, low, high, ..] => {
                        let [low, high] = (u16::from_le_bytes([low, high]) / 8).to_le_bytes();
                        [1, 7, 2, 0, 7, ALLOC_LARGE, low, high]
                    }
                    _ => return None,
                };
                Some((begin, end, info))
            })
            .collect()
    }
}
