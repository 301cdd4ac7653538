//! The first instructions of a function, as far as they can be executed elsewhere.

/// An instruction that means the same at any address: its bytes, as far as they are fixed, and its
/// length.
struct Instruction {
    /// Pairs of a mask and the value under it.
    bytes: &'static [(u8, u8)],
    length: usize,
}

const fn instruction(bytes: &'static [(u8, u8)], length: usize) -> Instruction {
    Instruction { bytes, length }
}

/// What compilers begin functions with: registers are saved and the stack is moved.
#[cfg(target_pointer_width = "64")]
const INSTRUCTIONS: &[Instruction] = &[
    // lea rsp, [rsp + 0]: room for a hot patch, in Wine
    instruction(
        &[(!0, 0x48), (!0, 0x8D), (!0, 0xA4), (!0, 0x24), (!0, 0), (!0, 0), (!0, 0), (!0, 0)],
        8,
    ),
    // push of r8 to r15, and of the others
    instruction(&[(!0, 0x41), (0xF8, 0x50)], 2),
    instruction(&[(0xF8, 0x50)], 1),
    // mov [rsp + 8 bits], register
    instruction(&[(0xFB, 0x48), (!0, 0x89), (0xC7, 0x44), (!0, 0x24)], 5),
    // mov rax, rsp; mov r11, rsp
    instruction(&[(!0, 0x48), (!0, 0x8B), (!0, 0xC4)], 3),
    instruction(&[(!0, 0x4C), (!0, 0x8B), (!0, 0xDC)], 3),
    // sub rsp, 8 bits or 32
    instruction(&[(!0, 0x48), (!0, 0x83), (!0, 0xEC)], 4),
    instruction(&[(!0, 0x48), (!0, 0x81), (!0, 0xEC)], 7),
];

/// What compilers begin functions with: registers are saved and the stack is moved.
#[cfg(target_pointer_width = "32")]
const INSTRUCTIONS: &[Instruction] = &[
    // mov edi, edi: room for a hot patch
    instruction(&[(!0, 0x8B), (!0, 0xFF)], 2),
    // push of a register, of 8 bits, of 32
    instruction(&[(0xF8, 0x50)], 1),
    instruction(&[(!0, 0x6A)], 2),
    instruction(&[(!0, 0x68)], 5),
    // mov ebp, esp
    instruction(&[(!0, 0x8B), (!0, 0xEC)], 2),
    // lea ecx, [esp + 4]; and esp, -16
    instruction(&[(!0, 0x8D), (!0, 0x4C), (!0, 0x24), (!0, 0x04)], 4),
    instruction(&[(!0, 0x83), (!0, 0xE4), (!0, 0xF0)], 3),
    // sub esp, 8 bits or 32
    instruction(&[(!0, 0x83), (!0, 0xEC)], 3),
    instruction(&[(!0, 0x81), (!0, 0xEC)], 6),
];

/// How many of `code`'s first bytes are whole instructions that mean the same at any address, and
/// at least `least`; none if an instruction among these is not known.
pub(super) fn movable_length(code: &[u8], least: usize) -> Option<usize> {
    let mut length = 0;
    while length < least {
        let rest = code.get(length..)?;
        let known = INSTRUCTIONS.iter().find(|known| {
            let mut pairs = known.bytes.iter().zip(rest);
            rest.len() >= known.length && pairs.all(|((mask, value), byte)| byte & mask == *value)
        })?;
        length += known.length;
    }
    Some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The beginnings of RtlFreeHeap, RtlReAllocateHeap and RtlSizeHeap in Wine 8, and of functions
    /// as Microsoft's compiler makes them.
    #[cfg(target_pointer_width = "64")]
    const BEGINNINGS: [(&[u8], usize); 5] = [
        (&[0x48, 0x8D, 0xA4, 0x24, 0, 0, 0, 0, 0x41, 0x57], 8),
        (&[0x41, 0x57, 0x41, 0x56, 0x41, 0x55, 0x41, 0x54], 6),
        (&[0x41, 0x56, 0x41, 0x55, 0x41, 0x54, 0x55, 0x57], 6),
        (&[0x48, 0x89, 0x5C, 0x24, 0x08, 0x48, 0x89, 0x6C], 5),
        (&[0x57, 0x48, 0x83, 0xEC, 0x20, 0x48, 0x8B, 0xDA], 5),
    ];

    #[cfg(target_pointer_width = "32")]
    const BEGINNINGS: [(&[u8], usize); 3] = [
        (&[0x8B, 0xFF, 0x55, 0x8B, 0xEC, 0x5D, 0xB8], 5),
        (&[0x8D, 0x4C, 0x24, 0x04, 0x83, 0xE4, 0xF0, 0xFF], 7),
        (&[0x6A, 0x10, 0x68, 1, 2, 3, 4, 0xE8], 7),
    ];

    #[test]
    fn whole_instructions_are_counted_until_there_is_room_for_a_jump() {
        for (code, length) in BEGINNINGS {
            assert_eq!(movable_length(code, 5), Some(length), "{code:X?}");
        }
    }

    #[test]
    fn an_instruction_that_is_not_known_or_is_cut_off_moves_nothing() {
        // A jump, a call, a load relative to the instruction, and a push before one.
        let codes: [&[u8]; 5] = [
            &[0xE9, 0, 0, 0, 0],
            &[0xE8, 0, 0, 0, 0, 0xC3],
            &[0x48, 0x8B, 0x05, 0, 0, 0, 0],
            &[0x55, 0xE9, 0, 0, 0, 0],
            &[0x55, 0x55],
        ];
        for code in codes {
            assert_eq!(movable_length(code, 5), None, "{code:X?}");
        }
    }
}
