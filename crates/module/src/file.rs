//! Files that are opened when the module attaches and written until the process ends, when nothing
//! may be allocated any more.

use core::ptr::{null, null_mut};
use core::sync::atomic::{AtomicPtr, Ordering};

use allograft_inject::{FILE_PATH_UNITS, extended_length};
use windows_sys::Win32::Foundation::{
    ERROR_FILENAME_EXCED_RANGE, GENERIC_WRITE, GetLastError, HANDLE, INVALID_HANDLE_VALUE,
};
use windows_sys::Win32::Storage::FileSystem::{
    CREATE_ALWAYS, CreateFileW, FILE_APPEND_DATA, FILE_ATTRIBUTE_NORMAL, FILE_BEGIN,
    FILE_SHARE_DELETE, FILE_SHARE_READ, FILE_SHARE_WRITE, GetFullPathNameW, OPEN_ALWAYS,
    SetEndOfFile, SetFilePointerEx, WriteFile,
};

/// Longest full path of a file, in UTF-16 units: a path that is relative to the current folder
/// becomes longer.
const FULL_PATH_UNITS: usize = FILE_PATH_UNITS + 512;

/// What the prefix of a long path needs.
const PREFIX_UNITS: usize = 8;

/// A file that is open, or not yet. It is never closed.
pub(crate) struct File(AtomicPtr<core::ffi::c_void>);

impl File {
    pub(crate) const fn closed() -> File {
        File(AtomicPtr::new(null_mut()))
    }

    /// Opens the file at `path` (UTF-16, NUL-terminated) to be added to.
    pub(crate) fn open_to_append(&self, path: &[u16]) -> Result<(), u32> {
        self.open(path, FILE_APPEND_DATA, OPEN_ALWAYS)
    }

    /// Opens the file at `path` (UTF-16, NUL-terminated) to be written anew.
    pub(crate) fn open_to_replace(&self, path: &[u16]) -> Result<(), u32> {
        self.open(path, GENERIC_WRITE, CREATE_ALWAYS)
    }

    fn open(&self, path: &[u16], access: u32, disposition: u32) -> Result<(), u32> {
        let share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
        let (mut full, mut extended) = ([0; FULL_PATH_UNITS], [0; FULL_PATH_UNITS + PREFIX_UNITS]);
        let path = full_path(path, &mut full)
            .and_then(|path| extended_length(path, &mut extended))
            .ok_or(ERROR_FILENAME_EXCED_RANGE)?;
        // SAFETY: the path is NUL-terminated.
        let handle = unsafe {
            CreateFileW(
                path.as_ptr(),
                access,
                share,
                null(),
                disposition,
                FILE_ATTRIBUTE_NORMAL,
                null_mut(),
            )
        };
        if handle == INVALID_HANDLE_VALUE {
            // SAFETY: the call only reads the TEB.
            return Err(unsafe { GetLastError() });
        }
        self.0.store(handle, Ordering::Release);
        Ok(())
    }

    pub(crate) fn is_open(&self) -> bool {
        !self.0.load(Ordering::Acquire).is_null()
    }

    /// Writes at the end. What cannot be written is lost: a full disk is no reason to stop a
    /// program.
    pub(crate) fn append(&self, bytes: &[u8]) {
        write_to(self.0.load(Ordering::Acquire), bytes);
    }

    /// Makes `bytes` the whole of the file.
    pub(crate) fn replace(&self, bytes: &[u8]) {
        let handle = self.0.load(Ordering::Acquire);
        if handle.is_null() {
            return;
        }
        // SAFETY: the handle is open for good.
        unsafe { SetFilePointerEx(handle, 0, null_mut(), FILE_BEGIN) };
        self.append(bytes);
        // SAFETY: the handle is open for good, at the end of the new text.
        unsafe { SetEndOfFile(handle) };
    }
}

/// The full path of `path` (NUL-terminated), which is relative to the current folder of the
/// program.
fn full_path<'b>(path: &[u16], buffer: &'b mut [u16]) -> Option<&'b [u16]> {
    debug_assert_eq!(path.last(), Some(&0));
    // SAFETY: the path is NUL-terminated, and the buffer has as many units.
    let length = unsafe {
        GetFullPathNameW(path.as_ptr(), buffer.len() as u32, buffer.as_mut_ptr(), null_mut())
    } as usize;
    (0 < length && length < buffer.len()).then(|| &buffer[..length])
}

/// Writes to `handle`, unless there is none. The handle stays open.
pub(crate) fn write_to(handle: HANDLE, bytes: &[u8]) {
    if !handle.is_null() && handle != INVALID_HANDLE_VALUE {
        // SAFETY: by the contract the handle is open, and the bytes are as many.
        unsafe {
            WriteFile(handle, bytes.as_ptr(), bytes.len() as u32, &mut 0, null_mut());
        }
    }
}
