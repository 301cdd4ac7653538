//! Functions of the system's libraries for windows. They are looked up when a window opens: a
//! command that runs a program need not wait for these libraries.

use std::ffi::c_void;
use windows_sys::Win32::System::LibraryLoader::{GetProcAddress, LoadLibraryW};
use windows_sys::core::{PCSTR, PCWSTR};

/// The address of a function, which stays valid: the library is never unloaded.
///
/// Only for libraries that no file beside this program can stand in for: the manifest redirects
/// `comctl32.dll`, and the others are known to Windows by their names.
pub fn function(library: PCWSTR, name: PCSTR) -> Option<*const c_void> {
    // SAFETY: the callers pass literals, which end with a NUL.
    unsafe { GetProcAddress(LoadLibraryW(library), name) }.map(|function| function as *const c_void)
}

/// Looks a function up and gives it its type.
macro_rules! system_function {
    ($library:literal, $name:literal, $type:ty) => {
        $crate::windows::library::function(::windows_sys::w!($library), ::windows_sys::s!($name))
            // SAFETY: the type is the documented one of the function of this name.
            .map(|function| unsafe {
                ::std::mem::transmute::<*const ::std::ffi::c_void, $type>(function)
            })
    };
}
pub(super) use system_function;
