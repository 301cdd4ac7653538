//! Images made up of a few instructions.
#![allow(dead_code, reason = "no test needs all of it")]

use allograft_references::HeapFunction::{Allocate, Create, Free, ProcessHeap, Reallocate, Size};
use allograft_references::{HeapFunction, HeapSlot, MappedImage, RuntimeHeap, runtime_heap};

pub const BASE: u64 = 0x0040_0000;
pub const TEXT: u32 = 0x1000;
pub const SLOTS: u32 = 0x2000;
pub const DATA: u32 = 0x3000;
pub const FUNCTIONS: u32 = 0x4000;
pub const END: u32 = 0x5000;

/// Where the tables of exports and relocations are.
const EXPORTS: u32 = FUNCTIONS + 0x400;
const RELOCATIONS: u32 = FUNCTIONS + 0x600;

/// The variable that the made-up runtimes use, and another one.
pub const HANDLE: u32 = DATA + 0x40;
pub const OTHER: u32 = DATA + 0x80;

/// An image for x86-64 or x86, to which code is appended.
pub struct Spec {
    pub is_64: bool,
    pub bytes: Vec<u8>,
    pub next: u32,
    relocations: Vec<u32>,
}

impl Spec {
    pub fn new(is_64: bool) -> Spec {
        let mut spec =
            Spec { is_64, bytes: vec![0; END as usize], next: TEXT, relocations: Vec::new() };
        let (machine, optional): (u16, u16) = if is_64 { (0x8664, 240) } else { (0x14C, 224) };
        spec.put(0x3C, &0x80u32.to_le_bytes());
        spec.put(0x80, &0x4550u32.to_le_bytes());
        spec.put(0x84, &machine.to_le_bytes());
        spec.put(0x86, &4u16.to_le_bytes());
        spec.put(0x94, &optional.to_le_bytes());
        let sections = [
            (TEXT, 0x6000_0020u32),
            (SLOTS, 0x4000_0040),
            (DATA, 0xC000_0040),
            (FUNCTIONS, 0x4000_0040),
        ];
        for (index, (start, characteristics)) in (0..).zip(sections) {
            let entry = 0x98 + u32::from(optional) + index * 40;
            spec.put(entry + 8, &0x1000u32.to_le_bytes());
            spec.put(entry + 12, &start.to_le_bytes());
            spec.put(entry + 36, &characteristics.to_le_bytes());
        }
        spec
    }

    pub fn put(&mut self, at: u32, bytes: &[u8]) {
        self.bytes[at as usize..][..bytes.len()].copy_from_slice(bytes);
    }

    pub fn code(&mut self, bytes: &[u8]) -> &mut Self {
        self.put(self.next, bytes);
        self.next += bytes.len() as u32;
        self
    }

    /// An instruction that begins with `opcode` and names `target`. Returns its operand's offset.
    pub fn naming(&mut self, opcode: &[u8], target: u32) -> u32 {
        let operand = self.next + opcode.len() as u32;
        let value =
            if self.is_64 { target.wrapping_sub(operand + 4) } else { BASE as u32 + target };
        self.code(opcode).code(&value.to_le_bytes());
        operand
    }

    /// Loads the handle in `variable` and calls what `slot` imports, at the end of a function.
    pub fn call_with(&mut self, variable: u32, slot: u32) -> &mut Self {
        let load: &[u8] = if self.is_64 { &[0x48, 0x8B, 0x0D] } else { &[0xFF, 0x35] };
        self.naming(load, variable);
        self.code(&[0x33, 0xD2]);
        self.naming(&[0xFF, 0x15], slot);
        self.code(&[0xC3, 0xCC, 0xCC]);
        // The next function is out of reach.
        self.next += 0x60;
        self
    }

    /// Loads what `slot` imports into a register, to call it in a loop, and then the handle.
    pub fn call_in_loop_with(&mut self, variable: u32, slot: u32) -> &mut Self {
        let load: &[u8] = if self.is_64 { &[0x48, 0x8B, 0x1D] } else { &[0x8B, 0x1D] };
        self.naming(load, slot);
        let load: &[u8] = if self.is_64 { &[0x48, 0x8B, 0x0D] } else { &[0xFF, 0x35] };
        self.naming(load, variable);
        self.code(&[0xFF, 0xD3, 0xC3]);
        self.next += 0x60;
        self
    }

