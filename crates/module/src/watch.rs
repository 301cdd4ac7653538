//! The loader's notifications of modules that are loaded and unloaded after this one.

use core::ffi::c_void;
use core::ptr::null_mut;

use allograft_engine::{LoaderLock, Module};
use windows_sys::Win32::Foundation::{NTSTATUS, UNICODE_STRING};

use crate::log;

/// What to call, each with the loader's lock held.
pub(crate) struct Handlers {
    /// A module was loaded, and none of its code has run yet.
    pub(crate) loaded: fn(&Module),
    /// The module at this base is unloaded, while the process goes on.
    pub(crate) unloaded: fn(usize),
}

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

type Callback = unsafe extern "system" fn(u32, *const Notification, *const c_void);

// Documented since Windows Vista, and in no import library.
windows_link::link!("ntdll.dll" "system" fn LdrRegisterDllNotification(
    flags: u32, callback: Callback, context: *const c_void, cookie: *mut *mut c_void
) -> NTSTATUS);

/// Calls `handlers` from now on, as long as the process lives: the module is pinned.
pub(crate) fn start(handlers: &'static Handlers) {
    let mut cookie = null_mut();
    let context = (&raw const *handlers).cast();
    // SAFETY: the callback and its context live as long as the process.
    let status = unsafe { LdrRegisterDllNotification(0, notified, context, &mut cookie) };
    if status != 0 {
        log::line(format_args!(
            "C runtimes that are loaded later stay as they are: the loader gives no notice (status {status:#x})"
        ));
    }
}

/// # Safety
/// Called by the loader, with what [`start`] has registered.
unsafe extern "system" fn notified(
    reason: u32,
    notification: *const Notification,
    context: *const c_void,
) {
    // SAFETY: the structure and its strings are valid during the call, and the context is the
    // handlers.
    let (notification, handlers) = unsafe { (&*notification, &*context.cast::<Handlers>()) };
    match reason {
        LOADED => {
            // SAFETY: the module is loaded, and its strings are valid, during the call; no handler
            // keeps them.
            let module = unsafe {
                Module::from_loader(
                    notification.base as usize,
                    notification.size as usize,
                    &*notification.name,
                    &*notification.path,
                )
            };
            // The thread that owns loading sends notifications, so no other module comes or goes.
            // But it may do so without the loader's lock, which a process that ends takes before it
            // ends its other threads: these must not be in the middle of a takeover then.
            let _lock = LoaderLock::take();
            (handlers.loaded)(&module);
        }
        // When the process ends, the loader reports modules as unloaded that are not, and the
        // program's last frees are still to come.
        UNLOADED if !allograft_heap::process_ends() => {
            (handlers.unloaded)(notification.base as usize);
        }
        _ => {}
    }
}
