//! Images made up of a few instructions: what refers to what, and which heap a runtime has.

mod support;

use allograft_references::HeapFunction::{Allocate, Create, Free, ProcessHeap, Reallocate, Size};
use allograft_references::{Function, HeapOrigin, MappedImage, RuntimeHeap};
use support::{BASE, DATA, FUNCTIONS, HANDLE, OTHER, SLOTS, Spec, TEXT, slot};

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
