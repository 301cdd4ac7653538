//! The search for instructions that refer to import slots.

use core::ops::RangeInclusive;

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
    /// operand's prefix, or on x86 four bytes which are the exact address of one.
    pub fn references(&self, slots: &[u32], found: &mut dyn FnMut(Reference)) {
        /// Bytes that are looked at together: most hold no reference.
        const TOGETHER: usize = 256;

        let (Some(&low), Some(&high)) = (slots.iter().min(), slots.iter().max()) else { return };
        let near = low..=high;
        for section in self.sections().filter(crate::Section::is_executable) {
            for (start, code) in self.pieces(section.range) {
                for index in (1..code.len()).step_by(TOGETHER) {
                    let end = code.len().min(index + TOGETHER + OPERAND - 1);
                    if !self.names_any(start + index as u32, &code[index..end], near.clone()) {
                        continue;
                    }
                    for (operand, window) in
                        (start + index as u32..).zip(code[index - 1..end].windows(1 + OPERAND))
                    {
                        let slot = self.named_by(operand, last(window));
                        if slots.contains(&slot) && (!self.is_64() || names_memory(window[0])) {
                            found(Reference { operand, slot });
                        }
                    }
                }
            }
        }
    }

    /// Whether any four bytes of `code`, which lies at `offset`, name one of the offsets `near`.
    /// Written so that the compiler takes several at once: all the code of a runtime is read while
    /// a program starts.
    fn names_any(&self, offset: u32, code: &[u8], near: RangeInclusive<u32>) -> bool {
        let distance = near.end() - near.start();
        (0..OPERAND.min(code.len())).any(|phase| {
            let (operands, _) = code[phase..].as_chunks::<OPERAND>();
            let is_near = |(index, &operand): (usize, &[u8; OPERAND])| {
                let at = offset + (phase + index * OPERAND) as u32;
                self.named_by(at, operand).wrapping_sub(*near.start()) <= distance
            };
            operands.iter().enumerate().map(is_near).fold(false, |any, is_near| any | is_near)
        })
    }

    /// The offset that the operand `bytes` at the offset `at` names, if no immediate follows it: a
    /// distance from the next instruction, on x86 an address.
    #[inline]
    pub(crate) fn named_by(&self, at: u32, bytes: [u8; OPERAND]) -> u32 {
        let value = u32::from_le_bytes(bytes);
        if self.is_64() {
            at.wrapping_add(OPERAND as u32).wrapping_add(value)
        } else {
            value.wrapping_sub(self.base() as u32)
        }
    }
}

/// The operand at the end of `window`.
fn last(window: &[u8]) -> [u8; OPERAND] {
    window.last_chunk().copied().unwrap_or_default()
}

/// Whether an operand that is a distance to memory may follow the byte: a ModRM byte with mod 00 and
/// r/m 101 (`[rip + disp32]`).
fn names_memory(byte: u8) -> bool {
    byte & 0xC7 == 0x05
}
