//! `mimalloc-redirect.dll`, and `mimalloc-redirect32.dll` for 32-bit programs: for an unmodified
//! `mimalloc.dll`, which imports it. The program's calls to the heap functions of its C runtimes
//! are sent to that `mimalloc.dll`.
//!
//! The takeover happens when mimalloc, once it is ready, calls `mi_allocator_init` from its own
//! entry point. The C runtime need not be initialised by then. Log, report and settings are those
//! of `allograft.dll`. `MIMALLOC_FORCE_REDIRECT` has no effect, since the order of the modules does
//! not matter here.

#![no_std]
#![cfg(windows)]

use core::ffi::{c_char, c_void};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use allograft_inject::State;
use allograft_module::{Module, loaded_modules};
use windows_sys::Win32::Foundation::HINSTANCE;
use windows_sys::Win32::System::SystemServices::{
    DLL_PROCESS_ATTACH, DLL_PROCESS_DETACH, DLL_THREAD_DETACH,
};
use windows_sys::core::BOOL;

allograft_heap::c_symbol!("redirect_entry", redirect_entry);

allograft_module::no_std_module!();

/// This module, whose folder holds the configuration file.
static SELF: AtomicPtr<c_void> = AtomicPtr::new(null_mut());

/// Whether the takeover has been tried.
static TRIED: AtomicBool = AtomicBool::new(false);

/// Called by the loader, with its lock held: before the entry point of `mimalloc.dll` when modules
/// are loaded, after it when threads end.
extern "system" fn redirect_entry(module: HINSTANCE, reason: u32, reserved: *mut c_void) -> BOOL {
    match reason {
        DLL_PROCESS_ATTACH => SELF.store(module, Ordering::Release),
        // A mimalloc that is not redirected handles the end of a thread itself.
        DLL_THREAD_DETACH if is_redirected() => allograft_module::end_of_thread(),
        DLL_PROCESS_DETACH if !reserved.is_null() => allograft_module::end_of_process(),
        _ => {}
    }
    1
}

fn is_redirected() -> bool {
    allograft_module::state() == State::Active
}

/// `mi_allocator_init`: takes over, and returns whether it did. `message` gets a line for mimalloc
/// to log.
///
/// # Safety
/// `message` is NULL or can be written. The caller holds the loader's lock, as an entry point does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mi_allocator_init(message: *mut *const c_char) -> bool {
    if !TRIED.swap(true, Ordering::AcqRel) {
        if let Some(base) = calling_mimalloc() {
            // SAFETY: only a mimalloc imports this function, and it is loaded.
            unsafe { allograft_heap::use_mimalloc_at(base) };
        }
        allograft_module::install(SELF.load(Ordering::Acquire));
        if is_redirected() {
            allograft_heap::set_redirected();
        }
    }
    let text = match allograft_module::state() {
        State::Active => c"mimalloc-redirect (allograft): the C runtime's heap is redirected to mimalloc.\n",
        State::Disabled => c"mimalloc-redirect (allograft): disabled by MIMALLOC_DISABLE_REDIRECT.\n",
        State::NoRuntime => c"mimalloc-redirect (allograft): no C runtime that can be redirected is loaded yet.\n",
        _ => c"mimalloc-redirect (allograft): nothing was redirected; MIMALLOC_VERBOSE=1 or ALLOGRAFT_LOG=FILE tells why.\n",
    };
    if !message.is_null() {
        // SAFETY: by the contract it can be written, and the text is static.
        unsafe { *message = text.as_ptr() };
    }
    is_redirected()
}

/// The address of the mimalloc that calls [`mi_allocator_init`]: the first module whose import of
/// that name leads here. Its file may have any name (`mimalloc-secure.dll`, `mimalloc-debug.dll`).
fn calling_mimalloc() -> Option<usize> {
    let here = mi_allocator_init as *const () as usize;
    let imports_this = |module: &Module| {
        let slot = module.import_slot(c"mi_allocator_init");
        // SAFETY: the slot is in an import table of a loaded module.
        slot.is_some_and(|slot| unsafe { *(slot as *const usize) } == here)
    };
    loaded_modules().find(imports_this).map(|module| module.base())
}

/// `mi_allocator_done`: does nothing, since blocks are freed even after mimalloc has ended.
#[unsafe(no_mangle)]
pub extern "C" fn mi_allocator_done() {}

/// `mi_redirect_enable`: new blocks come from mimalloc again. Returns whether the takeover is
/// active.
#[unsafe(no_mangle)]
pub extern "C" fn mi_redirect_enable() -> bool {
    allograft_heap::serve(true);
    is_redirected()
}

/// `mi_redirect_disable`: new blocks come from the C runtime's own heap; mimalloc's can still be
/// freed. Returns whether the takeover is active.
#[unsafe(no_mangle)]
pub extern "C" fn mi_redirect_disable() -> bool {
    allograft_heap::serve(false);
    is_redirected()
}

/// `mi_redirect_enable_term`: as [`mi_redirect_enable`], for a process that ends.
#[unsafe(no_mangle)]
pub extern "C" fn mi_redirect_enable_term() -> bool {
    mi_redirect_enable()
}
