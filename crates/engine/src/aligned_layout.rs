//! How C runtimes lay out the blocks of their `_aligned_` functions in blocks of their heap.
//!
//! ```text
//! raw block:  ... gap ... | address of the raw block | aligned block ...
//! ```

use core::ffi::c_void;

const SLOT_SIZE: usize = size_of::<usize>();

/// An alignment, and the offset in the block of the address that has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AlignedLayout {
    pub(crate) alignment: usize,
    pub(crate) offset: usize,
}

impl AlignedLayout {
    /// Whether a runtime accepts the layout for a block of `size` bytes.
    pub(crate) fn is_valid_for(self, size: usize) -> bool {
        self.alignment.is_power_of_two() && (self.offset == 0 || self.offset < size)
    }

    /// Whether `block`, at its present address, has the alignment, which is a power of two.
    pub(crate) fn holds_for(self, block: *const c_void) -> bool {
        (block as usize).wrapping_add(self.offset) & (self.alignment - 1) == 0
    }

    /// The bytes of the raw block beside the program's own.
    pub(crate) fn overhead(self) -> usize {
        self.gap().wrapping_add(SLOT_SIZE).wrapping_add(self.least_alignment().wrapping_sub(1))
    }

    /// The address of the aligned block in a raw block at `raw`, which has room for the overhead.
    pub(crate) fn place_in(self, raw: usize) -> usize {
        let alignment = self.least_alignment();
        let start = raw + SLOT_SIZE + self.gap() + alignment - 1;
        ((start + self.offset) & !(alignment - 1)) - self.offset
    }

    fn gap(self) -> usize {
        self.offset.wrapping_neg() & (SLOT_SIZE - 1)
    }

    fn least_alignment(self) -> usize {
        self.alignment.max(SLOT_SIZE)
    }
}

/// Where an aligned block at `block` keeps the address of its raw block: in the aligned slot below.
pub(crate) fn raw_slot(block: usize) -> *mut *mut c_void {
    ((block & !(SLOT_SIZE - 1)) - SLOT_SIZE) as *mut *mut c_void
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_and_slot_lie_in_the_raw_block_for_every_alignment_and_offset() {
        for alignment in (0..14).map(|shift| 1 << shift) {
            for offset in [0, 1, 3, 7, 8, 15, 16, 100, 4095] {
                for raw in (0x10_0000..0x10_0040).step_by(SLOT_SIZE) {
                    let layout = AlignedLayout { alignment, offset };
                    let size = offset + 1;
                    assert!(layout.is_valid_for(size));
                    let block = layout.place_in(raw);
                    assert!(layout.holds_for(block as *const c_void), "{layout:?}");
                    let slot = raw_slot(block) as usize;
                    assert!(raw <= slot && slot + SLOT_SIZE <= block, "{layout:?}");
                    assert!(block + size <= raw + size + layout.overhead(), "{layout:?}");
                }
            }
        }
    }

    #[test]
    fn bad_alignments_and_offsets_behind_the_block_are_refused() {
        let valid =
            |alignment, offset, size| AlignedLayout { alignment, offset }.is_valid_for(size);
        assert!(!valid(0, 0, 8) && !valid(3, 0, 8) && !valid(48, 0, 8));
        assert!(valid(16, 0, 0) && valid(16, 7, 8));
        assert!(!valid(16, 8, 8) && !valid(16, 1, 0));
    }
}
