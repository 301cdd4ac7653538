//! What the machine is: for reports, and for questions that have another answer under Wine.

use super::library::system_function;
use super::wide;
use allograft_image::Machine;
use std::ffi::{CStr, OsStr, c_char};
use std::ptr;
use windows_sys::Win32::Foundation::ERROR_SUCCESS;
use windows_sys::Win32::System::Diagnostics::Debug::{
    SEM_FAILCRITICALERRORS, SEM_NOGPFAULTERRORBOX, SEM_NOOPENFILEERRORBOX, SetErrorMode,
};
use windows_sys::Win32::System::Registry::{
    HKEY_LOCAL_MACHINE, RRF_RT_REG_DWORD, RRF_RT_REG_SZ, RegGetValueW,
};
use windows_sys::Win32::System::SystemInformation::OSVERSIONINFOW;

/// The registry's key with the parts of the version that no function returns.
const VERSION_KEY: &str = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion";

const PROCESSOR_KEY: &str = r"HARDWARE\DESCRIPTION\System\CentralProcessor\0";

/// Programs that crash from now on, and were started by this one, open no window about it.
pub fn let_programs_crash_in_silence() {
    // SAFETY: sets flags of this process, which its children inherit.
    unsafe {
        SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX | SEM_NOOPENFILEERRORBOX);
    }
}

/// Wine's version; none on Windows.
pub fn wine_version() -> Option<String> {
    type WineGetVersion = unsafe extern "C" fn() -> *const c_char;
    let get = system_function!("ntdll.dll", "wine_get_version", WineGetVersion)?;
    // SAFETY: the function has no conditions, and returns a constant string.
    Some(unsafe { CStr::from_ptr(get()) }.to_string_lossy().into_owned())
}

/// The system's name, version and build; under Wine, Wine's and that of the Windows that it shows.
pub fn system() -> String {
    let windows = format!("Windows {}", windows_version());
    match wine_version() {
        Some(wine) => format!("Wine {wine}, as {windows}"),
        None => match text_of(VERSION_KEY, "DisplayVersion") {
            Some(release) => format!("{windows} ({release})"),
            None => windows,
        },
    }
}

/// As `10.0.26100.1742`.
fn windows_version() -> String {
    type RtlGetVersion = unsafe extern "system" fn(*mut OSVERSIONINFOW) -> i32;
    let size = size_of::<OSVERSIONINFOW>() as u32;
    let mut about = OSVERSIONINFOW { dwOSVersionInfoSize: size, ..Default::default() };
    if let Some(ask) = system_function!("ntdll.dll", "RtlGetVersion", RtlGetVersion) {
        // SAFETY: the structure says its size.
        unsafe { ask(&mut about) };
    }
    let OSVERSIONINFOW { dwMajorVersion, dwMinorVersion, dwBuildNumber, .. } = about;
    let revision = number_of(VERSION_KEY, "UBR").unwrap_or_default();
    format!("{dwMajorVersion}.{dwMinorVersion}.{dwBuildNumber}.{revision}")
}

pub fn processor() -> String {
    let name = text_of(PROCESSOR_KEY, "ProcessorNameString");
    name.map_or_else(|| Machine::OWN.to_string(), |name| name.trim().to_owned())
}

fn text_of(key: &str, name: &str) -> Option<String> {
    let mut units = [0u16; 256];
    let mut bytes = size_of_val(&units) as u32;
    read_value(key, name, RRF_RT_REG_SZ, units.as_mut_ptr().cast(), &mut bytes)?;
    let length = (bytes as usize / 2).saturating_sub(1);
    Some(String::from_utf16_lossy(&units[..length]))
}

fn number_of(key: &str, name: &str) -> Option<u32> {
    let mut number = 0u32;
    let mut bytes = size_of_val(&number) as u32;
    read_value(key, name, RRF_RT_REG_DWORD, ptr::from_mut(&mut number).cast(), &mut bytes)?;
    Some(number)
}

/// Reads a value of the local machine to `place`, which has `bytes` bytes.
fn read_value(
    key: &str,
    name: &str,
    kind: u32,
    place: *mut std::ffi::c_void,
    bytes: &mut u32,
) -> Option<()> {
    let (key, name) = (wide(OsStr::new(key)), wide(OsStr::new(name)));
    // SAFETY: both strings end with NULs, and the callers pass a place of as many bytes.
    let result = unsafe {
        RegGetValueW(
            HKEY_LOCAL_MACHINE,
            key.as_ptr(),
            name.as_ptr(),
            kind,
            ptr::null_mut(),
            place,
            bytes,
        )
    };
    (result == ERROR_SUCCESS).then_some(())
}
