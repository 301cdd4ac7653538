//! The module's entry point, in place of a C runtime's `DllMain`, and the functions for those who
//! link the module statically.

use core::ffi::c_void;
use core::sync::atomic::{AtomicBool, Ordering};

use windows_sys::Win32::Foundation::HINSTANCE;
use windows_sys::Win32::System::SystemServices::{
    DLL_PROCESS_ATTACH, DLL_PROCESS_DETACH, DLL_THREAD_DETACH,
};
use windows_sys::core::BOOL;

use crate::{attach, page, report};
#[cfg(feature = "public-api")]
use {crate::log, allograft_inject::State};

allograft_heap::c_symbol!("module_entry", module_entry);

/// Whether mimalloc has started.
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

/// Takes over the runtimes that are loaded now and later. The caller holds the loader's lock, and
/// calls this once. `module` is the image that this code is a part of: its folder is searched for
/// `allograft.ini`. False if the module is of no use here and may be unloaded.
pub fn install(module: HINSTANCE) -> bool {
    let outcome = attach::attach(module);
    #[cfg(feature = "public-api")]
    let outcome = start_for_public_api(outcome);
    STARTED.fetch_or(outcome.started, Ordering::AcqRel);
    outcome.stays
}

/// Starts mimalloc without taking anything over, for callers of its own functions; [`install`] may
/// come later. False if the system has no memory for mimalloc's page map.
pub fn start_heap() -> bool {
    let started = allograft_engine::start_heap().is_ok();
    STARTED.fetch_or(started, Ordering::AcqRel);
    started
}

/// Starts mimalloc in a module that exports its public interface, whatever the takeover came to:
/// the program calls its functions by name.
#[cfg(feature = "public-api")]
fn start_for_public_api(outcome: attach::AttachOutcome) -> attach::AttachOutcome {
    /// `mi_is_redirected`
    extern "C" fn is_redirected() -> bool {
        page::state() == State::Active
    }

    allograft_heap::set_is_redirected(is_redirected);
    if outcome.started || !outcome.stays {
        return outcome;
    }
    let started = allograft_engine::start_heap();
    if let Err(failure) = started {
        log::line(format_args!("{failure}"));
    }
    attach::AttachOutcome { started: started.is_ok(), ..outcome }
}

/// To be called when a thread ends, on that thread, after its last use of this code.
pub fn end_of_thread() {
    if STARTED.load(Ordering::Acquire) {
        allograft_heap::thread_done();
        page::update_figures();
    }
}

/// To be called when the process ends, with the loader's lock held. Nothing is cleaned up, and no
/// lock is waited for: the other threads are gone, and may have held any.
pub fn end_of_process() {
    if STARTED.load(Ordering::Acquire) {
        report::at_exit();
        allograft_heap::print_statistics();
    }
}

/// GCC's unwinder, absent. On x86, rustc links an object into every module that would register the
/// module's frames with that unwinder, which would bring `msvcrt.dll` along. The object's code is
/// for a C runtime to call; without one it never runs, and these only satisfy the linker. The
/// frames are not needed: on x86 the system unwinds by what frames register on the stack, and
/// panics abort.
#[cfg(all(target_arch = "x86", feature = "freestanding"))]
mod unwinder {
    allograft_heap::c_symbol!("__register_frame_info", nothing);
    allograft_heap::c_symbol!("__deregister_frame_info", nothing);

    extern "C" fn nothing() {}
}
