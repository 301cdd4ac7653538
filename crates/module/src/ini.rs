//! `allograft.ini` beside the module: for programs whose environment the user does not set.
//!
//! ```ini
//! [allograft]
//! log = C:\logs\game.log
//! report = C:\logs\game.json
//!
//! [mimalloc]
//! verbose = 1
//! ```

use core::cell::UnsafeCell;
use core::ffi::CStr;
use core::ptr::null;
use core::sync::atomic::{AtomicBool, Ordering};

use windows_sys::Win32::Foundation::HMODULE;
use windows_sys::Win32::Storage::FileSystem::{GetFileAttributesW, INVALID_FILE_ATTRIBUTES};
use windows_sys::Win32::System::LibraryLoader::GetModuleFileNameW;
use windows_sys::Win32::System::WindowsProgramming::GetPrivateProfileStringW;

const NAME: &[u8] = b"allograft.ini\0";

/// The file's full path, NUL-terminated.
struct IniPath(UnsafeCell<[u16; 1024]>);

// SAFETY: written once, by the thread that attaches, before `PRESENT` is set; only read afterwards.
unsafe impl Sync for IniPath {}

static PATH: IniPath = IniPath(UnsafeCell::new([0; 1024]));
static PRESENT: AtomicBool = AtomicBool::new(false);

/// Finds the file beside `module`.
pub(crate) fn find(module: HMODULE) {
    // SAFETY: nobody else uses the path yet.
    let path = unsafe { &mut *PATH.0.get() };
    // SAFETY: the buffer is as long.
    let length =
        unsafe { GetModuleFileNameW(module, path.as_mut_ptr(), path.len() as u32) } as usize;
    let folder = path[..length].iter().rposition(|&unit| unit == u16::from(b'\\'));
    let Some(start) = folder.map(|at| at + 1).filter(|at| at + NAME.len() <= path.len()) else {
        return;
    };
    for (unit, &byte) in path[start..].iter_mut().zip(NAME) {
        *unit = byte.into();
    }
    // SAFETY: the path is NUL-terminated.
    let present = unsafe { GetFileAttributesW(path.as_ptr()) } != INVALID_FILE_ATTRIBUTES;
    PRESENT.store(present, Ordering::Release);
}

/// Reads the value of `key` in `[section]` into `value`, NUL-terminated. Its length, 0 if it is not
/// there.
pub(crate) fn read(section: &str, key: &str, value: &mut [u16]) -> usize {
    if !PRESENT.load(Ordering::Acquire) {
        return 0;
    }
    let (mut wide_section, mut wide_key) = ([0u16; 32], [0u16; 64]);
    widen(section, &mut wide_section);
    widen(key, &mut wide_key);
    // SAFETY: all strings are NUL-terminated, the buffer is as long.
    unsafe {
        GetPrivateProfileStringW(
            wide_section.as_ptr(),
            wide_key.as_ptr(),
            null(),
            value.as_mut_ptr(),
            value.len() as u32,
            (*PATH.0.get()).as_ptr(),
        ) as usize
    }
}

fn widen(text: &str, to: &mut [u16]) {
    let room = to.len() - 1;
    for (unit, byte) in to[..room].iter_mut().zip(text.bytes()) {
        *unit = byte.into();
    }
}

/// mimalloc's options, for `allograft_heap::options`: `MIMALLOC_VERBOSE` is `verbose` in
/// `[mimalloc]`.
pub(crate) fn mimalloc_option(name: &CStr, value: &mut [u8]) -> usize {
    let name = name.to_str().unwrap_or_default();
    let prefix = "mimalloc_";
    let Some((head, key)) = name.split_at_checked(prefix.len()) else {
        return 0;
    };
    if !head.eq_ignore_ascii_case(prefix) {
        return 0;
    }
    let mut wide = [0u16; 64];
    let length = read("mimalloc", key, &mut wide).min(value.len() - 1);
    for (byte, unit) in value.iter_mut().zip(&wide[..length]) {
        *byte = *unit as u8;
    }
    value[length] = 0;
    length
}
