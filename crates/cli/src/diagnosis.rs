//! Reasons that can be read off the files concerned.

use crate::machine::OWN;
use allograft_image::crt::{Crt, CrtKind};
use allograft_image::{ImageSummary, Machine, Result};
use std::path::Path;

/// Why a file that the system refuses to start is no program that allograft can start, given what
/// could be read of it.
pub fn not_executable(summary: Result<ImageSummary>) -> String {
    match summary {
        Ok(image) if image.is_dll => "it is a DLL".to_owned(),
        Ok(image) => match image.machine {
            machine if machine == OWN => "Windows refuses it".to_owned(),
            Machine::X86 => "it is a 32-bit program, and this system runs none".to_owned(),
            Machine::X64 => "it is a 64-bit program, and this system runs none".to_owned(),
            other => format!("it is a program for {other}"),
        },
        Err(allograft_image::Error::NotAnImage(_)) => "it is not a program for Windows".to_owned(),
        Err(error) => error.to_string(),
    }
}

/// The machine that a module is made for, given what could be read of its file.
///
/// # Errors
///
/// What makes it unfit to be a module.
pub fn machine_of_module(summary: Result<ImageSummary>) -> std::result::Result<Machine, String> {
    match summary {
        Ok(image) if image.is_dll => Ok(image.machine),
        Ok(_) => Err("it is not a DLL".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Why the system did not load the module at `path` into a program.
pub fn why_not_loaded(path: &Path) -> String {
    format!(
        "Windows did not load {} into it (a policy or security software may forbid it), \
         or that is no module of allograft",
        path.display()
    )
}

/// What can be learned of a running program from outside.
#[derive(Debug, Default)]
pub struct Program {
    /// Its file in short, where that could be read.
    pub image: Option<ImageSummary>,
    /// The names of the DLLs in its process.
    pub loaded: Vec<String>,
}

impl Program {
    /// Why the module found no C runtime to take over in it.
    pub fn why_no_runtime(&self) -> String {
        match self.runtime() {
            None => {
                "it links its C runtime statically, so there is none that allograft could take over"
                    .to_owned()
            }
            Some(crt) if crt.taken_over => {
                format!("the module did not find {} in it", crt.file)
            }
            Some(crt) => format!(
                "its C runtime is {} ({}), which allograft does not take over",
                crt.file, crt.origin
            ),
        }
    }

    /// Why it does not help the program that `msvcrt.dll` was taken over; nothing if that is a
    /// runtime of the program's.
    pub fn why_only_windows_own(&self) -> Option<String> {
        self.runtime().is_none().then(|| {
            "it links its C runtime statically; only msvcrt.dll was taken over, which Windows' own DLLs use".to_owned()
        })
    }

    /// The C runtime that the program uses: the one that its file imports, or else one that a DLL
    /// of its own brought in.
    ///
    /// `msvcrt.dll` counts only as an import of the program's: half of Windows' own DLLs use it.
    fn runtime(&self) -> Option<&'static Crt> {
        let imported = self.image.iter().flat_map(|image| &image.crt_imports);
        let loaded = self.loaded.iter().filter_map(|name| Crt::from_module(name));
        imported.copied().chain(loaded.filter(|crt| crt.kind != CrtKind::System)).next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use allograft_image::{Error, Subsystem};

    fn program(machine: Machine, runtimes: &[&str]) -> ImageSummary {
        ImageSummary {
            machine,
            is_dll: false,
            subsystem: Subsystem::Console,
            is_dotnet: false,
            crt_imports: runtimes
                .iter()
                .map(|name| Crt::from_module(name).expect("a C runtime"))
                .collect(),
        }
    }

    fn module(machine: Machine) -> ImageSummary {
        ImageSummary { is_dll: true, ..program(machine, &[]) }
    }

    #[test]
    fn a_program_of_another_word_size_is_named_as_such() {
        let (other, words) = match OWN {
            Machine::X86 => (Machine::X64, "it is a 64-bit program"),
            _ => (Machine::X86, "it is a 32-bit program"),
        };
        let reason = not_executable(Ok(program(other, &[])));
        assert!(reason.starts_with(words), "{reason}");
    }

    #[test]
    fn a_file_that_is_no_program_is_named_as_such() {
        assert_eq!(
            not_executable(Err(Error::NotAnImage("it is a text"))),
            "it is not a program for Windows"
        );
        assert_eq!(not_executable(Ok(module(Machine::X64))), "it is a DLL");
        assert_eq!(not_executable(Ok(program(Machine::Arm64, &[]))), "it is a program for ARM64");
    }

    #[test]
    fn a_module_is_a_dll_and_says_its_machine() {
        for machine in [Machine::X86, Machine::X64] {
            assert_eq!(machine_of_module(Ok(module(machine))), Ok(machine));
        }
        assert_eq!(
            machine_of_module(Ok(program(Machine::X64, &[]))),
            Err("it is not a DLL".to_owned())
        );
    }

    fn running(runtimes: &[&str], loaded: &[&str]) -> Program {
        Program {
            image: Some(program(Machine::X64, runtimes)),
            loaded: loaded.iter().map(|&name| name.to_owned()).collect(),
        }
    }

    #[test]
    fn a_program_without_a_runtime_links_it_statically() {
        let loaded = ["KERNEL32.DLL", "msvcrt.dll"];
        for program in [running(&[], &loaded), Program::default()] {
            let reason = program.why_no_runtime();
            assert!(reason.starts_with("it links its C runtime statically"), "{reason}");
        }
    }

    #[test]
    fn a_runtime_that_is_not_taken_over_is_named() {
        for program in [
            running(&["msvcr120d.dll"], &["MSVCR120d.dll"]),
            running(&[], &["KERNEL32.DLL", "MSVCR120d.dll"]),
        ] {
            assert_eq!(
                program.why_no_runtime(),
                "its C runtime is msvcr120d.dll (Visual C++ 2013, debug build), which allograft does not take over"
            );
        }
    }

    #[test]
    fn the_runtime_of_windows_own_dlls_is_not_taken_for_the_programs() {
        let loaded = ["KERNEL32.DLL", "msvcrt.dll"];
        let reason = running(&[], &loaded).why_only_windows_own();
        assert!(
            reason.is_some_and(|reason| reason.starts_with("it links its C runtime statically"))
        );
        assert_eq!(running(&["msvcrt.dll"], &loaded).why_only_windows_own(), None);
        assert_eq!(running(&[], &["MSVCR120.dll"]).why_only_windows_own(), None);
    }

    #[test]
    fn a_runtime_that_the_module_missed_is_not_called_static() {
        assert_eq!(
            running(&["ucrtbase.dll"], &[]).why_no_runtime(),
            "the module did not find ucrtbase.dll in it"
        );
    }
}
