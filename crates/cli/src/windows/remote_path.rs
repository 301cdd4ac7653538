//! A path inside another process, for the loader there to read.

use super::process::Process;
use super::{last_error, wide};
use crate::error::Error;
use std::ffi::c_void;
use std::path::Path;
use std::ptr;
use windows_sys::Win32::Foundation::{ERROR_ACCESS_DENIED, FALSE, GetLastError};
use windows_sys::Win32::System::Diagnostics::Debug::WriteProcessMemory;
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleW, GetProcAddress};
use windows_sys::Win32::System::Memory::{
    MEM_COMMIT, MEM_RELEASE, MEM_RESERVE, PAGE_READWRITE, VirtualAllocEx, VirtualFreeEx,
};
use windows_sys::core::{PCSTR, s, w};

/// Memory in another process that holds a NUL-terminated path. It stays there unless it is freed:
/// what reads it may outlive this program.
pub struct RemotePath {
    address: *mut c_void,
}

impl RemotePath {
    /// Writes `path` into `process`.
    ///
    /// # Errors
    ///
    /// If the process does not let us.
    pub fn write(process: &Process, path: &Path) -> Result<RemotePath, Error> {
        let units = wide(path.as_os_str());
        let size = size_of_val(&units[..]);
        // SAFETY: the handle is open; a new region of the other process is nobody else's.
        let address = unsafe {
            VirtualAllocEx(
                process.raw(),
                ptr::null(),
                size,
                MEM_RESERVE | MEM_COMMIT,
                PAGE_READWRITE,
            )
        };
        if address.is_null() {
            return Err(refusal(process, "get memory in"));
        }
        let remote = RemotePath { address };
        // SAFETY: the region has just been made, of this size, and `units` is as long.
        let written = unsafe {
            WriteProcessMemory(process.raw(), address, units.as_ptr().cast(), size, ptr::null_mut())
        };
        if written == FALSE {
            let error = refusal(process, "write to");
            remote.free(process);
            return Err(error);
        }
        Ok(remote)
    }

    /// Where it is, in the other process.
    pub fn address(&self) -> *mut c_void {
        self.address
    }

    /// Gives the memory back; nothing in `process`, the one that it was written to, may need it any
    /// more.
    pub fn free(self, process: &Process) {
        // SAFETY: the region is the one that `write` made, and this is its end. A process that has
        // ended has none to free, which is as good.
        unsafe { VirtualFreeEx(process.raw(), self.address, 0, MEM_RELEASE) };
    }
}

/// The error of the system call that just failed while doing `action` to `process`.
pub fn refusal(process: &Process, action: &str) -> Error {
    // SAFETY: asks for a number.
    match unsafe { GetLastError() } {
        ERROR_ACCESS_DENIED => Error::access_denied(process),
        _ => last_error(format!("{action} {process}")),
    }
}

/// The address of the function `name` of kernel32, which is the same in all processes of one
/// machine type until the system is started anew.
fn kernel_function(name: PCSTR) -> unsafe extern "system" fn() -> isize {
    // SAFETY: both names are NUL-terminated; kernel32 is always loaded.
    let found = unsafe { GetProcAddress(GetModuleHandleW(w!("kernel32.dll")), name) };
    found.expect("kernel32 has had this function since Windows NT")
}

/// A function of kernel32 that takes one argument the size of a pointer, as the start of a thread
/// and a procedure call do.
pub type OneArgument = unsafe extern "system" fn(*mut c_void) -> u32;

/// `LoadLibraryW`, by its address in every process.
pub fn load_library() -> OneArgument {
    // SAFETY: it takes one pointer and returns one; who calls it through this type sees the lower
    // half of the result.
    unsafe { std::mem::transmute(kernel_function(s!("LoadLibraryW"))) }
}

/// `SetEvent`, by its address in every process.
pub fn set_event() -> OneArgument {
    // SAFETY: it takes one handle, which is the size of a pointer, and returns a number of 32 bits.
    unsafe { std::mem::transmute(kernel_function(s!("SetEvent"))) }
}
