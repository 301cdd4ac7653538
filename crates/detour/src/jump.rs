//! The jump over a function's entry, and the bytes that it replaces.

/// Bytes of a near jump: `E9` and a 32-bit displacement.
pub const JUMP_SIZE: usize = 5;

/// The most detours that one transaction takes.
pub const MAX_DETOURS: usize = 128;

/// How far the target of a jump may lie from the jump: somewhat less than 31 bits reach.
pub(crate) const REACH: usize = 0x7FFF_0000;

/// A function and its replacement.
#[derive(Clone, Copy, Debug)]
pub struct Detour {
    /// The function's entry.
    pub target: usize,
    /// The address that is called instead.
    pub replacement: usize,
    /// The target of the jump: set by [`crate::Relays::build`].
    pub(crate) relay: usize,
    /// The bytes under the jump, once it is written.
    pub(crate) original: [u8; JUMP_SIZE],
}

impl Detour {
    /// A detour of the function at `target` to `replacement`.
    pub const fn new(target: usize, replacement: usize) -> Detour {
        Detour { target, replacement, relay: 0, original: [0; JUMP_SIZE] }
    }

    /// The address of its relay, once that is built; 0 before.
    pub fn relay(&self) -> usize {
        self.relay
    }

    /// Whether a thread that goes on at `address` would execute the middle of the jump. At the
    /// entry itself it executes the whole jump, which does no harm.
    pub(crate) fn covers(&self, address: usize) -> bool {
        (1..JUMP_SIZE).contains(&address.wrapping_sub(self.target))
    }

    /// The bytes of the jump to the relay.
    pub(crate) fn jump(&self) -> [u8; JUMP_SIZE] {
        let displacement = self.relay.wrapping_sub(self.target + JUMP_SIZE) as u32;
        let mut bytes = [0xE9; JUMP_SIZE];
        bytes[1..].copy_from_slice(&displacement.to_le_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_jump_leads_to_the_relay_forwards_and_backwards() {
        let mut detour = Detour::new(0x1000, 0);
        detour.relay = 0x2000;
        assert_eq!(detour.jump(), [0xE9, 0xFB, 0x0F, 0, 0]);
        detour.relay = 0x1000;
        assert_eq!(detour.jump(), [0xE9, 0xFB, 0xFF, 0xFF, 0xFF]);
    }

    #[test]
    fn a_thread_may_be_suspended_at_the_entry_or_behind_the_jump_but_not_in_it() {
        let detour = Detour::new(0x1000, 0);
        assert!(!detour.covers(0x0FFF));
        assert!(!detour.covers(0x1000));
        assert!((0x1001..0x1005).all(|address| detour.covers(address)));
        assert!(!detour.covers(0x1005));
    }
}
