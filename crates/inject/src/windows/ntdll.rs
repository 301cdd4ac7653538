//! Who made a section, and who runs a process: asked of ntdll. The documented functions for this
//! are advapi32's, which the module does not import.

use core::ffi::c_void;
use core::ptr::null_mut;

use windows_sys::Win32::Foundation::{CloseHandle, HANDLE, NTSTATUS};
use windows_sys::Win32::Security::{
    LABEL_SECURITY_INFORMATION, OWNER_SECURITY_INFORMATION, TOKEN_INFORMATION_CLASS, TOKEN_QUERY,
    TokenAppContainerSid, TokenIntegrityLevel, TokenOwner, TokenUser,
};

use crate::security::Sid;
use crate::system::{SystemError, SystemResult, TokenSid};

#[cfg_attr(
    target_arch = "x86",
    link(name = "ntdll", kind = "raw-dylib", import_name_type = "undecorated")
)]
#[cfg_attr(not(target_arch = "x86"), link(name = "ntdll", kind = "raw-dylib"))]
unsafe extern "system" {
    fn NtOpenProcessToken(process: HANDLE, access: u32, token: *mut HANDLE) -> NTSTATUS;
    fn NtQueryInformationToken(
        token: HANDLE,
        class: TOKEN_INFORMATION_CLASS,
        data: *mut c_void,
        size: u32,
        needed: *mut u32,
    ) -> NTSTATUS;
    fn NtQuerySecurityObject(
        object: HANDLE,
        parts: u32,
        descriptor: *mut c_void,
        size: u32,
        needed: *mut u32,
    ) -> NTSTATUS;
    fn RtlNtStatusToDosError(status: NTSTATUS) -> u32;
}

/// The result of a call of ntdll.
fn check_status(status: NTSTATUS) -> SystemResult<()> {
    // SAFETY: maps a number to another.
    if status >= 0 { Ok(()) } else { Err(SystemError(unsafe { RtlNtStatusToDosError(status) })) }
}

/// Room for what ntdll returns: aligned for pointers, and longer than any identifier with what
/// leads to it.
type Answer = [usize; 64];

fn answer_bytes(answer: &Answer) -> &[u8] {
    // SAFETY: the bytes of numbers are initialised.
    unsafe { core::slice::from_raw_parts(answer.as_ptr().cast(), size_of_val(answer)) }
}

pub(super) fn section_security(section: HANDLE, descriptor: &mut [u8]) -> SystemResult<()> {
    let mut answer: Answer = [0; 64];
    let parts = OWNER_SECURITY_INFORMATION | LABEL_SECURITY_INFORMATION;
    let size = size_of_val(&answer) as u32;
    // SAFETY: `answer` has this size, and the ignored length can be written.
    check_status(unsafe {
        NtQuerySecurityObject(section, parts, answer.as_mut_ptr().cast(), size, &mut 0)
    })?;
    for (to, from) in descriptor.iter_mut().zip(answer_bytes(&answer)) {
        *to = *from;
    }
    Ok(())
}

pub(super) fn token_sid(process: HANDLE, which: TokenSid) -> SystemResult<Sid> {
    let class = match which {
        TokenSid::User => TokenUser,
        TokenSid::Owner => TokenOwner,
        TokenSid::Integrity => TokenIntegrityLevel,
    };
    const INVALID_SID: SystemError = SystemError(1337);
    read_sid(process, class)?.ok_or(INVALID_SID)
}

/// A system that does not know the class of information has no containers.
pub(super) fn container(process: HANDLE) -> Option<Sid> {
    read_sid(process, TokenAppContainerSid).ok().flatten()
}

/// The identifier in information of a class that begins with its address; none if that is null.
fn read_sid(process: HANDLE, class: TOKEN_INFORMATION_CLASS) -> SystemResult<Option<Sid>> {
    let mut token = null_mut();
    // SAFETY: `token` can be written.
    check_status(unsafe { NtOpenProcessToken(process, TOKEN_QUERY, &mut token) })?;
    let mut answer: Answer = [0; 64];
    let (place, size) = (answer.as_mut_ptr().cast(), size_of_val(&answer) as u32);
    // SAFETY: `answer` has this size, and the ignored length can be written.
    let status = unsafe { NtQueryInformationToken(token, class, place, size, &mut 0) };
    // SAFETY: the handle was just opened, and nobody else has it.
    unsafe { CloseHandle(token) };
    check_status(status)?;
    // The identifier itself is in the answer too.
    let offset = answer[0].wrapping_sub(answer.as_ptr().addr());
    Ok(Sid::read(answer_bytes(&answer), offset))
}
