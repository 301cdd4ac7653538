//! Who has made what others share with this process.

use core::ffi::c_void;
use core::mem::size_of_val;
use core::ptr::null_mut;

use allograft_status::trust::{self, Reader};
use windows_sys::Win32::Foundation::{CloseHandle, HANDLE, NTSTATUS};
use windows_sys::Win32::Security::{
    LABEL_SECURITY_INFORMATION, OWNER_SECURITY_INFORMATION, TOKEN_INFORMATION_CLASS, TOKEN_QUERY,
    TokenIntegrityLevel, TokenOwner,
};
use windows_sys::Win32::System::Threading::GetCurrentProcess;

// The documented functions for this are advapi32's, which the module does not import.
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
}

/// Room for what the system tells; in words, for the alignment. An identifier takes 68 bytes at
/// most.
type Answer = [usize; 64];

/// Whether the maker of `section` may tell this process what to do. False if the system does not
/// say who it was.
pub(crate) fn made_by_the_trusted(section: HANDLE) -> bool {
    let mut descriptor: Answer = [0; 64];
    let parts = OWNER_SECURITY_INFORMATION | LABEL_SECURITY_INFORMATION;
    // SAFETY: the handle is open, and the buffer has the size said.
    let told = unsafe {
        let (place, size) = (descriptor.as_mut_ptr().cast(), size_of_val(&descriptor));
        NtQuerySecurityObject(section, parts, place, size as u32, &mut 0)
    };
    let mut token: HANDLE = null_mut();
    // SAFETY: the place is ours.
    if told != 0 || unsafe { NtOpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &mut token) } != 0
    {
        return false;
    }
    let (mut owner, mut label): (Answer, Answer) = ([0; 64], [0; 64]);
    ask(token, TokenOwner, &mut owner);
    ask(token, TokenIntegrityLevel, &mut label);
    // SAFETY: the handle was just opened, and nobody else has it.
    unsafe { CloseHandle(token) };
    let reader = || {
        Some(Reader { owner: identifier(&owner)?, integrity: trust::level(identifier(&label)?)? })
    };
    reader().is_some_and(|reader| reader.trusts(bytes(&descriptor)))
}

/// Asks for what the system says of `token`; `answer` stays as it is if that is nothing.
fn ask(token: HANDLE, class: TOKEN_INFORMATION_CLASS, answer: &mut Answer) {
    let (place, size) = (answer.as_mut_ptr().cast(), size_of_val(answer));
    // SAFETY: the handle is open, and the buffer has the size said.
    unsafe { NtQueryInformationToken(token, class, place, size as u32, &mut 0) };
}

/// The security identifier in an answer of one of these classes, which begins with its address: it
/// lies further on in the answer.
fn identifier(answer: &Answer) -> Option<&[u8]> {
    let offset = answer[0].checked_sub(answer.as_ptr().addr())?;
    trust::identifier(bytes(answer), offset)
}

fn bytes(answer: &Answer) -> &[u8] {
    // SAFETY: any words are so many bytes.
    unsafe { core::slice::from_raw_parts(answer.as_ptr().cast(), size_of_val(answer)) }
}
