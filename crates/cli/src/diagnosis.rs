//! Why a program cannot be started, a module cannot be loaded, or a takeover did not help: reasons
//! in words, from what can be seen in the files and on the status page.

use crate::page_reading::{PageReading, ProcessHeapReading};
#[cfg(windows)]
use crate::{error::Error, windows::process::Process};
use allograft_image::crt::{Crt, CrtKind};
use allograft_image::{ImageSummary, Machine, Result};
use allograft_inject::{HeapState, State};
use std::path::Path;
#[cfg(windows)]
use std::{ffi::OsStr, io, os::windows::ffi::OsStrExt};
#[cfg(windows)]
use windows_sys::Win32::Foundation::{
    ERROR_BAD_EXE_FORMAT, ERROR_ELEVATION_REQUIRED, ERROR_EXE_MACHINE_TYPE_MISMATCH,
    ERROR_FILE_NOT_FOUND, ERROR_INVALID_EXE_SIGNATURE, ERROR_PATH_NOT_FOUND,
};

/// From this length on some systems do not start a program.
#[cfg(windows)]
const MAX_PATH: usize = windows_sys::Win32::Foundation::MAX_PATH as usize;

/// The error for the program at `path`, which the user calls `name` and the system did not start.
#[cfg(windows)]
pub fn start_failure(path: &Path, name: &OsStr, error: &io::Error) -> Error {
    let reason = match error.raw_os_error().unwrap_or_default().cast_unsigned() {
        ERROR_FILE_NOT_FOUND | ERROR_PATH_NOT_FOUND => match path.as_os_str().encode_wide().count()
        {
            0..MAX_PATH => return Error::program_not_found(name),
            length => format!(
                "its path has {length} characters, more than this system starts a program with: \
                 move it to a folder with a shorter path"
            ),
        },
        ERROR_BAD_EXE_FORMAT | ERROR_EXE_MACHINE_TYPE_MISMATCH | ERROR_INVALID_EXE_SIGNATURE => {
            why_not_executable(allograft_image::summary(path))
        }
        ERROR_ELEVATION_REQUIRED => {
            "it needs administrator rights: run allograft as administrator".to_owned()
        }
        _ => error.to_string(),
    };
    Error::not_executable(path, reason)
}

/// Why the system refuses to start a file of which `summary` could be read.
fn why_not_executable(summary: Result<ImageSummary>) -> String {
    match summary {
        Ok(image) if image.is_dll => "it is a DLL".to_owned(),
        Ok(image) => match image.machine {
            machine if machine == Machine::OWN => "Windows refuses it".to_owned(),
            Machine::X86 => "it is a 32-bit program, and this system runs none".to_owned(),
            Machine::X64 => "it is a 64-bit program, and this system runs none".to_owned(),
            other => format!("it is a program for {other}"),
        },
        Err(allograft_image::Error::NotAnImage(_)) => "it is not a program for Windows".to_owned(),
        Err(error) => error.to_string(),
    }
}

