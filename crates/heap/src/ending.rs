//! Whether the process is ending: the loader has killed all threads but one, and calls the DLLs for
//! the last time.

crate::c_symbol!("allograft_process_ends", process_ends);

// Exported since Windows XP, and in no import library.
#[cfg_attr(
    target_arch = "x86",
    link(name = "ntdll", kind = "raw-dylib", import_name_type = "undecorated")
)]
#[cfg_attr(not(target_arch = "x86"), link(name = "ntdll", kind = "raw-dylib"))]
unsafe extern "system" {
    fn RtlDllShutdownInProgress() -> u8;
}

/// Whether it is. Called by the C side too, off the hot path.
pub extern "C" fn process_ends() -> bool {
    // SAFETY: has no preconditions.
    unsafe { RtlDllShutdownInProgress() != 0 }
}
