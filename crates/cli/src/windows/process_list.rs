//! The list of all processes.

use super::last_error;
use crate::error::Error;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use windows_sys::Win32::Foundation::{FALSE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::System::Diagnostics::ToolHelp::{
    CreateToolhelp32Snapshot, PROCESSENTRY32W, Process32FirstW, Process32NextW, TH32CS_SNAPPROCESS,
};

/// The id of the one process that runs a file called `name`. Case does not matter, and `.exe` may
/// be left off.
pub fn find(name: &str) -> Result<u32, Error> {
    let pids: Vec<u32> =
        all()?.into_iter().filter(|(_, file)| is_called(file, name)).map(|(pid, _)| pid).collect();
    the_only(&pids, name)
}

fn the_only(pids: &[u32], name: &str) -> Result<u32, Error> {
    match pids {
        [] => Err(Error::new(format!("no process runs {name}"))),
        [pid] => Ok(*pid),
        _ => {
            let listed: Vec<String> = pids.iter().map(u32::to_string).collect();
            Err(Error::new(format!(
                "{} processes run {name}: choose one with --pid ({})",
                pids.len(),
                listed.join(", ")
            )))
        }
    }
}

fn is_called(file: &str, name: &str) -> bool {
    let file = file.to_lowercase();
    let name = name.to_lowercase();
    file == name || file.strip_suffix(".exe") == Some(&name)
}

/// Ids and file names of all processes, in the order of the ids.
pub fn all() -> Result<Vec<(u32, String)>, Error> {
    // SAFETY: the call takes no pointers.
    let snapshot = unsafe { CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0) };
    if snapshot == INVALID_HANDLE_VALUE {
        return Err(last_error("list the processes"));
    }
    // SAFETY: the call above opened the handle for this function alone.
    let snapshot = unsafe { OwnedHandle::from_raw_handle(snapshot) };
    let mut entry =
        PROCESSENTRY32W { dwSize: size_of::<PROCESSENTRY32W>() as u32, ..Default::default() };
    let mut processes = Vec::new();
    // SAFETY: the handle is a snapshot of processes, and `dwSize` is the size of the entry.
    let mut more = unsafe { Process32FirstW(snapshot.as_raw_handle(), &mut entry) };
    while more != FALSE {
        let name = entry.szExeFile.split(|&unit| unit == 0).next().unwrap_or_default();
        processes.push((entry.th32ProcessID, String::from_utf16_lossy(name)));
        // SAFETY: the system leaves `dwSize` as it is.
        more = unsafe { Process32NextW(snapshot.as_raw_handle(), &mut entry) };
    }
    processes.sort_unstable();
    Ok(processes)
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

    #[test]
    fn several_processes_of_one_name_are_listed() {
        let error = the_only(&[12, 345], "game.exe").unwrap_err();
        assert_eq!(error.to_string(), "2 processes run game.exe: choose one with --pid (12, 345)");
    }
}
