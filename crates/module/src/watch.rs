//! Runtimes that are loaded, and unloaded, after the module.

use core::ffi::c_void;
use core::ptr::null_mut;

use allograft_engine::{LoaderLock, Module};
use allograft_inject::State;
use windows_sys::Win32::Foundation::{NTSTATUS, UNICODE_STRING};

use crate::{attach, log, page};

/// `LDR_DLL_NOTIFICATION_DATA`: the same for both reasons.
#[repr(C)]
struct Notification {
    flags: u32,
    path: *const UNICODE_STRING,
    name: *const UNICODE_STRING,
    base: *const c_void,
    size: u32,
}

const LOADED: u32 = 1;
const UNLOADED: u32 = 2;

type Callback = unsafe extern "system" fn(u32, *const Notification, *mut c_void);

// Documented since Windows Vista, and in no import library.
#[cfg_attr(
    target_arch = "x86",
    link(name = "ntdll", kind = "raw-dylib", import_name_type = "undecorated")
)]
#[cfg_attr(not(target_arch = "x86"), link(name = "ntdll", kind = "raw-dylib"))]
unsafe extern "system" {
    fn LdrRegisterDllNotification(
        flags: u32,
        callback: Callback,
        context: *mut c_void,
        cookie: *mut *mut c_void,
    ) -> NTSTATUS;
}

/// Asks the loader to tell us of every module from now on.
pub(crate) fn start() {
    let mut cookie = null_mut();
    // SAFETY: the callback lives as long as the process, since the module is pinned.
    let status = unsafe { LdrRegisterDllNotification(0, notified, null_mut(), &mut cookie) };
    if status != 0 {
        log::line(format_args!(
            "C runtimes that are loaded later stay as they are: the loader gives no notice (status {status:#x})"
        ));
    }
}

/// # Safety
/// Called by the loader, with its lock held.
unsafe extern "system" fn notified(
    reason: u32,
    notification: *const Notification,
    _context: *mut c_void,
) {
    // SAFETY: the loader's promise: the structure and the strings are valid during the call.
    let notification = unsafe { &*notification };
    match reason {
        LOADED => {
            // SAFETY: as above; the module is used during the call only.
            let module = unsafe {
                Module::new(
                    notification.base as usize,
                    notification.size as usize,
                    &*notification.name,
                    &*notification.path,
                )
            };
            // The loader gives notice of modules with a lock of its own. A process that ends takes
            // the loader's before it ends its other threads, which must not be in the middle of a
            // takeover then.
            let _lock = LoaderLock::take();
            attach::loaded_later(&module);
        }
        // When the process ends, modules go without being freed, and the program's last frees still
        // come.
        UNLOADED
            if !allograft_heap::process_ends()
                && allograft_engine::unloaded(notification.base as usize) =>
        {
            log::line(format_args!("a C runtime that was taken over was unloaded"));
            if !allograft_engine::is_any_taken_over() {
                page::set_state(State::NoRuntime);
            }
        }
        _ => {}
    }
}
