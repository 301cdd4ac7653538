//! Which code that refers to import slots is reached by other ways than through given functions.
//!
//! A heap function of a runtime that is replaced is never entered again, and neither is what only
//! such functions call. So a reference to `HeapFree` in there is harmless, and any other is not.
//!
//! On x86-64 the table of functions shows which function a reference is in. On x86 there is no such
//! table, and compilers move the cold parts of functions far away. There the code is divided into
//! blocks, which begin where something leads to: an export, the target of a call or a jump, a
//! pointer. A block that is no replaced function belongs to the blocks that lead to it, and those
//! to others, until all are replaced functions or one is reached from elsewhere. Short jumps stay
//! within a function, so they are not looked at. Bytes that only look like a jump, or like a
//! pointer, add a way that does not exist: then too much counts as reached from elsewhere, never
//! too little.

use core::ops::Range;

use crate::{MappedImage, Reference};

/// Sections with code that are told apart. Runtimes have one or two.
const MOST_CODE_SECTIONS: usize = 8;

/// Blocks that are followed for one reference.
const MOST_BLOCKS: usize = 128;

/// In place of the offset of a jump: the target is reached from outside the code.
const OUTSIDE: u32 = u32::MAX;

impl MappedImage<'_> {
    /// How many words of memory [`references_outside`](Self::references_outside) needs: none on
    /// x86-64.
    pub fn scratch_words(&self) -> usize {
        if self.is_64() {
            return 0;
        }
        let code = code_sections(self).map_or(0, |code| span(&code).len());
        // A bit for each byte, and for every eighth byte a jump: in compiled code one in thirty
        // begins one, and the tables of exports and pointers come to less.
        code / 32 + 1 + code / 4
    }

    /// Passes each reference to one of `slots` (offsets of import slots) to `outside` that is
    /// reached by other ways than through `replaced` (offsets of functions). Returns how many
    /// references there are in all.
    ///
    /// What cannot be decided counts as outside: code without an entry in the table of functions,
    /// an image for x86 without relocations, and less `scratch` than
    /// [`scratch_words`](Self::scratch_words) asks for.
    pub fn references_outside(
        &self,
        slots: &[u32],
        replaced: &[u32],
        scratch: &mut [u32],
        outside: &mut dyn FnMut(Reference),
    ) -> usize {
        let blocks = if self.is_64() { None } else { Blocks::find(self, scratch) };
        let is_replaced = |operand: u32| match (&blocks, self.is_64()) {
            (Some(blocks), _) => blocks.are_reached_by(operand, replaced, self),
            (None, true) => {
                self.function_at(operand).is_some_and(|function| replaced.contains(&function.begin))
            }
            (None, false) => false,
        };
        let mut count = 0;
        self.references(slots, &mut |reference| {
            count += 1;
            if !is_replaced(reference.operand) {
                outside(reference);
            }
        });
        count
    }
}

type CodeSections = [Range<u32>; MOST_CODE_SECTIONS];

/// The sections with code; the rest are empty ranges. `None` if there are too many.
fn code_sections(image: &MappedImage<'_>) -> Option<CodeSections> {
    let mut ranges = [const { 0..0 }; MOST_CODE_SECTIONS];
    let code = image.sections().filter(|section| section.is_executable());
    for (index, section) in code.enumerate() {
        *ranges.get_mut(index)? = section.range;
    }
    Some(ranges)
}

/// The offsets from the first section to the last.
fn span(code: &CodeSections) -> Range<u32> {
    let ranges = || code.iter().filter(|range| !range.is_empty());
    let start = ranges().map(|range| range.start).min().unwrap_or(0);
    start..ranges().map(|range| range.end).max().unwrap_or(start)
}

/// The blocks of an x86 image, and what leads to them.
struct Blocks<'a> {
    code: CodeSections,
    /// The offset of the first bit.
    low: u32,
    /// A bit for each byte of the code: whether a block begins there.
    starts: &'a mut [u32],
    /// Where jumps, calls and pointers lead, and at the same index where they are, or [`OUTSIDE`].
    targets: &'a mut [u32],
    sources: &'a mut [u32],
    count: usize,
}

