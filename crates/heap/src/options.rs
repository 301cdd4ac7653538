//! Where mimalloc's options come from: the environment, and behind it whatever the module's owner
//! knows.

use core::ffi::CStr;
use core::sync::atomic::{AtomicUsize, Ordering};

use windows_sys::Win32::System::Environment::GetEnvironmentVariableA;

crate::c_symbol!("allograft_get_option", allograft_get_option);

/// Looks an option up by its full name (`MIMALLOC_VERBOSE`) and writes its text, NUL-terminated,
/// into the buffer. Returns the length without the NUL, 0 if there is none.
pub type Lookup = fn(name: &CStr, value: &mut [u8]) -> usize;

static LOOKUP: AtomicUsize = AtomicUsize::new(0);

/// Lets `lookup` answer for options that are not in the environment. Call it before
/// [`crate::start`].
pub fn look_up_with(lookup: Lookup) {
    LOOKUP.store(lookup as usize, Ordering::Release);
}

/// `GetEnvironmentVariableA`, and [`Lookup`] behind it.
///
/// # Safety
/// As for the function of that name.
unsafe extern "C" fn allograft_get_option(name: *const u8, value: *mut u8, size: u32) -> u32 {
    // SAFETY: the caller's promise.
    unsafe {
        let length = GetEnvironmentVariableA(name, value, size);
        if length != 0 {
            return length;
        }
        let lookup = LOOKUP.load(Ordering::Acquire);
        if lookup == 0 || size == 0 {
            return 0;
        }
        let lookup = core::mem::transmute::<usize, Lookup>(lookup);
        let value = core::slice::from_raw_parts_mut(value, size as usize);
        lookup(CStr::from_ptr(name.cast()), value) as u32
    }
}