/// The machine that a module is made for, given what could be read of its file, or what makes the
/// file unfit to be a module.
pub fn machine_of_module(summary: Result<ImageSummary>) -> std::result::Result<Machine, String> {
    match summary {
        Ok(image) if image.is_dll => Ok(image.machine),
        Ok(_) => Err("it is not a DLL".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Why `program` is on its own heap although `module` was to be loaded into it. None if it is on
/// mimalloc.
pub fn why_on_own_heap(
    reading: &PageReading,
    module: &Path,
    program: &RunningProgram,
) -> Option<String> {
    match reading.state {
        Some(State::Active) if reading.is_on_mimalloc() => None,
        Some(State::Active) => program.why_only_windows_own(&reading.process_heap),
        Some(State::NoRuntime) => Some(program.why_no_runtime(&reading.process_heap)),
        Some(State::Failed) if reading.message.is_empty() => {
            Some("the module gave no reason".to_owned())
        }
        Some(State::Failed) => Some(reading.message.clone()),
        Some(State::Disabled) => {
            Some("the module was told to do nothing (MIMALLOC_DISABLE_REDIRECT)".to_owned())
        }
        None | Some(State::Empty | State::Attaching) => {
            Some(why_not_loaded(module, refusal_of(module), program.policy))
        }
    }
}

/// Why the system lets no program load `module`; none if it lets this one.
pub fn why_nobody_loads(module: &Path) -> Option<String> {
    refusal_of(module).map(|code| why_not_loaded(module, Some(code), None))
}

/// The system's error code, if it does not let any program load `module`.
fn refusal_of(module: &Path) -> Option<u32> {
    #[cfg(windows)]
    return crate::windows::refusal::error_code(module);
    #[cfg(not(windows))]
    let _ = module;
    #[cfg(not(windows))]
    None
}

/// Why the system did not load `module` into a process: by the error `code` that it gives other
/// programs too, or by the `policy` of the process.
fn why_not_loaded(module: &Path, code: Option<u32>, policy: Option<&str>) -> String {
    const FILE_NOT_FOUND: u32 = 2;
    const PATH_NOT_FOUND: u32 = 3;
    const ACCESS_DENIED: u32 = 5;
    const BAD_FORMAT: u32 = 193;
    const VIRUS_INFECTED: u32 = 225;
    const VIRUS_DELETED: u32 = 226;
    const INVALID_IMAGE_HASH: u32 = 577;
    const DISABLED_BY_POLICY: u32 = 1260;
    const INTEGRITY_POLICY_VIOLATION: u32 = 4551;

    let module = module.display();
    let reason = match (code, policy) {
        (Some(FILE_NOT_FOUND | PATH_NOT_FOUND), _) => {
            "it is not there: unpack allograft again, and see whether a virus scanner removes it".to_owned()
        }
        (Some(ACCESS_DENIED), _) => {
            "this user may not read it: give the user the right, or copy allograft to another folder".to_owned()
        }
        (Some(BAD_FORMAT), _) => "the file is damaged: unpack allograft again".to_owned(),
        (Some(VIRUS_INFECTED | VIRUS_DELETED), _) => {
            "the virus scanner blocks it (compare its checksum with the release's, then allow the file)".to_owned()
        }
        (Some(INVALID_IMAGE_HASH), _) => {
            "a policy of this machine admits signed modules only (error 577): allow the file in the policy, or sign it".to_owned()
        }
        (Some(DISABLED_BY_POLICY), _) => {
            "AppLocker or a software restriction policy blocks it (error 1260): have an administrator allow the file".to_owned()
        }
        (Some(INTEGRITY_POLICY_VIOLATION), _) => {
            "Smart App Control or an App Control policy blocks it (error 4551): allow the file, or turn Smart App Control off".to_owned()
        }
        (Some(code), _) => format!("{}", std::io::Error::from_raw_os_error(code.cast_signed())),
        (None, Some(policy)) => return format!("Windows did not load {module} into it: {policy}"),
        (None, None) => {
            return format!(
                "Windows did not load {module} into it (a policy or security software may forbid it), \
                 or that is no module of allograft"
            );
        }
    };
    format!("Windows did not load {module}: {reason}")
}

/// What can be seen of a running program from outside.
#[derive(Debug, Default)]
pub struct RunningProgram {
    /// None if its file could not be read.
    pub image: Option<ImageSummary>,
    /// The file names of the DLLs that it has loaded.
    pub loaded: Vec<String>,
    /// What its own policies forbid that a module from outside needs.
    pub policy: Option<&'static str>,
}

impl RunningProgram {
    /// Looks at the program of `process`, as far as the process permits it.
    #[cfg(windows)]
    pub fn observe(process: &Process) -> RunningProgram {
        RunningProgram {
            image: process.image_path().and_then(|path| allograft_image::summary(&path).ok()),
            loaded: process.loaded_modules(),
            policy: crate::windows::refusal::policy_of(process),
        }
    }

    fn why_no_runtime(&self, heap: &ProcessHeapReading) -> String {
        match self.runtime() {
            None => why_not_served(heap),
            Some(crt) if crt.taken_over => {
                format!("the module did not find {} in it", crt.file)
            }
            Some(crt) => format!(
                "its C runtime is {} ({}), which allograft does not take over",
                crt.file, crt.origin
            ),
        }
    }

    /// Why the takeover of `msvcrt.dll` alone does not help the program. None if the program has a
    /// C runtime, whichever it is.
    fn why_only_windows_own(&self, heap: &ProcessHeapReading) -> Option<String> {
        self.runtime().is_none().then(|| {
            let reason = why_not_served(heap);
            format!("{reason}; only msvcrt.dll was taken over, which Windows' own DLLs use")
        })
    }

    /// The C runtime that the program's file imports, or else one that a DLL of its own brought in.
    /// `msvcrt.dll` counts only as an import of the program: half of Windows' own DLLs use it.
    fn runtime(&self) -> Option<&'static Crt> {
        let imported = self.image.iter().flat_map(|image| &image.crt_imports);
        let loaded = self.loaded.iter().filter_map(|name| Crt::from_module(name));
        imported.copied().chain(loaded.filter(|crt| crt.kind != CrtKind::System)).next()
    }
}

/// Why a program without a C runtime of its own is not served through the process's heap.
fn why_not_served(heap: &ProcessHeapReading) -> String {
    let reason = match heap.state {
        Some(HeapState::Off) => ", as --heap off or ALLOGRAFT_HEAP=off asks".to_owned(),
        _ if heap.reason.is_empty() => {
            return "it has no C runtime DLL and does not import the heap functions, so there is \
                    nothing that could be redirected"
                .to_owned();
        }
        _ => format!(": {}", heap.reason),
    };
    format!("it has no C runtime DLL, and its calls of HeapAlloc are left alone{reason}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page_reading::sample::{self, add_runtime, leave_heap_alone, serve_heap};
    use allograft_image::{Error, Subsystem};
    use allograft_inject::Page;

    fn program(machine: Machine, runtimes: &[&str]) -> ImageSummary {
        ImageSummary {
            machine,
            is_dll: false,
            subsystem: Subsystem::Console,
            is_dotnet: false,
            crt_imports: runtimes.iter().map(|name| Crt::from_module(name).unwrap()).collect(),
        }
    }

    fn module(machine: Machine) -> ImageSummary {
        ImageSummary { is_dll: true, ..program(machine, &[]) }
    }

    #[test]
    fn a_file_that_the_system_does_not_start_is_named_as_what_it_is() {
        let (other, bitness) = match Machine::OWN {
            Machine::X86 => (Machine::X64, "it is a 64-bit program, and this system runs none"),
            _ => (Machine::X86, "it is a 32-bit program, and this system runs none"),
        };
        for (summary, reason) in [
            (Ok(program(other, &[])), bitness),
            (Err(Error::NotAnImage("it is a text")), "it is not a program for Windows"),
            (Ok(module(Machine::X64)), "it is a DLL"),
            (Ok(program(Machine::Arm64, &[])), "it is a program for ARM64"),
        ] {
            assert_eq!(why_not_executable(summary), reason);
        }
    }

    #[test]
    fn a_module_is_a_dll_for_one_machine() {
        for machine in [Machine::X86, Machine::X64] {
            assert_eq!(machine_of_module(Ok(module(machine))), Ok(machine));
        }
        assert_eq!(
            machine_of_module(Ok(program(Machine::X64, &[]))),
            Err("it is not a DLL".to_owned())
        );
    }

    fn running(runtimes: &[&str], loaded: &[&str]) -> RunningProgram {
        RunningProgram {
            image: Some(program(Machine::X64, runtimes)),
            loaded: loaded.iter().map(|&name| name.to_owned()).collect(),
            policy: None,
        }
    }

    fn heap(change: impl FnOnce(&mut Page)) -> ProcessHeapReading {
        let mut page = sample::page(State::NoRuntime);
        change(&mut page);
        PageReading::new(&page, "game.exe").process_heap
    }

    #[test]
    fn what_the_module_did_not_take_over_is_named() {
        const NOTHING: &str = "it has no C runtime DLL and does not import the heap functions, so \
                               there is nothing that could be redirected";
        const UNSUPPORTED: &str = "its C runtime is msvcr120d.dll (Visual C++ 2013, debug build), \
                                   which allograft does not take over";
        let heap = heap(|page| serve_heap(page, HeapState::FreeSide));
        for (imported, loaded, reason) in [
            (&[][..], &["KERNEL32.DLL", "msvcrt.dll"][..], NOTHING),
            (&["msvcr120d.dll"], &["MSVCR120d.dll"], UNSUPPORTED),
            (&[], &["KERNEL32.DLL", "MSVCR120d.dll"], UNSUPPORTED),
            (&["ucrtbase.dll"], &[], "the module did not find ucrtbase.dll in it"),
        ] {
            assert_eq!(running(imported, loaded).why_no_runtime(&heap), reason);
        }
        assert_eq!(RunningProgram::default().why_no_runtime(&heap), NOTHING);
    }

    #[test]
    fn a_program_whose_heap_is_left_alone_gets_the_reason() {
        let off = heap(|page| serve_heap(page, HeapState::Off));
        let reason = RunningProgram::default().why_no_runtime(&off);
        assert!(reason.contains("--heap off or ALLOGRAFT_HEAP=off"), "{reason}");
        let alone = heap(|page| leave_heap_alone(page, "page heap is on"));
        let reason = RunningProgram::default().why_only_windows_own(&alone).unwrap();
        assert!(
            reason.contains("its calls of HeapAlloc are left alone: page heap is on;"),
            "{reason}"
        );
    }

    #[test]
    fn the_runtime_of_windows_own_dlls_is_not_taken_for_the_programs() {
        let loaded = ["KERNEL32.DLL", "msvcrt.dll"];
        let heap = heap(|page| serve_heap(page, HeapState::FreeSide));
        let reason = running(&[], &loaded).why_only_windows_own(&heap).unwrap();
        assert!(
            reason.ends_with("only msvcrt.dll was taken over, which Windows' own DLLs use"),
            "{reason}"
        );
        assert_eq!(running(&["msvcrt.dll"], &loaded).why_only_windows_own(&heap), None);
        assert_eq!(running(&[], &["MSVCR120.dll"]).why_only_windows_own(&heap), None);
    }

    #[test]
    fn why_a_module_was_not_loaded_is_one_line_that_names_it_and_what_to_do() {
        let why = |code, policy| why_not_loaded(Path::new("allograft.dll"), code, policy);
        for code in [2, 3, 5, 193, 225, 226, 577, 1260, 4551, 126] {
            let line = why(Some(code), Some("it admits nothing"));
            assert!(line.starts_with("Windows did not load allograft.dll: "), "{line}");
            assert!(!line.contains("it admits nothing") && !line.contains('\n'), "{line}");
        }
        assert!(why(Some(4551), None).contains("Smart App Control"));
        assert!(why(Some(225), None).contains("virus scanner"));
        let by_policy = why(None, Some("it admits nothing"));
        assert_eq!(by_policy, "Windows did not load allograft.dll into it: it admits nothing");
        assert!(why(None, None).contains("or that is no module of allograft"));
    }

    fn why(page: &Page) -> Option<String> {
        let reading = PageReading::new(page, "game.exe");
        why_on_own_heap(&reading, Path::new("allograft.dll"), &RunningProgram::default())
    }

    #[test]
    fn everything_but_a_takeover_has_a_reason() {
        let mut taken_over = sample::page(State::Active);
        add_runtime(&mut taken_over, "msvcrt.dll", [0; 4], 3);
        assert!(why(&taken_over).unwrap().contains("only msvcrt.dll was taken over"));
        serve_heap(&mut taken_over, HeapState::Program);
        assert_eq!(why(&taken_over), None);
        serve_heap(&mut taken_over, HeapState::FreeSide);
        add_runtime(&mut taken_over, "ucrtbase.dll", [0; 4], 3);
        *taken_over.status.runtime_count.get_mut() = u32::MAX;
        assert_eq!(why(&taken_over), None);
        let mut unknown = sample::page(State::Empty);
        *unknown.status.state.get_mut() = 77;
        for page in [unknown, sample::page(State::Empty), sample::page(State::Attaching)] {
            assert!(why(&page).unwrap().contains("did not load allograft.dll"));
        }
        assert!(why(&sample::page(State::NoRuntime)).unwrap().contains("nothing that could"));
        let disabled = why(&sample::page(State::Disabled)).unwrap();
        assert!(disabled.contains("MIMALLOC_DISABLE_REDIRECT"), "{disabled}");
    }

    #[test]
    fn a_failure_carries_the_modules_reason_on_one_line() {
        let mut page = sample::page(State::Failed);
        assert_eq!(why(&page).unwrap(), "the module gave no reason");
        page.status.message[..16].copy_from_slice(b"no room\r\n\x1b[31m\xff ");
        assert_eq!(why(&page).unwrap(), "no room   [31m\u{fffd}");
    }
}
