//! Machines: the one that this launcher is made for, those of programs, and how it reaches them.

use allograft_image::Machine;

/// The machine that this launcher is made for.
pub const OWN: Machine = if cfg!(target_arch = "x86") { Machine::X86 } else { Machine::X64 };

/// How the module comes into a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// This launcher loads it.
    Direct,
    /// The launcher for 32-bit programs, beside this one, loads it. The addresses of functions in a
    /// 32-bit process cannot be asked for in a process of 64 bits, and a call cannot be queued
    /// there without knowing how the system carries it over from one word size to the other. For a
    /// process of 32 bits there is nothing special about any of it.
    Assisted,
}

/// The way into a process of `machine` for a launcher that is made for `own`.
///
/// # Errors
///
/// If there is none, with the reason.
pub fn way_into(machine: Machine, own: Machine) -> Result<Way, String> {
    match (machine, own) {
        (Machine::X64, Machine::X86) => {
            Err("it is a 64-bit program: use allograft.exe, the launcher of 64 bits".to_owned())
        }
        (Machine::X86, Machine::X64) => Ok(Way::Assisted),
        _ if machine == own => Ok(Way::Direct),
        _ => Err(format!("it is a program for {machine}, for which there is no module")),
    }
}

/// The file name of the launcher for programs of `machine`.
#[cfg(windows)]
pub fn launcher_name(machine: Machine) -> &'static str {
    match machine {
        Machine::X86 => "allograft32.exe",
        _ => "allograft.exe",
    }
}

/// The machine of a process of which the system says, by their numbers, for which machine it is
/// emulated and which one is native. `image` reads the machine off the program's file.
pub fn of_process(emulated: u16, native: u16, image: impl FnOnce() -> Option<Machine>) -> Machine {
    /// "Not emulated".
    const NONE: Machine = Machine::Other(0);
    match (Machine::from_number(emulated), Machine::from_number(native)) {
        // ARM64 systems do not call programs for x86-64 emulated.
        (NONE, Machine::Arm64) => image().unwrap_or(Machine::Arm64),
        (NONE, native) => native,
        (emulated, _) => emulated,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use allograft_image::Machine::{Arm64, Other, X64, X86};

    const I386: u16 = 0x14C;
    const AMD64: u16 = 0x8664;
    const ARM64: u16 = 0xAA64;

    #[test]
    fn programs_of_its_own_machine_are_reached_directly_and_32_bit_ones_with_help() {
        assert_eq!(way_into(X64, X64), Ok(Way::Direct));
        assert_eq!(way_into(X86, X86), Ok(Way::Direct));
        assert_eq!(way_into(X86, X64), Ok(Way::Assisted));
    }

    #[test]
    fn what_cannot_be_reached_is_refused_in_words() {
        assert!(way_into(X64, X86).unwrap_err().contains("64-bit"));
        for own in [X86, X64] {
            assert!(way_into(Arm64, own).unwrap_err().contains("ARM64"));
            assert!(way_into(Other(7), own).unwrap_err().contains("0x0007"));
        }
    }

    #[test]
    fn a_process_that_is_not_emulated_is_of_the_systems_machine() {
        let unread = || panic!("the file is not needed");
        assert_eq!(of_process(0, AMD64, unread), X64);
        assert_eq!(of_process(0, I386, unread), X86);
        assert_eq!(of_process(I386, AMD64, unread), X86);
        assert_eq!(of_process(I386, ARM64, unread), X86);
    }

    #[test]
    fn an_arm64_system_is_not_taken_at_its_word_about_programs_for_x86_64() {
        assert_eq!(of_process(0, ARM64, || Some(X64)), X64);
        assert_eq!(of_process(0, ARM64, || Some(Arm64)), Arm64);
        assert_eq!(of_process(0, ARM64, || None), Arm64);
    }
}
