//! The module's entry point, in place of a C runtime's `DllMain`.

use core::ffi::c_void;
use core::sync::atomic::{AtomicBool, Ordering};

use windows_sys::Win32::Foundation::HINSTANCE;
use windows_sys::Win32::System::SystemServices::{
    DLL_PROCESS_ATTACH, DLL_PROCESS_DETACH, DLL_THREAD_DETACH,
};
use windows_sys::core::BOOL;

use crate::{attach, page, report};

allograft_heap::c_symbol!("module_entry", module_entry);

/// Whether mimalloc runs.
static STARTED: AtomicBool = AtomicBool::new(false);

/// Called by the loader, with its lock held.
///
/// `reserved` is not NULL when the program imports the module by its import table, and when the
/// process ends.
extern "system" fn module_entry(module: HINSTANCE, reason: u32, reserved: *mut c_void) -> BOOL {
    match reason {
        DLL_PROCESS_ATTACH => {
            let imported = !reserved.is_null();
            // A module that the program imports must not fail: the program would not start.
            return (install(module) || imported).into();
        }
        DLL_THREAD_DETACH => end_of_thread(),
        DLL_PROCESS_DETACH if !reserved.is_null() => end_of_process(),
        _ => {}
    }
    1
}

/// Takes over what is loaded now and what will be. The caller holds the loader's lock, and calls
/// this once. `module` is the image that this code is a part of: its folder is searched for
/// `allograft.ini`. False if the module is of no use here and can go again.
pub fn install(module: HINSTANCE) -> bool {
    let outcome = attach::attach(module);
    #[cfg(feature = "public-api")]
    let outcome = crate::public_api::complete(outcome);
    STARTED.fetch_or(outcome.started, Ordering::AcqRel);
    outcome.stays
}

/// Starts mimalloc without taking anything over, for those who call it by name; [`install`] may
/// come later. False if the system has not even the memory for mimalloc's page map.
pub fn start_heap() -> bool {
    let started = allograft_engine::start_heap().is_ok();
    STARTED.fetch_or(started, Ordering::AcqRel);
    started
}

/// To be called when a thread ends, on that thread, as the last thing that this code is told of it.
pub fn end_of_thread() {
    if STARTED.load(Ordering::Acquire) {
        allograft_heap::thread_done();
        page::update_figures();
    }
}

/// To be called when the process ends, with the loader's lock held. What the process holds goes
/// with it; its other threads are gone, with whatever locks they held.
pub fn end_of_process() {
    if STARTED.load(Ordering::Acquire) {
        report::at_exit();
        allograft_heap::print_statistics();
    }
}
