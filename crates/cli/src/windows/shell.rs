//! What Explorer does for a program: choosing a file, opening one, starting a program with an
//! administrator's rights.

use super::library::system_function;
use super::wide;
use crate::error::Error;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::windows::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::ptr;
use windows_sys::Win32::Foundation::{FALSE, HINSTANCE, HWND};
use windows_sys::Win32::UI::Controls::Dialogs::{
    OFN_FILEMUSTEXIST, OFN_HIDEREADONLY, OFN_NOCHANGEDIR, OPENFILENAMEW,
};
use windows_sys::Win32::UI::WindowsAndMessaging::SW_SHOWNORMAL;
use windows_sys::core::{BOOL, PCWSTR, w};

type GetOpenFileName = unsafe extern "system" fn(*mut OPENFILENAMEW) -> BOOL;
type ShellExecute =
    unsafe extern "system" fn(HWND, PCWSTR, PCWSTR, PCWSTR, PCWSTR, i32) -> HINSTANCE;

/// The longest path that the user can choose, in UTF-16 units.
const LONGEST_PATH: usize = 32_768;

/// Lets the user choose a file. `filters` are descriptions, each with its patterns. None if the
/// user changes their mind.
pub fn choose_file(owner: HWND, title: &str, filters: &[(&str, &str)]) -> Option<PathBuf> {
    let open = system_function!("comdlg32.dll", "GetOpenFileNameW", GetOpenFileName)?;
    let title = wide(OsStr::new(title));
    let mut filter: Vec<u16> = Vec::new();
    for text in filters.iter().flat_map(|(name, patterns)| [name, patterns]) {
        filter.extend(wide(OsStr::new(text)));
    }
    filter.push(0);
    let mut path = vec![0u16; LONGEST_PATH];
    let mut dialog = OPENFILENAMEW {
        lStructSize: size_of::<OPENFILENAMEW>() as u32,
        hwndOwner: owner,
        lpstrFilter: filter.as_ptr(),
        lpstrTitle: title.as_ptr(),
        lpstrFile: path.as_mut_ptr(),
        nMaxFile: path.len() as u32,
        Flags: OFN_FILEMUSTEXIST | OFN_HIDEREADONLY | OFN_NOCHANGEDIR,
        ..Default::default()
    };
    // SAFETY: the structure has its size in it; its texts end with a NUL, the filter with two, and
    // the buffer has the length that is passed. All live during the call.
    if unsafe { open(&mut dialog) } == FALSE {
        return None;
    }
    let length = path.iter().position(|&unit| unit == 0).unwrap_or(path.len());
    Some(PathBuf::from(OsString::from_wide(&path[..length])))
}

/// Opens `path` in the program that belongs to files of its kind.
pub fn open(owner: HWND, path: &Path) -> Result<(), Error> {
    execute(owner, w!("open"), path, "")
        .map_err(|source| Error::system(format_args!("open {}", path.display()), source))
}

/// Starts the program at `path` with the arguments in the string `arguments` and an administrator's
/// rights, which the system asks the user for.
pub fn start_as_administrator(owner: HWND, path: &Path, arguments: &str) -> Result<(), Error> {
    execute(owner, w!("runas"), path, arguments).map_err(|source| {
        Error::system(format_args!("start {} as administrator", path.display()), source)
    })
}

fn execute(owner: HWND, verb: PCWSTR, path: &Path, arguments: &str) -> io::Result<()> {
    let execute = system_function!("shell32.dll", "ShellExecuteW", ShellExecute)
        .ok_or_else(io::Error::last_os_error)?;
    let path = wide(path.as_os_str());
    let arguments = wide(OsStr::new(arguments));
    // SAFETY: all texts end with a NUL and live during the call.
    let result = unsafe {
        execute(owner, verb, path.as_ptr(), arguments.as_ptr(), ptr::null(), SW_SHOWNORMAL)
    };
    // By contract a value above 32 is success, and anything else is not.
    if result as usize > 32 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
