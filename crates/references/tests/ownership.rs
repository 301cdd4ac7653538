//! Which references to import slots are reached by other ways than through replaced functions, in
//! images made up of a few instructions.

mod support;

use support::{DATA, FUNCTIONS, SLOTS, Spec, TEXT};

/// `HeapFree` of a made-up runtime.
const FREE: u32 = SLOTS + 8;

/// A function that is replaced, and one that is not.
const REPLACED: u32 = TEXT + 0x100;
const OTHER: u32 = TEXT + 0x200;
/// What those lead to.
const INNER: u32 = TEXT + 0x300;

const CALL: &[u8] = &[0xE8];
const JUMP: &[u8] = &[0xE9];
const JUMP_IF_ZERO: &[u8] = &[0x0F, 0x84];
const CALL_SLOT: &[u8] = &[0xFF, 0x15];
const RETURN: &[u8] = &[0xC3];

/// An x86 runtime whose code is padding, with both functions exported. One pointer shows that it
/// has relocations.
fn x86() -> Spec {
    let mut spec = Spec::new(false);
    spec.put(TEXT, &[0xCC; 0x1000]);
    spec.export(&[REPLACED, OTHER]).pointer(DATA, TEXT + 0xF00);
    spec
}

impl Spec {
    /// Goes on at `offset`.
    fn at(&mut self, offset: u32) -> &mut Spec {
        self.next = offset;
        self
    }

    /// A reference to `HeapFree` at `offset`.
    fn free_at(&mut self, offset: u32) -> u32 {
        let operand = self.at(offset).naming(CALL_SLOT, FREE);
        self.code(RETURN);
        operand
    }

    /// How many references there are, and which are outside of what is replaced.
    fn outside(&self) -> (usize, Vec<u32>) {
        self.read(|image| {
            let mut found = Vec::new();
            let mut scratch = vec![0xAAAA_AAAA; image.scratch_words()];
            let count = image.references_outside(
                &[SLOTS, FREE],
                &[REPLACED],
                &mut scratch,
                &mut |reference| found.push(reference.operand),
            );
            (count, found)
        })
    }
}

#[test]
fn a_reference_in_a_replaced_function_or_in_a_moved_part_of_it_is_inside() {
    let mut spec = Spec::new(true);
    let (whole, chained) = (FUNCTIONS + 0x100, FUNCTIONS + 0x110);
    spec.put(whole, &[1, 0, 0, 0]);
    spec.put(chained, &[0x21, 0, 0, 0]);
    for (index, field) in [REPLACED, REPLACED + 0x20, whole].into_iter().enumerate() {
        spec.put(chained + 4 + 4 * index as u32, &field.to_le_bytes());
    }
    spec.functions(&[
        [REPLACED, REPLACED + 0x20, whole],
        [OTHER, OTHER + 0x20, whole],
        [INNER, INNER + 0x20, chained],
    ]);
    spec.free_at(REPLACED);
    spec.free_at(INNER);
    assert_eq!(spec.outside(), (2, vec![]));
    let other = spec.free_at(OTHER);
    // No function is known to be there.
    let cave = spec.free_at(TEXT + 0x400);
    assert_eq!(spec.outside(), (4, vec![other, cave]));
}

#[test]
fn on_x86_a_block_belongs_to_what_leads_to_it() {
    for opcode in [CALL, JUMP, JUMP_IF_ZERO] {
        let mut spec = x86();
        let inner = spec.free_at(INNER);
        spec.at(REPLACED).branch(opcode, INNER);
        assert_eq!(spec.outside(), (1, vec![]), "{opcode:x?}");
        spec.at(OTHER).branch(opcode, INNER);
        assert_eq!(spec.outside(), (1, vec![inner]), "{opcode:x?}");
    }
}

