//! Who may look into what the launcher shares with a program.

use super::last_error;
use super::process::Process;
use crate::error::Error;
use std::ffi::c_void;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr::{self, NonNull};
use windows_sys::Win32::Foundation::{FALSE, LocalFree};
use windows_sys::Win32::Security::Authorization::{
    ConvertSidToStringSidW, ConvertStringSecurityDescriptorToSecurityDescriptorW, SDDL_REVISION_1,
};
use windows_sys::Win32::Security::{
    GetTokenInformation, PSID, TOKEN_INFORMATION_CLASS, TOKEN_MANDATORY_LABEL, TOKEN_QUERY,
    TOKEN_USER, TokenIntegrityLevel, TokenUser,
};
use windows_sys::Win32::System::Threading::OpenProcessToken;

/// A security descriptor, in memory of the system's.
pub struct Descriptor(LocalMemory);

impl Descriptor {
    /// Lets in the user of `process`, administrators and the system, and nobody else.
    ///
    /// It carries the integrity level of `process`: what an elevated launcher makes, a program that
    /// is not elevated could otherwise not write to.
    pub fn for_sharing_with(process: &Process) -> Result<Descriptor, Error> {
        let token = token(process)?;
        let user = sid_text(&token, TokenUser, |user: TOKEN_USER| user.User.Sid)?;
        let level =
            sid_text(&token, TokenIntegrityLevel, |label: TOKEN_MANDATORY_LABEL| label.Label.Sid)?;
        Descriptor::parse(&format!(
            "D:P(A;;GA;;;SY)(A;;GA;;;BA)(A;;GA;;;{user})S:(ML;;NW;;;{level})"
        ))
    }

    /// Makes a descriptor of the system's notation for it.
    fn parse(text: &str) -> Result<Descriptor, Error> {
        let units: Vec<u16> = text.encode_utf16().chain([0]).collect();
        let mut descriptor = ptr::null_mut();
        // SAFETY: the text is NUL-terminated, and the place is ours.
        let made = unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(
                units.as_ptr(),
                SDDL_REVISION_1,
                &mut descriptor,
                ptr::null_mut(),
            )
        };
        match NonNull::new(descriptor) {
            Some(memory) if made != FALSE => Ok(Descriptor(LocalMemory(memory))),
            _ => Err(last_error("describe who may share memory")),
        }
    }

    /// The descriptor as the system takes it, valid as long as this.
    pub fn as_ptr(&self) -> *mut c_void {
        self.0.0.as_ptr()
    }
}

/// Memory that the system allocated and wants back through `LocalFree`.
struct LocalMemory(NonNull<c_void>);

impl Drop for LocalMemory {
    fn drop(&mut self) {
        // SAFETY: it came from a call that says to free it so, and this is its only owner.
        unsafe { LocalFree(self.0.as_ptr()) };
    }
}

fn token(process: &Process) -> Result<OwnedHandle, Error> {
    let mut token = ptr::null_mut();
    // SAFETY: the handle is open, and the place is ours.
    if unsafe { OpenProcessToken(process.raw(), TOKEN_QUERY, &mut token) } == FALSE {
        return Err(last_error(format!("ask for the user of {process}")));
    }
    // SAFETY: the handle was just opened, and nobody else has it.
    Ok(unsafe { OwnedHandle::from_raw_handle(token) })
}

/// A security identifier of `token`'s as text: `sid` takes it out of the information of the
/// `class`, whose structure is `T`.
fn sid_text<T>(
    token: &OwnedHandle,
    class: TOKEN_INFORMATION_CLASS,
    sid: impl FnOnce(T) -> PSID,
) -> Result<String, Error> {
    // In units of pointers, for the alignment; no information asked for here is longer.
    let mut buffer = [0usize; 64];
    let mut used = 0;
    // SAFETY: the handle is open, and the buffer has the size said.
    let told = unsafe {
        GetTokenInformation(
            token.as_raw_handle(),
            class,
            buffer.as_mut_ptr().cast(),
            size_of_val(&buffer) as u32,
            &mut used,
        )
    };
    if told == FALSE {
        return Err(last_error("ask for the user of a process"));
    }
    // SAFETY: the system has filled in a structure of this type, whose pointer leads into the
    // buffer.
    let sid = sid(unsafe { buffer.as_ptr().cast::<T>().read() });
    let mut text = ptr::null_mut();
    // SAFETY: the identifier is the system's own, and the place is ours.
    let made = unsafe { ConvertSidToStringSidW(sid, &mut text) };
    match NonNull::new(text.cast::<c_void>()) {
        Some(memory) if made != FALSE => {
            let memory = LocalMemory(memory);
            Ok(read_text(&memory))
        }
        _ => Err(last_error("name the user of a process")),
    }
}

/// The NUL-terminated text in `memory`.
fn read_text(memory: &LocalMemory) -> String {
    let text = memory.0.as_ptr().cast::<u16>();
    let mut units = Vec::new();
    // SAFETY: the system has terminated it with a NUL, and no further is read.
    unsafe {
        while *text.add(units.len()) != 0 {
            units.push(*text.add(units.len()));
        }
    }
    String::from_utf16_lossy(&units)
}
