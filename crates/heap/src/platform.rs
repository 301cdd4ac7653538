//! What mimalloc gets from the system beside memory, as `native/platform.h` directs it here: its
//! options, the privilege for large pages, and whether the process ends.
//!
//! The module imports kernel32 and ntdll only. advapi32 would load before the program's own DLLs;
//! it is loaded when an option asks for large pages, and not before.

use core::ffi::{c_char, c_int, c_long};

crate::c_symbol!("allograft_parse_long", allograft_parse_long);

/// `strtol` without the `errno`, for bases from 2 to 36 (mimalloc uses 10). Values that do not fit
/// are clamped.
///
/// # Safety
/// `text` is NUL-terminated; `end` is NULL or can be written.
#[allow(clippy::useless_conversion, reason = "c_long has 64 bits on some hosts")]
unsafe extern "C" fn allograft_parse_long(
    text: *const c_char,
    end: *mut *mut c_char,
    base: c_int,
) -> c_long {
    // SAFETY: the text is read up to its NUL, which is neither a digit nor a sign.
    unsafe {
        let at = |index: usize| *text.add(index) as u8;
        let mut index = 0;
        while matches!(at(index), b' ' | b'\t'..=b'\r') {
            index += 1;
        }
        let negative = at(index) == b'-';
        if matches!(at(index), b'-' | b'+') {
            index += 1;
        }
        let first = index;
        let mut value: i64 = 0;
        while let Some(digit) = (at(index) as char).to_digit(base as u32) {
            value = value.saturating_mul(i64::from(base)).saturating_add(i64::from(digit));
            index += 1;
        }
        if !end.is_null() {
            let stop = if index == first { 0 } else { index };
            *end = text.add(stop).cast_mut();
        }
        let value = if negative { -value } else { value };
        value.clamp(i64::from(c_long::MIN), i64::from(c_long::MAX)) as c_long
    }
}

#[cfg(windows)]
pub use windows::{OptionLookup, look_up_options_with, process_ends};

#[cfg(windows)]
mod windows {
    use core::ffi::{CStr, c_void};
    use core::mem::transmute;
    use core::sync::atomic::{AtomicUsize, Ordering};

    use windows_sys::Win32::Foundation::HANDLE;
    use windows_sys::Win32::System::Environment::GetEnvironmentVariableA;
    use windows_sys::Win32::System::LibraryLoader::{GetProcAddress, LoadLibraryA};
    use windows_sys::core::BOOL;

    crate::c_symbol!("allograft_process_ends", process_ends);
    crate::c_symbol!("allograft_get_option", allograft_get_option);

    // Exported since Windows XP, and in no import library.
    windows_link::link!("ntdll.dll" "system" fn RtlDllShutdownInProgress() -> u8);

    /// Whether the process is ending: the loader has ended all threads but one, and calls the DLLs
    /// for the last time. Called by the C side too, off the hot path.
    pub extern "C" fn process_ends() -> bool {
        // SAFETY: the function only reads a variable of the loader's.
        unsafe { RtlDllShutdownInProgress() != 0 }
    }

    /// Looks an option up by its full name (`MIMALLOC_VERBOSE`) and writes its text,
    /// NUL-terminated, into the buffer. Returns the length without the NUL, 0 if there is none.
    pub type OptionLookup = fn(name: &CStr, value: &mut [u8]) -> usize;

    static LOOKUP: AtomicUsize = AtomicUsize::new(0);

    /// Has `lookup` asked for options that are not in the environment. Call it before
    /// [`crate::start`].
    pub fn look_up_options_with(lookup: OptionLookup) {
        LOOKUP.store(lookup as usize, Ordering::Release);
    }

    /// `GetEnvironmentVariableA`, and [`OptionLookup`] behind it.
    ///
    /// # Safety
    /// As for the function of that name.
    unsafe extern "C" fn allograft_get_option(name: *const u8, value: *mut u8, size: u32) -> u32 {
        // SAFETY: the contract is that of the system's function. `LOOKUP` holds 0 or a function of
        // this type.
        unsafe {
            let length = GetEnvironmentVariableA(name, value, size);
            if length != 0 {
                return length;
            }
            let lookup = LOOKUP.load(Ordering::Acquire);
            if lookup == 0 || size == 0 {
                return 0;
            }
            let value = core::slice::from_raw_parts_mut(value, size as usize);
            transmute::<usize, OptionLookup>(lookup)(CStr::from_ptr(name.cast()), value) as u32
        }
    }

    type Procedure = unsafe extern "system" fn() -> isize;

    fn advapi32(name: &CStr) -> Option<Procedure> {
        // SAFETY: both names are NUL-terminated; advapi32 may be loaded at any time.
        unsafe {
            let library = LoadLibraryA(c"advapi32.dll".as_ptr().cast());
            if library.is_null() {
                return None;
            }
            GetProcAddress(library, name.as_ptr().cast())
        }
    }

    /// Defines a C function that calls one of advapi32's, and fails where that cannot be loaded.
    macro_rules! from_advapi32 {
        ($symbol:literal, $name:ident, $export:literal, ($($argument:ident: $type:ty),*)) => {
            crate::c_symbol!($symbol, $name);

            unsafe extern "C" fn $name($($argument: $type),*) -> BOOL {
                type Export = unsafe extern "system" fn($($type),*) -> BOOL;
                let Some(function) = advapi32($export) else {
                    return 0;
                };
                // SAFETY: the export has this type, and mimalloc passes what it expects.
                unsafe { transmute::<Procedure, Export>(function)($($argument),*) }
            }
        };
    }

    from_advapi32!(
        "allograft_open_process_token", open_process_token, c"OpenProcessToken",
        (process: HANDLE, access: u32, token: *mut HANDLE)
    );
    from_advapi32!(
        "allograft_lookup_privilege", lookup_privilege, c"LookupPrivilegeValueW",
        (system: *const u16, name: *const u16, id: *mut c_void)
    );
    from_advapi32!(
        "allograft_adjust_privileges", adjust_privileges, c"AdjustTokenPrivileges",
        (
            token: HANDLE, disable: BOOL, next: *const c_void, size: u32, previous: *mut c_void,
            needed: *mut u32
        )
    );
}

#[cfg(test)]
mod tests {
    use core::ffi::CStr;

    use super::*;

    /// The number, and how many characters belong to it.
    fn parse(text: &CStr, base: c_int) -> (c_long, usize) {
        let mut end = core::ptr::null_mut();
        // SAFETY: the text is NUL-terminated, and the end can be written.
        let value = unsafe { allograft_parse_long(text.as_ptr(), &mut end, base) };
        (value, end as usize - text.as_ptr() as usize)
    }

    #[test]
    fn numbers_end_where_the_digits_do() {
        assert_eq!(parse(c"1234KiB", 10), (1234, 4));
        assert_eq!(parse(c" \t-7 ", 10), (-7, 4));
        assert_eq!(parse(c"+1", 10), (1, 2));
        assert_eq!(parse(c"fF", 16), (255, 2));
    }

    #[test]
    fn text_without_a_number_is_0_and_nothing_of_it_is_used() {
        for text in [c"", c"yes", c"-", c"  +x"] {
            assert_eq!(parse(text, 10), (0, 0), "{text:?}");
        }
    }

    #[test]
    fn numbers_that_do_not_fit_are_clamped() {
        assert_eq!(parse(c"99999999999999999999", 10), (c_long::MAX, 20));
        assert_eq!(
            parse(c"-99999999999999999999", 10).0,
            -c_long::MAX - c_long::from(size_of::<c_long>() < 8)
        );
    }
}
