//! What exit codes tell: runs that end differently did not do the same work.

use super::order::Side;

/// The codes with which Windows itself ends a program, and what they mean.
const KNOWN: [(u32, &str); 6] = [
    (0xC000_0005, "a bad memory access"),
    (0xC000_00FD, "a stack overflow"),
    (0xC000_0135, "a DLL that it needs was not found"),
    (0xC000_013A, "Ctrl+C"),
    (0xC000_0142, "a DLL that it needs refused to start"),
    (0xC000_0374, "a corrupted heap"),
];

/// Why a run of one side says nothing, given how it ended and how the first run did; nothing if it
/// is as good as that one. The first run of all has no other to agree with.
pub fn objection(side: Side, code: u32, first: Option<u32>) -> Option<String> {
    let side = side.phrase();
    match first {
        None if is_crash(code) => Some(format!("{side} it ends with {}", shown(code))),
        Some(first) if first != code => Some(format!(
            "it ended with {} first, and {side} with {}: it does not do the same work in every run",
            shown(first),
            shown(code)
        )),
        _ => None,
    }
}

/// Whether it is the code of an error of which the system ends programs.
fn is_crash(code: u32) -> bool {
    const SEVERE: u32 = 0b11 << 30;
    // Exit codes such as -1 have all bits set; those of the system have a facility and a number.
    code & SEVERE == SEVERE && code < 0xF000_0000
}

/// The code for a person.
fn shown(code: u32) -> String {
    if !is_crash(code) {
        return format!("exit code {}", code.cast_signed());
    }
    let meaning = KNOWN.iter().find(|(known, _)| *known == code);
    meaning.map_or_else(
        || format!("exit code 0x{code:08X}"),
        |(_, meaning)| format!("exit code 0x{code:08X} ({meaning})"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_that_end_alike_are_accepted_whatever_their_code() {
        assert_eq!(objection(Side::Without, 3, None), None);
        assert_eq!(objection(Side::With, 3, Some(3)), None);
        assert_eq!(objection(Side::Without, u32::MAX, None), None);
    }

    #[test]
    fn a_program_that_cannot_start_is_not_measured() {
        assert_eq!(
            objection(Side::Without, 0xC000_0135, None).unwrap(),
            "without mimalloc it ends with exit code 0xC0000135 (a DLL that it needs was not found)"
        );
    }

    #[test]
    fn runs_that_end_differently_are_not_compared() {
        assert_eq!(
            objection(Side::With, 0xC000_0005, Some(u32::MAX)).unwrap(),
            "it ended with exit code -1 first, and with mimalloc with exit code 0xC0000005 (a bad memory access): \
             it does not do the same work in every run"
        );
    }
}
