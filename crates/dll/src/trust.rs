//! Who has made what others share with this process.

use core::ffi::c_void;
use core::mem::{size_of, size_of_val};
use core::ptr::null_mut;

use allograft_status::trust::Reader;
use windows_sys::Win32::Foundation::{CloseHandle, HANDLE, NTSTATUS};
use windows_sys::Win32::Security::{
    LABEL_SECURITY_INFORMATION, OWNER_SECURITY_INFORMATION, TOKEN_INFORMATION_CLASS,
    TOKEN_MANDATORY_LABEL, TOKEN_OWNER, TOKEN_QUERY, TokenIntegrityLevel, TokenOwner,
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

/// Room for what the system tells; in words, for the alignment. An identifier takes 68 bytes at most.
type Answer = [usize; 64];

/// Whether the maker of `section` may tell this process what to do. False if the system does not say who it was.
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
    // SAFETY: the answers are of the classes asked for, and begin with these structures.
    let reader = unsafe {
        let known =
            ask(token, TokenOwner, &mut owner) && ask(token, TokenIntegrityLevel, &mut label);
        CloseHandle(token);
        known.then(|| {
            let owner = owner.as_ptr().cast::<TOKEN_OWNER>().read().Owner;
            let level = label
                .as_ptr()
                .cast::<TOKEN_MANDATORY_LABEL>()
                .read()
                .Label
                .Sid;
            Reader {
                owner: identifier(owner.cast()),
                integrity: last_number(identifier(level.cast())),
            }
        })
    };
    reader.is_some_and(|reader| reader.trusts(bytes(&descriptor)))
}

fn ask(token: HANDLE, class: TOKEN_INFORMATION_CLASS, answer: &mut Answer) -> bool {
    let (place, size) = (answer.as_mut_ptr().cast(), size_of_val(answer));
    // SAFETY: the handle is open, and the buffer has the size said.
    unsafe { NtQueryInformationToken(token, class, place, size as u32, &mut 0) == 0 }
}

/// The bytes of the security identifier at `sid`.
///
/// # Safety
/// The system has put it there, and it is there for as long as the result.
unsafe fn identifier<'a>(sid: *const u8) -> &'a [u8] {
    const HEADER: usize = 8;
    // SAFETY: the caller's promise; the second byte says how many numbers follow the header.
    unsafe {
        let numbers = usize::from(*sid.add(1));
        core::slice::from_raw_parts(sid, HEADER + numbers * size_of::<u32>())
    }
}

fn last_number(identifier: &[u8]) -> u32 {
    identifier
        .last_chunk()
        .map_or(u32::MAX, |bytes| u32::from_le_bytes(*bytes))
}

fn bytes(answer: &Answer) -> &[u8] {
    // SAFETY: any words are so many bytes.
    unsafe { core::slice::from_raw_parts(answer.as_ptr().cast(), size_of_val(answer)) }
}
