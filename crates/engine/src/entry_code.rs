//! The first instruction of a function, read only to see whether it is a jump: some runtimes begin
//! a function with one, and so do the hooks of other tools. No other instruction is decoded.

/// The target of the jump that the function at `entry` begins with; none if it does not begin with
/// one.
///
/// # Safety
/// Code begins at `entry`, 16 bytes of which can be read.
pub(crate) unsafe fn jump_target(entry: usize) -> Option<usize> {
    // SAFETY: by the contract 16 bytes can be read.
    let code = unsafe { (entry as *const [u8; 16]).read_unaligned() };
    let displacement =
        |at: usize| i32::from_le_bytes([code[at], code[at + 1], code[at + 2], code[at + 3]]);
    match code {
        [0xE9, ..] => Some(entry.wrapping_add(5).wrapping_add_signed(displacement(1) as isize)),
        [0xEB, short, ..] => {
            Some(entry.wrapping_add(2).wrapping_add_signed(short.cast_signed().into()))
        }
        [0xFF, 0x25, ..] => indirect(entry, 6, displacement(2)),
        #[cfg(target_arch = "x86_64")]
        [0x48, 0xFF, 0x25, ..] => indirect(entry, 7, displacement(3)),
        #[cfg(target_arch = "x86_64")]
        [0x48, 0xB8, a, b, c, d, e, f, g, h, 0xFF, 0xE0, ..] => {
            Some(u64::from_le_bytes([a, b, c, d, e, f, g, h]) as usize)
        }
        // `mov eax, address; jmp eax`, and `push address; ret`.
        #[cfg(target_arch = "x86")]
        [0xB8, a, b, c, d, 0xFF, 0xE0, ..] | [0x68, a, b, c, d, 0xC3, ..] => {
            Some(u32::from_le_bytes([a, b, c, d]) as usize)
        }
        _ => None,
    }
}

/// `jmp [address]`, `length` bytes long: the operand is relative to its end on x86-64, an address
/// on x86.
fn indirect(entry: usize, length: usize, operand: i32) -> Option<usize> {
    let pointer = if cfg!(target_arch = "x86_64") {
        entry.wrapping_add(length).wrapping_add_signed(operand as isize)
    } else {
        operand as u32 as usize
    };
    // SAFETY: the function itself reads its target there whenever it is called.
    Some(unsafe { (pointer as *const usize).read_unaligned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The target of the jump that `code` begins with, as an address and relative to the code.
    fn targets(code: &[u8]) -> Option<(usize, isize)> {
        let mut bytes = [0x90; 32];
        bytes[..code.len()].copy_from_slice(code);
        let entry = bytes.as_ptr() as usize;
        // SAFETY: there are 32 bytes.
        unsafe { jump_target(entry) }.map(|to| (to, to.wrapping_sub(entry) as isize))
    }

    fn distance(code: &[u8]) -> Option<isize> {
        targets(code).map(|(_, distance)| distance)
    }

    fn address(code: &[u8]) -> Option<usize> {
        targets(code).map(|(address, _)| address)
    }

    #[test]
    fn direct_jumps_lead_forwards_and_backwards() {
        assert_eq!(distance(&[0xE9, 0x10, 0, 0, 0]), Some(0x15));
        assert_eq!(distance(&[0xE9, 0xFB, 0xFF, 0xFF, 0xFF]), Some(0));
        assert_eq!(distance(&[0xEB, 0xFE]), Some(0));
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn indirect_jumps_are_read_where_they_point() {
        let to = 0x1122_3344_5566_7788_u64.to_le_bytes();
        let behind = [&[0xFF, 0x25, 2, 0, 0, 0, 0xCC, 0xCC], &to[..]].concat();
        assert_eq!(address(&behind), Some(0x1122_3344_5566_7788));
        let in_register = [&[0x48, 0xB8], &to[..], &[0xFF, 0xE0]].concat();
        assert_eq!(address(&in_register), Some(0x1122_3344_5566_7788));
    }

    #[test]
    #[cfg(target_arch = "x86")]
    fn an_address_may_be_in_a_register_or_on_the_stack() {
        assert_eq!(address(&[0xB8, 0x44, 0x33, 0x22, 0x11, 0xFF, 0xE0]), Some(0x1122_3344));
        assert_eq!(address(&[0x68, 0x44, 0x33, 0x22, 0x11, 0xC3, 0xCC]), Some(0x1122_3344));
    }

    #[test]
    fn other_first_instructions_are_no_jump() {
        assert_eq!(targets(&[0x48, 0x83, 0xEC, 0x28]), None);
        assert_eq!(targets(&[0x48, 0x89, 0x5C, 0x24, 0x08]), None);
    }
}