impl<'a> Blocks<'a> {
    /// `None` if the image has no relocations, which show where its pointers are, or `scratch` is
    /// too small.
    fn find(image: &MappedImage<'_>, scratch: &'a mut [u32]) -> Option<Blocks<'a>> {
        let code = code_sections(image)?;
        let span = span(&code);
        let words = span.len() / 32 + 1;
        let (starts, rest) = scratch.split_at_mut_checked(words)?;
        let (targets, sources) = rest.split_at_mut(rest.len() / 2);
        starts.fill(0);
        let mut blocks = Blocks { code, low: span.start, starts, targets, sources, count: 0 };
        for section in blocks.code.clone() {
            blocks.add(section.start, OUTSIDE)?;
        }
        blocks.add(image.entry_point(), OUTSIDE)?;
        for export in image.exports() {
            blocks.add(export, OUTSIDE)?;
        }
        let mut pointers = 0;
        for place in image.relocated_pointers() {
            let target = image.u32_at(place)?.wrapping_sub(image.base() as u32);
            blocks.add(target, if blocks.is_code(place) { place } else { OUTSIDE })?;
            pointers += 1;
        }
        for section in blocks.code.clone() {
            for (start, code) in image.pieces(section) {
                blocks.add_branches(start, code)?;
            }
        }
        (pointers > 0).then_some(blocks)
    }

    /// Adds the calls and jumps in `code`, which lies at the offset `start`. The long conditional
    /// jumps have a prefix, and then the form of the others: an opcode and the distance.
    fn add_branches(&mut self, start: u32, code: &[u8]) -> Option<()> {
        const LENGTH: usize = 5;
        let mut before = 0;
        for (place, bytes) in (start..).zip(code.windows(LENGTH)) {
            let opcode = bytes[0];
            let is_branch = opcode & 0xFE == 0xE8 || before == 0x0F && opcode & 0xF0 == 0x80;
            before = opcode;
            if is_branch {
                let distance = u32::from_le_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]);
                let target = place.wrapping_add(LENGTH as u32).wrapping_add(distance);
                self.add(target, place)?;
            }
        }
        Some(())
    }

    /// Notes that `source` leads to `target`, if that is code. `None` if there is no room.
    fn add(&mut self, target: u32, source: u32) -> Option<()> {
        if self.is_code(target) {
            *self.targets.get_mut(self.count)? = target;
            *self.sources.get_mut(self.count)? = source;
            self.count += 1;
            let bit = target - self.low;
            self.starts[bit as usize / 32] |= 1 << (bit % 32);
        }
        Some(())
    }

    fn is_code(&self, offset: u32) -> bool {
        self.code.iter().any(|section| section.contains(&offset))
    }

    /// Where the block begins that `offset` lies in. Every section begins with one.
    fn start_of(&self, offset: u32) -> u32 {
        let bit = offset - self.low;
        let mut word = bit as usize / 32;
        let mut bits = self.starts[word] & (u32::MAX >> (31 - bit % 32));
        while bits == 0 && word > 0 {
            word -= 1;
            bits = self.starts[word];
        }
        self.low + word as u32 * 32 + bits.checked_ilog2().unwrap_or(0)
    }

    /// Whether the code at `offset` is reached only through `functions`.
    fn are_reached_by(&self, offset: u32, functions: &[u32], image: &MappedImage<'_>) -> bool {
        let mut path = Path { blocks: [0; MOST_BLOCKS], count: 0 };
        if path.add(self.start_of(offset)).is_none() {
            return false;
        }
        let mut next = 0;
        while next < path.count {
            let block = path.blocks[next];
            next += 1;
            if !functions.contains(&block) && self.follow(block, image, &mut path).is_none() {
                return false;
            }
        }
        true
    }

    /// Adds the blocks to `path` that lead to the one at `block`. `None` if it is reached from
    /// outside the code, nothing is seen to lead to it, or the path becomes too long.
    fn follow(&self, block: u32, image: &MappedImage<'_>, path: &mut Path) -> Option<()> {
        let mut is_reached = false;
        let all = self.targets[..self.count].iter().zip(&self.sources[..self.count]);
        for (_, &source) in all.filter(|&(&target, _)| target == block) {
            if source == OUTSIDE {
                return None;
            }
            path.add(self.start_of(source))?;
            is_reached = true;
        }
        if falls_into(image, block) {
            path.add(self.start_of(block - 1))?;
            is_reached = true;
        }
        is_reached.then_some(())
    }
}

/// Whether the instruction before `block` may continue there: it is not seen to be a return, a jump
/// or padding.
fn falls_into(image: &MappedImage<'_>, block: u32) -> bool {
    let before = block.checked_sub(5).and_then(|start| image.bytes(start)?.first_chunk::<5>());
    !matches!(
        before,
        Some(
            [0xE9, ..]
                | [.., 0xC2, _, _]
                | [.., 0xEB, _]
                | [.., 0xFF, 0xE0..=0xE7]
                | [.., 0xC3 | 0xCC]
        )
    )
}

/// The blocks that were found, each once.
struct Path {
    blocks: [u32; MOST_BLOCKS],
    count: usize,
}

impl Path {
    /// `None` if there is no room.
    fn add(&mut self, block: u32) -> Option<()> {
        if !self.blocks[..self.count].contains(&block) {
            *self.blocks.get_mut(self.count)? = block;
            self.count += 1;
        }
        Some(())
    }
}
