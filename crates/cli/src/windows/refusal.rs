//! Why the system does not load a module: asked after the fact, of the system and of the process
//! that should have loaded it.

use super::process::Process;
use super::{handle, wide};
use allograft_image::Machine;
use allograft_inject::{System, Windows};
use std::fs::File;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::Path;
use std::ptr::{null, null_mut};
use windows_sys::Win32::Foundation::{FALSE, FreeLibrary, GetLastError};
use windows_sys::Win32::System::LibraryLoader::{DONT_RESOLVE_DLL_REFERENCES, LoadLibraryExW};
use windows_sys::Win32::System::Memory::{CreateFileMappingW, PAGE_EXECUTE_READ, SEC_IMAGE};
use windows_sys::Win32::System::Threading::{
    GetProcessMitigationPolicy, PROCESS_MITIGATION_POLICY, ProcessControlFlowGuardPolicy,
    ProcessImageLoadPolicy, ProcessSignaturePolicy, ProcessUserShadowStackPolicy,
};

/// The system's error code, if it does not even let this program load `module`.
pub fn error_code(module: &Path) -> Option<u32> {
    let file = match File::open(module) {
        Ok(file) => file,
        Err(error) => return error.raw_os_error().map(i32::cast_unsigned),
    };
    // What the system checks of an image, it checks when a section is made of it, for modules of
    // either bitness.
    // SAFETY: the handle is open, and the section has no name.
    let section = unsafe {
        let flags = PAGE_EXECUTE_READ | SEC_IMAGE;
        CreateFileMappingW(file.as_raw_handle(), null(), flags, 0, 0, null())
    };
    if section.is_null() {
        return Some(last_error());
    }
    // SAFETY: the handle was just made, and nobody else has it.
    drop(unsafe { OwnedHandle::from_raw_handle(section) });
    // AppLocker is asked when a module is loaded. None of the module's code runs here.
    let is_own = allograft_image::summary(module).is_ok_and(|image| image.machine == Machine::OWN);
    let path = wide(module.as_os_str());
    if !is_own {
        return None;
    }
    // SAFETY: the path ends with a NUL; what was loaded is freed once.
    unsafe {
        let loaded = LoadLibraryExW(path.as_ptr(), null_mut(), DONT_RESOLVE_DLL_REFERENCES);
        if loaded.is_null() {
            return Some(last_error());
        }
        FreeLibrary(loaded);
    }
    None
}

/// What the process itself forbids that a module from outside needs.
pub fn policy_of(process: &Process) -> Option<&'static str> {
    const MICROSOFT_SIGNED_ONLY: u32 = 1;
    const STORE_SIGNED_ONLY: u32 = 2;
    const NO_REMOTE_IMAGES: u32 = 1;
    const NO_LOW_LABEL_IMAGES: u32 = 2;
    const STRICT_CONTROL_FLOW_GUARD: u32 = 4;
    /// `BlockNonCetBinaries` and `BlockNonCetBinariesNonEhcont`.
    const SHADOW_STACK_IMAGES_ONLY: u32 = 0x20 | 0x40;

    let has = |policy, bit| flags_of(process, policy) & bit != 0;
    if has(ProcessSignaturePolicy, MICROSOFT_SIGNED_ONLY | STORE_SIGNED_ONLY) {
        Some("it admits modules signed by Microsoft or the Store only")
    } else if has(ProcessImageLoadPolicy, NO_REMOTE_IMAGES) {
        Some("it admits no modules from network folders: copy allograft to a local disk")
    } else if has(ProcessImageLoadPolicy, NO_LOW_LABEL_IMAGES) {
        Some("it admits no modules of low integrity: copy allograft to another folder")
    } else if has(ProcessControlFlowGuardPolicy, STRICT_CONTROL_FLOW_GUARD) {
        Some("it admits only modules built with Control Flow Guard (its strict mode)")
    } else if has(ProcessUserShadowStackPolicy, SHADOW_STACK_IMAGES_ONLY) {
        Some("it admits only modules built for shadow stacks (CET)")
    } else if Windows.container(handle(&process.handle())).is_some() {
        Some(
            "it runs in an AppContainer, which may read few folders: \
             copy allograft to one below Program Files",
        )
    } else {
        None
    }
}

/// The flags of a mitigation policy; 0 if the system does not say.
fn flags_of(process: &Process, policy: PROCESS_MITIGATION_POLICY) -> u32 {
    let mut flags = 0u32;
    // SAFETY: `process` keeps the handle open, and these policies are a number of this size.
    let known = unsafe {
        let place = (&raw mut flags).cast();
        GetProcessMitigationPolicy(process.raw(), policy, place, size_of::<u32>())
    };
    if known == FALSE { 0 } else { flags }
}

fn last_error() -> u32 {
    // SAFETY: reads a number of this thread.
    unsafe { GetLastError() }
}
