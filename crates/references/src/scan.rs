//! The search for instructions that refer to import slots.

use core::ops::Range;

use crate::MappedImage;

/// The size of the operand that names a slot.
const OPERAND: usize = 4;

/// An instruction's operand that is an import slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reference {
    /// The offset of the operand: the four bytes that name the slot.
    pub operand: u32,
    /// The slot's offset.
    pub slot: u32,
}

impl MappedImage<'_> {
    /// Passes each reference of executable sections to one of `slots` (offsets of import slots) to
    /// `found`, in the order of sections and addresses.
    ///
    /// What is a reference by accident, in bytes that are no instruction, is reported too: that
    /// takes four bytes which are the exact distance to a slot behind one which is such an
    /// operand's prefix.
    pub fn references(&self, slots: &[u32], found: &mut dyn FnMut(Reference)) {
        let (Some(&low), Some(&high)) = (slots.iter().min(), slots.iter().max()) else { return };
        for section in self.sections().filter(crate::Section::is_executable) {
            self.operands(section.range, &mut |operand, slot| {
                if (low..=high).contains(&slot) && slots.contains(&slot) {
                    found(Reference { operand, slot });
                }
            });
        }
    }

    /// Passes the offset of every possible operand in `range` that names memory directly, and the
    /// offset that it names, to `found`.
    fn operands(&self, range: Range<u32>, found: &mut dyn FnMut(u32, u32)) {
        let mut start = range.start;
        while start < range.end {
            let Some(bytes) = self.bytes(start).filter(|bytes| !bytes.is_empty()) else {
                // Nothing is here: go on with the next page.
                start = (start | 0xFFF).saturating_add(1);
                continue;
            };
            let bytes = &bytes[..bytes.len().min((range.end - start) as usize)];
            for (index, window) in bytes.windows(1 + OPERAND).enumerate() {
                if names_memory(window[0], self.is_64()) {
                    let at = start + index as u32 + 1;
                    found(at, self.named_by(at, [window[1], window[2], window[3], window[4]]));
                }
            }
            start = start.saturating_add(bytes.len() as u32);
        }
    }

    /// The offset that the operand `bytes` at the offset `at` names, if no immediate follows it: a
    /// distance from the next instruction, on x86 an address.
    pub(crate) fn named_by(&self, at: u32, bytes: [u8; OPERAND]) -> u32 {
        let value = u32::from_le_bytes(bytes);
        if self.is_64() {
            at.wrapping_add(OPERAND as u32).wrapping_add(value)
        } else {
            value.wrapping_sub(self.base() as u32)
        }
    }
}

/// Whether an operand that names memory directly may follow the byte: a ModRM byte with mod 00 and
/// r/m 101 (`[rip + disp32]`, on x86 `[disp32]`), or on x86 the opcodes that move between EAX and
/// memory.
fn names_memory(byte: u8, is_64: bool) -> bool {
    byte & 0xC7 == 0x05 || !is_64 && matches!(byte, 0xA1 | 0xA3)
}
