//! The machine code of a proxy.
//!
//! Instructions are written as the bytes they are, with what they mean beside them. A reference to
//! a place of the image stands in the last four bytes of its instruction; it is noted, and filled
//! in when the image is laid out.

mod x64;
mod x86;

use super::target::Target;

/// `MAX_PATH`, in characters.
const MAX_PATH: u32 = 260;
/// Room for a path on the stack, in bytes: the system's folder, which is shorter than `MAX_PATH`, a
/// backslash, and a file name.
const PATH_ROOM: u32 = 2 * (MAX_PATH + 1 + 256);

/// Room for the path of the proxy itself, in characters: as long as Windows has them.
pub const OWN_PATH: u32 = 0x8000;

/// `LOAD_WITH_ALTERED_SEARCH_PATH`: what the module imports is looked for beside it first.
const ALTERED_SEARCH: u32 = 8;

/// The exceptions with which delay-loading tells a program that a module or a function is not there
/// (`VcppException` in delayimp.h). A proxy tells it in the same way.
const MODULE_NOT_FOUND: u32 = 0xC06D_007E;
const FUNCTION_NOT_FOUND: u32 = 0xC06D_007F;

/// The functions of kernel32 that a proxy imports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Import {
    DisableThreadLibraryCalls,
    GetModuleFileNameW,
    GetProcAddress,
    GetSystemDirectoryW,
    LoadLibraryExW,
    RaiseException,
}

impl Import {
    /// All of them, in the order in which they are imported.
    pub const ALL: [Import; 6] = [
        Import::DisableThreadLibraryCalls,
        Import::GetModuleFileNameW,
        Import::GetProcAddress,
        Import::GetSystemDirectoryW,
        Import::LoadLibraryExW,
        Import::RaiseException,
    ];
}

/// A place that the code refers to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// A place in the code itself.
    Label(Label),
    /// Where the loader writes the address of a function.
    Import(Import),
    /// The slot of the export with this number.
    Slot(u32),
    /// For each export, a 32-bit number: the relative address of its name, or its ordinal with bit
    /// 31 set.
    Wanted,
    /// `\NAME` of the system's DLL, in UTF-16 with a NUL.
    SystemName,
    /// The module's file name, in UTF-16 with a NUL.
    ModuleName,
    /// Room for [`OWN_PATH`] characters and the module's name.
    OwnPath,
    /// Where the image begins.
    Image,
}

/// A place in the code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Label(usize);

/// A function that uses the stack, for the tables by which it is unwound.
pub struct Frame {
    /// Offset of its first byte.
    pub begin: u32,
    /// Offset of the byte behind its last.
    pub end: u32,
    /// Bytes of the stack that its first instruction takes.
    pub stack: u32,
}

/// Four bytes that tell where a place is.
struct Reference {
    offset: u32,
    place: Place,
    /// They are the place's address, not its distance from the end of the instruction.
    is_absolute: bool,
}

/// The code of a proxy.
pub struct Code {
    bytes: Vec<u8>,
    references: Vec<Reference>,
    labels: Vec<u32>,
    /// The functions that use the stack, in order, on machines that unwind by tables.
    pub frames: Vec<Frame>,
    /// Offset of the entry point.
    pub entry: u32,
    /// Offsets of the exports.
    pub stubs: Vec<u32>,
    /// Offsets of what the slots lead to before they are filled.
    pub unbound: Vec<u32>,
}

impl Code {
    /// The code for so many exports.
    pub fn for_exports(target: Target, count: u32) -> Code {
        let mut code = Code {
            bytes: Vec::new(),
            references: Vec::new(),
            labels: Vec::new(),
            frames: Vec::new(),
            entry: 0,
            stubs: Vec::new(),
            unbound: Vec::new(),
        };
        match target {
            Target::X64 => x64::write(&mut code, count),
            Target::X86 => x86::write(&mut code, count),
        }
        code
    }

    /// The bytes, for code that begins at the relative address `begin` of an image at `image`;
    /// `address_of` tells the relative addresses of the other places.
    pub fn at(mut self, begin: u32, image: u64, address_of: impl Fn(Place) -> u32) -> Vec<u8> {
        for reference in &self.references {
            let to = match reference.place {
                Place::Label(label) => begin + self.labels[label.0],
                other => address_of(other),
            };
            let number = if reference.is_absolute {
                // Addresses stand in code only where they have 32 bits.
                (image + u64::from(to)) as u32
            } else {
                to.wrapping_sub(begin + reference.offset + 4)
            };
            let offset = reference.offset as usize;
            self.bytes[offset..offset + 4].copy_from_slice(&number.to_le_bytes());
        }
        self.bytes
    }

    /// Offsets of the addresses in the code, which change when the image is moved, in order.
    pub fn addresses(&self) -> impl Iterator<Item = u32> {
        self.references
            .iter()
            .filter(|reference| reference.is_absolute)
            .map(|reference| reference.offset)
    }

    /// How long the code is, in bytes.
    pub fn len(&self) -> u32 {
        self.bytes.len() as u32
    }

    fn label(&mut self) -> Label {
        self.labels.push(0);
        Label(self.labels.len() - 1)
    }

    fn here(&mut self, label: Label) {
        self.labels[label.0] = self.len();
    }

    /// A whole instruction without a reference, or several.
    fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// An instruction that ends with a 32-bit number.
    fn number(&mut self, bytes: &[u8], number: u32) {
        self.put(bytes);
        self.put(&number.to_le_bytes());
    }

    /// An instruction that ends with the distance to a place.
    fn relative(&mut self, bytes: &[u8], place: Place) {
        self.reference(bytes, place, false);
    }

    /// An instruction that ends with the address of a place.
    fn absolute(&mut self, bytes: &[u8], place: Place) {
        self.reference(bytes, place, true);
    }

    fn reference(&mut self, bytes: &[u8], place: Place, is_absolute: bool) {
        self.put(bytes);
        self.references.push(Reference { offset: self.len(), place, is_absolute });
        self.put(&[0; 4]);
    }

    fn align(&mut self) {
        while !self.bytes.len().is_multiple_of(16) {
            self.put(&[0xCC]); // int3
        }
    }
}