#[test]
fn on_x86_ways_through_several_blocks_are_followed() {
    let mut spec = x86();
    let inner = spec.free_at(INNER);
    spec.code(RETURN).branch(JUMP, INNER);
    let middle = TEXT + 0x400;
    spec.at(middle).branch(CALL, INNER);
    spec.code(RETURN);
    spec.at(REPLACED).branch(CALL, middle);
    assert_eq!(spec.outside(), (1, vec![]));
    spec.at(OTHER).branch(CALL, middle);
    assert_eq!(spec.outside(), (1, vec![inner]));
}

#[test]
fn on_x86_code_that_is_reached_by_a_pointer_or_as_the_entry_point_is_outside() {
    let called = || {
        let mut spec = x86();
        let inner = spec.free_at(INNER);
        spec.at(REPLACED).branch(CALL, INNER);
        (spec, inner)
    };
    let (mut by_table, inner) = called();
    by_table.pointer(DATA + 8, INNER);
    assert_eq!(by_table.outside(), (1, vec![inner]));
    let (mut first, inner) = called();
    first.entry_point(INNER);
    assert_eq!(first.outside(), (1, vec![inner]));
    // A pointer in code, as `push offset inner` has, counts for whoever pushes it.
    for (pusher, expected) in [(REPLACED + 8, vec![]), (OTHER + 8, vec![inner])] {
        let (mut pushed, _) = called();
        pushed.put(pusher, &[0x68]);
        pushed.pointer(pusher + 1, INNER);
        assert_eq!(pushed.outside(), (1, expected), "{pusher:#x}");
    }
}

#[test]
fn on_x86_code_that_another_block_runs_into_belongs_to_that_too() {
    let mut spec = x86();
    let operand = spec.free_at(OTHER + 0x20);
    spec.at(REPLACED).branch(JUMP_IF_ZERO, OTHER + 0x20);
    assert_eq!(spec.outside(), (1, vec![]), "there is padding before it");
    spec.put(OTHER, &[0x90; 0x20]);
    assert_eq!(spec.outside(), (1, vec![operand]));
}

#[test]
fn on_x86_code_that_nothing_leads_to_is_outside_unless_it_is_behind_a_replaced_function() {
    let mut spec = x86();
    spec.free_at(REPLACED + 0x10);
    let behind_other = spec.free_at(OTHER + 0x10);
    let first = spec.free_at(TEXT);
    assert_eq!(spec.outside(), (3, vec![first, behind_other]));
}

#[test]
fn without_relocations_or_memory_every_reference_on_x86_is_outside() {
    let mut spec = Spec::new(false);
    spec.export(&[REPLACED]);
    let operand = spec.free_at(REPLACED);
    assert_eq!(spec.outside(), (1, vec![operand]));
    spec.pointer(DATA, OTHER);
    assert_eq!(spec.outside(), (1, vec![]));
    spec.read(|image| {
        for words in [0, 1, 200] {
            let mut outside = 0;
            let mut scratch = vec![0; words];
            image.references_outside(&[FREE], &[REPLACED], &mut scratch, &mut |_| outside += 1);
            assert_eq!(outside == 1, words < 200, "{words} words");
        }
    });
}

#[test]
fn damaged_tables_make_no_code_safe() {
    let sound = || {
        let mut spec = x86();
        spec.free_at(OTHER);
        spec
    };
    assert_eq!(sound().outside().1.len(), 1);
    // The directories of exports and relocations, and the first block of relocations.
    for (place, value) in [
        (0x98 + 96, u32::MAX),
        (0x98 + 96 + 40, u32::MAX - 3),
        (0x98 + 96 + 44, u32::MAX),
        (FUNCTIONS + 0x604, 0),
        (FUNCTIONS + 0x604, u32::MAX),
        (0x98 + 16, u32::MAX),
    ] {
        let mut spec = sound();
        spec.put(place, &value.to_le_bytes());
        assert_eq!(spec.outside().1.len(), 1, "{place:#x}");
    }
}
