//! The module's entry point, in place of a C runtime's `DllMain`.

use core::ffi::c_void;
use core::sync::atomic::{AtomicBool, Ordering};

use windows_sys::Win32::Foundation::HINSTANCE;
use windows_sys::Win32::System::SystemServices::{
    DLL_PROCESS_ATTACH, DLL_PROCESS_DETACH, DLL_THREAD_DETACH,
};
use windows_sys::core::BOOL;

use crate::{attach, report};

allograft_heap::c_symbol!("module_entry", module_entry);

/// Whether mimalloc runs.
static STARTED: AtomicBool = AtomicBool::new(false);

/// Called by the loader, with its lock held.
///
/// `reserved` is not NULL when the program imports the module by its import table, and when the process ends.
extern "system" fn module_entry(module: HINSTANCE, reason: u32, reserved: *mut c_void) -> BOOL {
    match reason {
        DLL_PROCESS_ATTACH => {
            let imported = !reserved.is_null();
            let outcome = attach::attach(module);
            STARTED.store(outcome.started, Ordering::Release);
            // A module that the program imports must not fail: the program would not start.
            return (outcome.stays || imported).into();
        }
        DLL_THREAD_DETACH if STARTED.load(Ordering::Acquire) => allograft_heap::thread_done(),
        // The process ends: what it holds goes with it. Its other threads are gone, with whatever locks they held.
        DLL_PROCESS_DETACH if !reserved.is_null() && STARTED.load(Ordering::Acquire) => {
            report::at_exit();
            allograft_heap::print_statistics();
        }
        _ => {}
    }
    1
}
