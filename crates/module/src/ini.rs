//! The settings of the process: its environment, and behind it `allograft.ini` beside the module,
//! for programs whose environment the user does not set.

use core::cell::UnsafeCell;
use core::ffi::CStr;
use core::ptr::null;
use core::sync::atomic::{AtomicBool, Ordering};

use windows_sys::Win32::Foundation::HMODULE;
use windows_sys::Win32::Storage::FileSystem::{GetFileAttributesW, INVALID_FILE_ATTRIBUTES};
use windows_sys::Win32::System::Environment::GetEnvironmentVariableW;
use windows_sys::Win32::System::LibraryLoader::GetModuleFileNameW;
use windows_sys::Win32::System::WindowsProgramming::GetPrivateProfileStringW;

use crate::config::{ini_key, replace_by_ini_path};

/// The file's full path, NUL-terminated.
struct IniPath(UnsafeCell<[u16; 1024]>);

// SAFETY: written once, by the thread that attaches, before `PRESENT` is set; only read afterwards.
unsafe impl Sync for IniPath {}

static PATH: IniPath = IniPath(UnsafeCell::new([0; 1024]));
static PRESENT: AtomicBool = AtomicBool::new(false);

/// Finds the file beside `module`. Called once, with the loader's lock held.
pub(crate) fn find(module: HMODULE) {
    // SAFETY: nobody reads the path before `PRESENT` is set.
    let path = unsafe { &mut *PATH.0.get() };
    // SAFETY: the buffer has as many units.
    let length =
        unsafe { GetModuleFileNameW(module, path.as_mut_ptr(), path.len() as u32) } as usize;
    if replace_by_ini_path(path, length) {
        // SAFETY: the path is NUL-terminated.
        let present = unsafe { GetFileAttributesW(path.as_ptr()) } != INVALID_FILE_ATTRIBUTES;
        PRESENT.store(present, Ordering::Release);
    }
}

/// Writes the text of the setting with this variable into `value`, NUL-terminated. Returns its
/// length, 0 if it is not set.
pub(crate) fn look_up(variable: &str, value: &mut [u16]) -> usize {
    let name = widen(variable);
    // SAFETY: the name is NUL-terminated, and the buffer has as many units.
    let length =
        unsafe { GetEnvironmentVariableW(name.as_ptr(), value.as_mut_ptr(), value.len() as u32) }
            as usize;
    if length != 0 && length < value.len() {
        return length;
    }
    value[0] = 0;
    read(variable, value)
}

/// As [`look_up`], in the file alone.
fn read(variable: &str, value: &mut [u16]) -> usize {
    let file_is_present = PRESENT.load(Ordering::Acquire);
    let Some((section, key)) = ini_key(variable).filter(|_| file_is_present) else {
        return 0;
    };
    let (section, key) = (widen(section), widen(key));
    // SAFETY: all strings are NUL-terminated, the buffer has as many units, and the path does not
    // change any more.
    unsafe {
        GetPrivateProfileStringW(
            section.as_ptr(),
            key.as_ptr(),
            null(),
            value.as_mut_ptr(),
            value.len() as u32,
            (*PATH.0.get()).as_ptr(),
        ) as usize
    }
}

/// ASCII text as UTF-16, NUL-terminated; cut at 63 characters.
fn widen(text: &str) -> [u16; 64] {
    let mut wide = [0; 64];
    for (unit, byte) in wide[..63].iter_mut().zip(text.bytes()) {
        *unit = byte.into();
    }
    wide
}

/// mimalloc's options, for `allograft_heap::look_up_options_with`: those that are not in the
/// environment.
pub(crate) fn mimalloc_option(name: &CStr, value: &mut [u8]) -> usize {
    let mut wide = [0u16; 64];
    let length = read(name.to_str().unwrap_or_default(), &mut wide).min(value.len() - 1);
    for (byte, unit) in value.iter_mut().zip(&wide[..length]) {
        *byte = *unit as u8;
    }
    value[length] = 0;
    length
}