    /// Calls what `slot` imports and stores the result in `variable`.
    pub fn store_result(&mut self, slot: u32, variable: u32) -> &mut Self {
        self.naming(&[0xFF, 0x15], slot);
        let store: &[u8] = if self.is_64 { &[0x48, 0x89, 0x05] } else { &[0xA3] };
        self.naming(store, variable);
        self.code(&[0xC3]);
        self.next += 0x60;
        self
    }

    /// A runtime's functions, which all use the handle in `variable`.
    pub fn runtime(&mut self, variable: u32) -> &mut Self {
        for function in [Allocate, Allocate, Free, Reallocate, Size] {
            self.call_with(variable, slot(function).slot);
        }
        self
    }

    /// Entries of the table of functions: begin, end, unwind record.
    pub fn functions(&mut self, entries: &[[u32; 3]]) {
        let bytes: Vec<u8> =
            entries.iter().flatten().flat_map(|field| field.to_le_bytes()).collect();
        self.put(FUNCTIONS, &bytes);
        self.directory(3, FUNCTIONS, bytes.len());
    }

    /// Sets the data directory `index`.
    fn directory(&mut self, index: u32, start: u32, size: usize) {
        let entry = 0x98 + if self.is_64 { 112 } else { 96 } + index * 8;
        self.put(entry, &start.to_le_bytes());
        self.put(entry + 4, &(size as u32).to_le_bytes());
    }

    /// A jump or call from the next instruction to `target`. Returns where it is.
    pub fn branch(&mut self, opcode: &[u8], target: u32) -> u32 {
        let place = self.next;
        let end = place + opcode.len() as u32 + 4;
        self.code(opcode).code(&target.wrapping_sub(end).to_le_bytes());
        place
    }

    /// A pointer to `target` at `place`, which the loader would adjust; for x86.
    pub fn pointer(&mut self, place: u32, target: u32) -> &mut Self {
        self.put(place, &(BASE as u32 + target).to_le_bytes());
        self.relocations.push(place);
        let mut blocks = Vec::new();
        for place in &self.relocations {
            blocks.extend((place & !0xFFF).to_le_bytes());
            blocks.extend(12u32.to_le_bytes());
            blocks.extend((0x3000 | (place & 0xFFF) as u16).to_le_bytes());
            blocks.extend([0; 2]);
        }
        self.put(RELOCATIONS, &blocks);
        self.directory(5, RELOCATIONS, blocks.len());
        self
    }

    /// Exports what is at `offsets`.
    pub fn export(&mut self, offsets: &[u32]) -> &mut Self {
        self.put(EXPORTS + 20, &(offsets.len() as u32).to_le_bytes());
        self.put(EXPORTS + 28, &(EXPORTS + 40).to_le_bytes());
        for (place, offset) in (EXPORTS + 40..).step_by(4).zip(offsets) {
            self.put(place, &offset.to_le_bytes());
        }
        self.directory(0, EXPORTS, 0x40);
        self
    }

    /// Sets the function that the system calls first.
    pub fn entry_point(&mut self, offset: u32) -> &mut Self {
        self.put(0x98 + 16, &offset.to_le_bytes());
        self
    }

    pub fn read<T>(&self, read: impl FnOnce(&MappedImage<'_>) -> T) -> T {
        let bytes = |offset: u32| self.bytes.get(offset as usize..);
        read(&MappedImage::new(BASE, &bytes).unwrap())
    }

    pub fn heap(&self) -> Option<RuntimeHeap> {
        let slots = [Allocate, Free, Reallocate, Size, Create, ProcessHeap].map(slot);
        self.read(|image| runtime_heap(image, &slots))
    }
}

pub fn slot(function: HeapFunction) -> HeapSlot {
    HeapSlot { function, slot: SLOTS + 8 * function as u32 }
}
