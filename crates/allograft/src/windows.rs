//! The takeover from within a Rust program.

use std::alloc::{GlobalAlloc, Layout};
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

use allograft_inject::{HeapRecord, HeapState, RuntimeRecord, State, Status, until_nul};
use windows_sys::Win32::Foundation::HMODULE;
use windows_sys::Win32::System::LibraryLoader::{
    GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GetModuleHandleExW,
};
use windows_sys::Win32::System::SystemServices::{DLL_PROCESS_DETACH, DLL_THREAD_DETACH};

use crate::{Error, Installation, Mimalloc, TakenRuntime};

// SAFETY: mimalloc's functions keep the trait's contract: any size and power of two, NULL where
// there is no memory, no unwinding.
unsafe impl GlobalAlloc for Mimalloc {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !is_started() {
            null_mut()
        } else if layout.align() <= allograft_heap::BLOCK_ALIGNMENT {
            allograft_heap::allocate(layout.size()).cast()
        } else {
            allograft_heap::allocate_aligned(layout.size(), layout.align(), 0).cast()
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if is_started() && layout.align() <= allograft_heap::BLOCK_ALIGNMENT {
            return allograft_heap::allocate_zeroed(layout.size()).cast();
        }
        // SAFETY: `alloc` has this contract too, and a block is as long as its layout.
        unsafe {
            let block = self.alloc(layout);
            if !block.is_null() {
                block.write_bytes(0, layout.size());
            }
            block
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, _layout: Layout) {
        // SAFETY: the block is mimalloc's, by the trait's contract.
        unsafe { allograft_heap::free(block.cast()) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the block is mimalloc's and the new layout is valid, by the trait's contract;
        // what is copied fits both blocks.
        unsafe {
            let usable = allograft_heap::usable_size(block.cast());
            // As mimalloc does: a block that fits and wastes no more than half stays where it is.
            if size <= usable && size >= usable / 2 {
                return block;
            }
            let moved = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !moved.is_null() {
                moved.copy_from_nonoverlapping(block, size.min(layout.size()));
                self.dealloc(block, layout);
            }
            moved
        }
    }
}

const NOT_STARTED: u8 = 0;
const STARTING: u8 = 1;
const STARTED: u8 = 2;
const NO_MEMORY: u8 = 3;

static HEAP: AtomicU8 = AtomicU8::new(NOT_STARTED);

/// Whether mimalloc has started. The first caller starts it: Rust's runtime allocates before any
/// code of the program runs.
#[inline]
fn is_started() -> bool {
    HEAP.load(Ordering::Acquire) == STARTED || start()
}

#[cold]
fn start() -> bool {
    match HEAP.compare_exchange(NOT_STARTED, STARTING, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => {
            let started = allograft_module::start_heap();
            HEAP.store(if started { STARTED } else { NO_MEMORY }, Ordering::Release);
        }
        Err(_) => {
            while HEAP.load(Ordering::Acquire) == STARTING {
                std::thread::yield_now();
            }
        }
    }
    HEAP.load(Ordering::Acquire) == STARTED
}

pub(crate) fn owns(block: *const c_void) -> bool {
    is_started() && allograft_heap::owns(block)
}

pub(crate) fn install() -> Result<Installation, Error> {
    static OUTCOME: OnceLock<Result<Installation, Error>> = OnceLock::new();
    OUTCOME.get_or_init(install_once).clone()
}

fn install_once() -> Result<Installation, Error> {
    if !is_started() {
        return Err(Error::Failed("there is no memory for mimalloc's page map".to_owned()));
    }
    let listed = allograft_module::with_loader_at_rest(|| {
        allograft_module::install(own_image());
    });
    if !listed {
        let reason = "Windows does not let the modules be listed (LdrEnumerateLoadedModules)";
        return Err(Error::Failed(reason.to_owned()));
    }
    outcome(allograft_module::status().ok_or(Error::AlreadyTakenOver)?)
}

fn outcome(status: &Status) -> Result<Installation, Error> {
    match allograft_module::state() {
        State::Active | State::NoRuntime => {}
        State::Disabled => return Err(Error::Disabled),
        _ => {
            let reason = String::from_utf8_lossy(allograft_module::message(status));
            return Err(Error::Failed(reason.into_owned()));
        }
    }
    let count = status.runtime_count.load(Ordering::Acquire) as usize;
    let runtimes = status.runtimes[..count.min(status.runtimes.len())].iter();
    Ok(Installation {
        runtimes: runtimes.map(runtime).collect(),
        process_heap: serves_process_heap(&status.heap),
        threads_suspended: status.threads_stopped.load(Ordering::Relaxed),
    })
}

fn serves_process_heap(heap: &HeapRecord) -> bool {
    let state = HeapState::from_u32(heap.state.load(Ordering::Acquire));
    state.is_some_and(HeapState::is_served) && heap.slots_allocating.load(Ordering::Relaxed) > 0
}

fn runtime(runtime: &RuntimeRecord) -> TakenRuntime {
    TakenRuntime {
        name: String::from_utf16_lossy(until_nul(&runtime.name)),
        version: runtime.version,
        functions: runtime.functions.load(Ordering::Relaxed),
    }
}

/// The program or DLL that this code is linked into.
fn own_image() -> HMODULE {
    let mut image: HMODULE = null_mut();
    // SAFETY: the address is that of this function, whose image is loaded.
    unsafe {
        GetModuleHandleExW(
            GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS,
            own_image as *const () as *const u16,
            &mut image,
        )
    };
    image
}

/// The loader calls the functions in this table of the image whenever a thread or the process ends,
/// as late as the entry point of a DLL.
#[used]
#[unsafe(link_section = ".CRT$XLY")]
static AT_END: extern "system" fn(*const c_void, u32, *const c_void) = at_end;

/// What makes a table of such functions part of an image, in Microsoft's C runtimes. (MinGW's link
/// it always.)
#[cfg(target_env = "msvc")]
mod tls_directory {
    unsafe extern "C" {
        static _tls_used: u8;
    }

    /// A pointer that may be shared.
    #[repr(transparent)]
    struct Reference(*const u8);

    // SAFETY: nothing is read or written through it.
    unsafe impl Sync for Reference {}

    #[used]
    static DIRECTORY: Reference = Reference(&raw const _tls_used);
}

extern "system" fn at_end(_image: *const c_void, reason: u32, _reserved: *const c_void) {
    match reason {
        DLL_THREAD_DETACH => allograft_module::end_of_thread(),
        // The process may go on, if this code is in a DLL that is unloaded.
        DLL_PROCESS_DETACH if allograft_heap::process_ends() => allograft_module::end_of_process(),
        _ => {}
    }
}
