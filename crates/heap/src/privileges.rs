//! The calls with which mimalloc asks for large pages, if `MIMALLOC_ALLOW_LARGE_OS_PAGES` or
//! `MIMALLOC_RESERVE_HUGE_OS_PAGES` asks it to.
//!
//! They live in advapi32, which the module must not import (it would load before the program's own
//! DLLs); it is loaded when one of these options is used, and not before.

use core::ffi::c_void;
use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::System::LibraryLoader::{GetProcAddress, LoadLibraryA};
use windows_sys::core::BOOL;

crate::c_symbol!("allograft_open_process_token", allograft_open_process_token);
crate::c_symbol!("allograft_lookup_privilege", allograft_lookup_privilege);
crate::c_symbol!("allograft_adjust_privileges", allograft_adjust_privileges);

type Procedure = unsafe extern "system" fn() -> isize;

fn advapi32(name: &core::ffi::CStr) -> Option<Procedure> {
    // SAFETY: both names are NUL-terminated.
    unsafe {
        let library = LoadLibraryA(c"advapi32.dll".as_ptr().cast());
        if library.is_null() {
            return None;
        }
        GetProcAddress(library, name.as_ptr().cast())
    }
}

/// `OpenProcessToken`; fails where advapi32 cannot be loaded.
unsafe extern "C" fn allograft_open_process_token(
    process: HANDLE,
    access: u32,
    token: *mut HANDLE,
) -> BOOL {
    type Call = unsafe extern "system" fn(HANDLE, u32, *mut HANDLE) -> BOOL;
    let Some(call) = advapi32(c"OpenProcessToken") else {
        return 0;
    };
    // SAFETY: the signature is the function's, the arguments are mimalloc's.
    unsafe { core::mem::transmute::<Procedure, Call>(call)(process, access, token) }
}

/// `LookupPrivilegeValueW`; fails where advapi32 cannot be loaded.
unsafe extern "C" fn allograft_lookup_privilege(
    system: *const u16,
    name: *const u16,
    id: *mut c_void,
) -> BOOL {
    type Call = unsafe extern "system" fn(*const u16, *const u16, *mut c_void) -> BOOL;
    let Some(call) = advapi32(c"LookupPrivilegeValueW") else {
        return 0;
    };
    // SAFETY: the signature is the function's, the arguments are mimalloc's.
    unsafe { core::mem::transmute::<Procedure, Call>(call)(system, name, id) }
}

/// `AdjustTokenPrivileges`; fails where advapi32 cannot be loaded.
unsafe extern "C" fn allograft_adjust_privileges(
    token: HANDLE,
    disable: BOOL,
    next: *const c_void,
    size: u32,
    previous: *mut c_void,
    needed: *mut u32,
) -> BOOL {
    type Call =
        unsafe extern "system" fn(HANDLE, BOOL, *const c_void, u32, *mut c_void, *mut u32) -> BOOL;
    let Some(call) = advapi32(c"AdjustTokenPrivileges") else {
        return 0;
    };
    // SAFETY: the signature is the function's, the arguments are mimalloc's.
    unsafe {
        core::mem::transmute::<Procedure, Call>(call)(token, disable, next, size, previous, needed)
    }
}
