//! Machines: the one that this launcher is made for, those of programs, and how it reaches them.

use allograft_image::Machine;

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

#[cfg(test)]
mod tests {
    use super::*;
    use allograft_image::Machine::{Arm64, Other, X64, X86};

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
}
