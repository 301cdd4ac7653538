//! What the Security Center says about the machine's virus scanner. Server editions have none.

use std::mem::transmute;
use std::ptr::null_mut;
use windows_sys::Win32::System::LibraryLoader::{
    GetProcAddress, LOAD_LIBRARY_SEARCH_SYSTEM32, LoadLibraryExW,
};
use windows_sys::core::HRESULT;
use windows_sys::{s, w};

/// In words, what is known of the virus scanner; none if the system does not say.
pub fn virus_scanner() -> Option<&'static str> {
    type WscGetSecurityProviderHealth = unsafe extern "system" fn(u32, *mut i32) -> HRESULT;
    const ANTIVIRUS: u32 = 4;
    const KNOWN: HRESULT = 0;
    const GOOD: i32 = 0;
    const NOT_MONITORED: i32 = 1;
    const POOR: i32 = 2;
    const SNOOZED: i32 = 3;

    let mut health = NOT_MONITORED;
    // SAFETY: both names end with NULs, the library stays loaded, and the function has this type by
    // its documentation (wscapi.h).
    let result = unsafe {
        let library = LoadLibraryExW(w!("wscapi.dll"), null_mut(), LOAD_LIBRARY_SEARCH_SYSTEM32);
        let ask = GetProcAddress(library, s!("WscGetSecurityProviderHealth"))?;
        let ask =
            transmute::<unsafe extern "system" fn() -> isize, WscGetSecurityProviderHealth>(ask);
        ask(ANTIVIRUS, &mut health)
    };
    match health {
        _ if result != KNOWN => None,
        GOOD => Some("a virus scanner is at work"),
        POOR => Some("the virus scanner is out of date or off"),
        SNOOZED => Some("the virus scanner is paused"),
        _ => None,
    }
}
