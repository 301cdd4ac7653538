//! Images made up of a few instructions: what refers to what, and which heap a runtime has.

use allograft_references::HeapFunction::{Allocate, Create, Free, ProcessHeap, Reallocate, Size};
use allograft_references::{
    Function, HeapFunction, HeapOrigin, HeapSlot, MappedImage, RuntimeHeap, runtime_heap,
};

const BASE: u64 = 0x0040_0000;
const TEXT: u32 = 0x1000;
const SLOTS: u32 = 0x2000;
const DATA: u32 = 0x3000;
const FUNCTIONS: u32 = 0x4000;
const END: u32 = 0x5000;

/// The variable that the made-up runtimes use, and another one.
const HANDLE: u32 = DATA + 0x40;
const OTHER: u32 = DATA + 0x80;

/// An image for x86-64 or x86, to which code is appended.
struct Spec {
    is_64: bool,
    bytes: Vec<u8>,
    next: u32,
}

impl Spec {
    fn new(is_64: bool) -> Spec {
        let mut spec = Spec { is_64, bytes: vec![0; END as usize], next: TEXT };
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

    fn put(&mut self, at: u32, bytes: &[u8]) {
        self.bytes[at as usize..][..bytes.len()].copy_from_slice(bytes);
    }

    fn code(&mut self, bytes: &[u8]) -> &mut Self {
        self.put(self.next, bytes);
        self.next += bytes.len() as u32;
        self
    }

    /// An instruction that begins with `opcode` and names `target`. Returns its operand's offset.
    fn naming(&mut self, opcode: &[u8], target: u32) -> u32 {
        let operand = self.next + opcode.len() as u32;
        let value =
            if self.is_64 { target.wrapping_sub(operand + 4) } else { BASE as u32 + target };
        self.code(opcode).code(&value.to_le_bytes());
        operand
    }

    /// Loads the handle in `variable` and calls what `slot` imports, at the end of a function.
    fn call_with(&mut self, variable: u32, slot: u32) -> &mut Self {
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
    fn call_in_loop_with(&mut self, variable: u32, slot: u32) -> &mut Self {
        let load: &[u8] = if self.is_64 { &[0x48, 0x8B, 0x1D] } else { &[0x8B, 0x1D] };
        self.naming(load, slot);
        let load: &[u8] = if self.is_64 { &[0x48, 0x8B, 0x0D] } else { &[0xFF, 0x35] };
        self.naming(load, variable);
        self.code(&[0xFF, 0xD3, 0xC3]);
        self.next += 0x60;
        self
    }

    /// Calls what `slot` imports and stores the result in `variable`.
    fn store_result(&mut self, slot: u32, variable: u32) -> &mut Self {
        self.naming(&[0xFF, 0x15], slot);
        let store: &[u8] = if self.is_64 { &[0x48, 0x89, 0x05] } else { &[0xA3] };
        self.naming(store, variable);
        self.code(&[0xC3]);
        self.next += 0x60;
        self
    }

    /// A runtime's functions, which all use the handle in `variable`.
    fn runtime(&mut self, variable: u32) -> &mut Self {
        for function in [Allocate, Allocate, Free, Reallocate, Size] {
            self.call_with(variable, slot(function).slot);
        }
        self
    }

    /// Entries of the table of functions: begin, end, unwind record.
    fn functions(&mut self, entries: &[[u32; 3]]) {
        let bytes: Vec<u8> =
            entries.iter().flatten().flat_map(|field| field.to_le_bytes()).collect();
        self.put(FUNCTIONS, &bytes);
        self.put(0x98 + 112 + 24, &FUNCTIONS.to_le_bytes());
        self.put(0x98 + 112 + 28, &(bytes.len() as u32).to_le_bytes());
    }

    fn read<T>(&self, read: impl FnOnce(&MappedImage<'_>) -> T) -> T {
        let bytes = |offset: u32| self.bytes.get(offset as usize..);
        read(&MappedImage::new(BASE, &bytes).unwrap())
    }

    fn heap(&self) -> Option<RuntimeHeap> {
        let slots = [Allocate, Free, Reallocate, Size, Create, ProcessHeap].map(slot);
        self.read(|image| runtime_heap(image, &slots))
    }
}

fn slot(function: HeapFunction) -> HeapSlot {
    HeapSlot { function, slot: SLOTS + 8 * function as u32 }
}

#[test]
fn the_handle_that_all_four_functions_get_is_the_runtimes() {
    for is_64 in [true, false] {
        let mut spec = Spec::new(is_64);
        spec.call_with(OTHER, slot(Allocate).slot).call_with(OTHER, slot(Free).slot);
        spec.runtime(HANDLE);
        let expected = RuntimeHeap {
            handle: HANDLE,
            origin: HeapOrigin::Unknown,
            allocations: 2,
            frees: 1,
            reallocations: 1,
            sizes: 1,
        };
        assert_eq!(spec.heap(), Some(expected), "64 bits: {is_64}");
    }
}

#[test]
fn a_function_that_is_called_in_a_loop_gets_the_handle_that_is_loaded_behind() {
    for is_64 in [true, false] {
        let mut spec = Spec::new(is_64);
        spec.call_in_loop_with(HANDLE, slot(Allocate).slot);
        for function in [Free, Reallocate, Size] {
            spec.call_with(HANDLE, slot(function).slot);
        }
        assert_eq!(spec.heap().map(|heap| heap.handle), Some(HANDLE), "64 bits: {is_64}");
    }
}

#[test]
fn where_the_handle_comes_from_is_seen_where_it_is_stored() {
    for is_64 in [true, false] {
        for (function, origin) in
            [(Create, HeapOrigin::Created), (ProcessHeap, HeapOrigin::ProcessHeap)]
        {
            let mut spec = Spec::new(is_64);
            spec.store_result(slot(function).slot, HANDLE).runtime(HANDLE);
            // Of another heap of the program's.
            spec.store_result(slot(Create).slot, OTHER);
            assert_eq!(spec.heap().map(|heap| heap.origin), Some(origin));
        }
    }
}

#[test]
fn a_program_that_keeps_no_handle_or_two_has_no_runtimes_heap() {
    for is_64 in [true, false] {
        let mut spec = Spec::new(is_64);
        spec.call_with(HANDLE, slot(Allocate).slot).call_with(HANDLE, slot(Free).slot);
        assert_eq!(spec.heap(), None, "it never asks for a size");
        let mut spec = Spec::new(is_64);
        spec.runtime(HANDLE).runtime(OTHER);
        assert_eq!(spec.heap(), None, "either could be the runtime's");
        let mut spec = Spec::new(is_64);
        spec.runtime(SLOTS + 0x100);
        assert_eq!(spec.heap(), None, "a constant is no variable");
    }
}

#[test]
fn many_variables_do_not_hide_a_runtime_that_comes_first() {
    let mut spec = Spec::new(true);
    spec.runtime(HANDLE);
    for index in 0..40 {
        spec.naming(&[0x48, 0x8B, 0x0D], DATA + 0x100 + index * 8);
        spec.naming(&[0xFF, 0x15], slot(Free).slot);
    }
    assert_eq!(spec.heap().map(|heap| heap.handle), Some(HANDLE));
}

#[test]
fn references_are_reported_with_their_operand_and_only_from_code() {
    for is_64 in [true, false] {
        let mut spec = Spec::new(is_64);
        let call = spec.naming(&[0xFF, 0x15], SLOTS);
        let load = spec.naming(if is_64 { &[0x48, 0x8B, 0x05] } else { &[0xA1] }, SLOTS + 8);
        spec.naming(&[0xFF, 0x15], SLOTS + 16);
        // The same bytes as data.
        spec.next = DATA;
        spec.naming(&[0xFF, 0x15], SLOTS);
        let found = spec.read(|image| {
            let mut found = Vec::new();
            image.references(&[SLOTS + 8, SLOTS], &mut |it| found.push((it.operand, it.slot)));
            found
        });
        assert_eq!(found, [(call, SLOTS), (load, SLOTS + 8)]);
    }
}

#[test]
fn a_function_is_found_with_the_part_asked_for() {
    let mut spec = Spec::new(true);
    // The second entry is a part of the first: its record has the flag for it, three codes, and
    // then the entry. The third names the first entry itself.
    let (whole, chained) = (FUNCTIONS + 0x100, FUNCTIONS + 0x110);
    spec.put(whole, &[1, 0, 0, 0]);
    spec.put(chained, &[0x21, 0, 3, 0]);
    let first = [0x1000u32, 0x1010, whole];
    let bytes: Vec<u8> = first.iter().flat_map(|field| field.to_le_bytes()).collect();
    spec.put(chained + 4 + 8, &bytes);
    spec.functions(&[first, [0x1100, 0x1120, chained], [0x1200, 0x1204, FUNCTIONS | 1]]);
    spec.read(|image| {
        for (offset, part) in
            [(0x100F, 0x1000..0x1010), (0x1100, 0x1100..0x1120), (0x1203, 0x1200..0x1204)]
        {
            assert_eq!(image.function_at(offset), Some(Function { begin: 0x1000, part }));
        }
        for outside in [0xFFF, 0x1010, 0x10FF, 0x1204] {
            assert_eq!(image.function_at(outside), None);
        }
    });
}

#[test]
fn records_that_chain_in_a_circle_end_the_search() {
    let mut spec = Spec::new(true);
    spec.functions(&[[0x1000, 0x1010, FUNCTIONS | 1]]);
    assert_eq!(spec.read(|image| image.function_at(0x1000)), None);
}

#[test]
fn other_processors_and_damaged_headers_are_no_image() {
    let sound = Spec::new(true);
    for (at, value) in [(0x84, 0xAA64u16), (0x80, 0), (0x3C, 0xFFFF)] {
        let mut bytes = sound.bytes.clone();
        bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
        let read = |offset: u32| bytes.get(offset as usize..);
        assert!(MappedImage::new(BASE, &read).is_none(), "{at:#x}");
    }
    for length in (0..0x300).step_by(7) {
        let read = |offset: u32| sound.bytes[..length].get(offset as usize..);
        if let Some(image) = MappedImage::new(BASE, &read) {
            image.references(&[SLOTS], &mut |_| panic!("there is no code"));
            assert_eq!(image.function_at(TEXT), None);
        }
    }
}

#[test]
fn pages_that_cannot_be_read_are_passed_over() {
    let mut spec = Spec::new(true);
    spec.next = TEXT + 0x800;
    let call = spec.naming(&[0xFF, 0x15], SLOTS);
    let hidden = TEXT..TEXT + 0x400;
    let bytes = |offset: u32| match offset {
        offset if hidden.contains(&offset) => None,
        _ => spec.bytes.get(offset as usize..),
    };
    let image = MappedImage::new(BASE, &bytes).unwrap();
    let mut found = Vec::new();
    image.references(&[SLOTS], &mut |reference| found.push(reference.operand));
    assert_eq!(found, [], "the rest of the page is not looked at either");
    let from_second_page = |offset: u32| match offset {
        offset if !(TEXT..SLOTS).contains(&offset) => spec.bytes.get(offset as usize..),
        offset if offset >= TEXT + 0x800 => spec.bytes.get(offset as usize..),
        offset => spec.bytes.get(offset as usize..(TEXT + 0x800) as usize),
    };
    let image = MappedImage::new(BASE, &from_second_page).unwrap();
    image.references(&[SLOTS], &mut |reference| found.push(reference.operand));
    assert_eq!(found, [call], "pieces are read one after the other");
}
