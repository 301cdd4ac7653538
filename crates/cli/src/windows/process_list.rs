//! Finding a process by the name of its program.

use super::last_error;
use crate::error::Error;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use windows_sys::Win32::Foundation::{FALSE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::System::Diagnostics::ToolHelp::{
    CreateToolhelp32Snapshot, PROCESSENTRY32W, Process32FirstW, Process32NextW, TH32CS_SNAPPROCESS,
};

/// The id of the one process that runs a file called `name`. Case does not matter, and `.exe` may
/// be left off.
///
/// # Errors
///
/// If there is none, or more than one.
pub fn find(name: &str) -> Result<u32, Error> {
    let mut pids: Vec<u32> =
        all()?.into_iter().filter(|(_, file)| is_called(file, name)).map(|(pid, _)| pid).collect();
    pids.sort_unstable();
    match pids[..] {
        [] => Err(Error::NoSuchName { name: name.to_owned() }),
        [pid] => Ok(pid),
        _ => Err(Error::Ambiguous { name: name.to_owned(), pids }),
    }
}

/// The ids of all processes there are now, in order.
///
/// # Errors
///
/// If the system does not list them.
pub fn pids() -> Result<Vec<u32>, Error> {
    let mut pids: Vec<u32> = all()?.into_iter().map(|(pid, _)| pid).collect();
    pids.sort_unstable();
    Ok(pids)
}

fn is_called(file: &str, name: &str) -> bool {
    let file = file.to_lowercase();
    let name = name.to_lowercase();
    file == name || file.strip_suffix(".exe") == Some(&name)
}

/// Ids and file names of all processes there are now.
fn all() -> Result<Vec<(u32, String)>, Error> {
    // SAFETY: no memory is handed over.
    let snapshot = unsafe { CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0) };
    if snapshot == INVALID_HANDLE_VALUE {
        return Err(last_error("list the processes"));
    }
    // SAFETY: the handle was just opened, and nobody else has it.
    let snapshot = unsafe { OwnedHandle::from_raw_handle(snapshot) };
    let mut entry =
        PROCESSENTRY32W { dwSize: size_of::<PROCESSENTRY32W>() as u32, ..Default::default() };
    let mut processes = Vec::new();
    // SAFETY: the handle is open, and the entry says its own size; so below.
    let mut more = unsafe { Process32FirstW(snapshot.as_raw_handle(), &mut entry) };
    while more != FALSE {
        processes.push((entry.th32ProcessID, file_name(&entry)));
        // SAFETY: as above.
        more = unsafe { Process32NextW(snapshot.as_raw_handle(), &mut entry) };
    }
    Ok(processes)
}

fn file_name(entry: &PROCESSENTRY32W) -> String {
    let used = entry.szExeFile.iter().take_while(|&&unit| unit != 0).count();
    String::from_utf16_lossy(&entry.szExeFile[..used])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_without_case_and_without_extension() {
        assert!(is_called("Game.exe", "game.EXE"));
        assert!(is_called("Game.exe", "game"));
        assert!(!is_called("Game.exe", "gam"));
        assert!(!is_called("game.exe.exe", "game"));
    }

    #[test]
    fn this_process_is_found_under_its_own_name() {
        let path = std::env::current_exe().unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        assert_eq!(find(name).unwrap(), std::process::id());
    }

    #[test]
    fn a_name_that_nobody_has_is_not_found() {
        let error = find("no-such-program").unwrap_err();
        assert_eq!(error.to_string(), "no process runs no-such-program");
    }
}
