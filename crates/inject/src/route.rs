//! Which way leads into a process of a given machine.

use core::fmt;

use allograft_machine::Machine;

use crate::system::{Handle, System};

const OTHER_BITNESS: Machine =
    if cfg!(target_pointer_width = "32") { Machine::X64 } else { Machine::X86 };

/// The file name of the assistant: the launcher of the other bitness.
pub(crate) const ASSISTANT: &str =
    OTHER_BITNESS.launcher_name().expect("x86 and x86-64 have launchers");

/// The file name of the module that the assistant loads by default.
pub(crate) const MODULE_FOR_ASSISTANT: &str =
    OTHER_BITNESS.module_name().expect("x86 and x86-64 have modules");

/// How the module gets into a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Route {
    /// The calling process queues the call or starts the thread.
    Direct,
    /// An [`Assistant`](crate::Assistant) does it: a launcher of the process's own bitness. A
    /// 64-bit process cannot ask for the addresses of functions in a 32-bit one, nor queue a call
    /// there without knowing how the system converts it; a 32-bit process cannot even express the
    /// addresses of a 64-bit one. For a launcher of the process's own bitness nothing is special.
    Assistant,
}

/// There is no route into a process of this machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unreachable {
    machine: Machine,
    own: Machine,
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.machine, self.own) {
            (Machine::X64, Machine::X86) => {
                f.write_str("it is a 64-bit program: use allograft.exe, the launcher of 64 bits")
            }
            (machine, _) => {
                write!(f, "it is a program for {machine}, for which there is no module")
            }
        }
    }
}

impl Route {
    /// The route of a launcher made for `own` into a process of `machine`.
    ///
    /// # Errors
    ///
    /// If there is none. The 32-bit launcher refuses 64-bit programs: the other launcher keeps the
    /// console and the exit code for programs of both kinds.
    pub fn for_launcher(machine: Machine, own: Machine) -> Result<Route, Unreachable> {
        match (machine, own) {
            (Machine::X86, Machine::X64) => Ok(Route::Assistant),
            (Machine::X86 | Machine::X64, _) if machine == own => Ok(Route::Direct),
            _ => Err(Unreachable { machine, own }),
        }
    }

    /// The module's route from the process that it is in into `child`: direct if both processes are
    /// 32-bit ones on a 64-bit system, or neither is.
    pub fn for_module(system: &impl System, child: Handle) -> Route {
        match system.is_wow64(child) == system.is_wow64(Handle::OWN_PROCESS) {
            true => Route::Direct,
            false => Route::Assistant,
        }
    }
}

/// The machine of a process for which the system names these two machines, by their numbers: the
/// one that it emulates for the process, and its own. `image` reads the machine from the program's
/// file.
pub fn machine_of_process(
    emulated: u16,
    native: u16,
    image: impl FnOnce() -> Option<Machine>,
) -> Machine {
    const NOT_EMULATED: Machine = Machine::Other(0);
    match (Machine::from_number(emulated), Machine::from_number(native)) {
        // On ARM64 the system does not report x86-64 programs as emulated.
        (NOT_EMULATED, Machine::Arm64) => image().unwrap_or(Machine::Arm64),
        (NOT_EMULATED, native) => native,
        (emulated, _) => emulated,
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use allograft_machine::Machine::{Arm64, Other, X64, X86};
    use std::string::ToString;

    const I386: u16 = 0x14C;
    const AMD64: u16 = 0x8664;
    const ARM64: u16 = 0xAA64;

    #[test]
    fn programs_of_its_own_machine_are_reached_directly_and_32_bit_ones_with_help() {
        assert_eq!(Route::for_launcher(X64, X64), Ok(Route::Direct));
        assert_eq!(Route::for_launcher(X86, X86), Ok(Route::Direct));
        assert_eq!(Route::for_launcher(X86, X64), Ok(Route::Assistant));
    }

    #[test]
    fn a_process_without_a_route_is_refused_with_the_reason() {
        let reason = |machine, own| Route::for_launcher(machine, own).unwrap_err().to_string();
        assert!(reason(X64, X86).contains("64-bit"));
        for own in [X86, X64] {
            assert!(reason(Arm64, own).contains("ARM64"));
            assert!(reason(Other(7), own).contains("0x0007"));
        }
    }

    #[test]
    fn a_process_that_is_not_emulated_has_the_machine_of_the_system() {
        let unread = || panic!("the file is not needed");
        assert_eq!(machine_of_process(0, AMD64, unread), X64);
        assert_eq!(machine_of_process(0, I386, unread), X86);
        assert_eq!(machine_of_process(I386, AMD64, unread), X86);
        assert_eq!(machine_of_process(I386, ARM64, unread), X86);
    }

    #[test]
    fn on_arm64_the_file_tells_x86_64_programs_from_native_ones() {
        assert_eq!(machine_of_process(0, ARM64, || Some(X64)), X64);
        assert_eq!(machine_of_process(0, ARM64, || Some(Arm64)), Arm64);
        assert_eq!(machine_of_process(0, ARM64, || None), Arm64);
    }
}
