//! The heap of a `mimalloc.dll` that the process has loaded, in the place of the module's own: the
//! same functions as in `native.rs`, by mimalloc's public interface alone.
//!
//! Each free looks the block up in the page map twice: here, and again inside mimalloc, whose
//! internals are unknown here.

use core::cell::UnsafeCell;
use core::ffi::{c_int, c_uint, c_void};
use core::mem::transmute;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, Ordering};

use windows_sys::Win32::Foundation::HMODULE;
use windows_sys::Win32::System::LibraryLoader::{
    GET_MODULE_HANDLE_EX_FLAG_PIN, GetModuleHandleExW, GetProcAddress,
};
use windows_sys::core::{s, w};

use crate::interface::{ColdPaths, Entries, HeapFigures, RUNTIMES};

/// Declares the functions of `mimalloc.dll` that are called here: the structure with their
/// addresses, which `find` fills, and a function for each that calls through it.
macro_rules! functions {
    ($($export:literal $name:ident($($argument:ident: $type:ty),*) $(-> $result:ty)?;)*) => {
        /// The functions of `mimalloc.dll`, and the cold paths.
        #[derive(Clone, Copy)]
        struct MimallocDll {
            $($name: unsafe extern "C" fn($($type),*) $(-> $result)?,)*
            cold: ColdPaths,
        }

        /// The functions that `module` exports; none if one is missing.
        ///
        /// # Safety
        /// The module is a mimalloc: its functions have mimalloc's signatures.
        unsafe fn find(module: HMODULE, cold: ColdPaths) -> Option<MimallocDll> {
            // SAFETY: the names are NUL-terminated; by the contract the functions have these types.
            unsafe {
                Some(MimallocDll {
                    $($name: transmute::<
                        unsafe extern "system" fn() -> isize,
                        unsafe extern "C" fn($($type),*) $(-> $result)?,
                    >(GetProcAddress(module, s!($export))?),)*
                    cold,
                })
            }
        }

        $(pub unsafe fn $name($($argument: $type),*) $(-> $result)? {
            // SAFETY: callers keep the contract of mimalloc's function.
            unsafe { (mimalloc().$name)($($argument),*) }
        })*
    };
}

functions! {
    "mi_malloc" mi_malloc(size: usize) -> *mut c_void;
    "mi_zalloc" mi_zalloc(size: usize) -> *mut c_void;
    "mi_malloc_aligned_at" mi_malloc_aligned_at(size: usize, alignment: usize, offset: usize) -> *mut c_void;
    "mi_free" mi_free(block: *mut c_void);
    "mi_usable_size" mi_usable_size(block: *const c_void) -> usize;
    "mi_is_in_heap_region" allograft_heap_owns(block: *const c_void) -> bool;
    "mi_version" version_of_dll() -> c_int;
    // mimalloc's own handler of the redirection and of threads that end; the argument is the reason
    // that a DLL's entry point gets.
    "_mi_redirect_entry" redirect_entry(reason: u32);
}

/// The functions, which no entry calls before [`allograft_heap_start`] has found them.
struct DllCell(UnsafeCell<Option<MimallocDll>>);

// SAFETY: it is written once, with the loader's lock held, before any jump to the entries; after
// that it is only read.
unsafe impl Sync for DllCell {}

static DLL: DllCell = DllCell(UnsafeCell::new(None));

/// Whether new blocks come from mimalloc.
static SERVING: AtomicBool = AtomicBool::new(true);

#[inline(always)]
fn mimalloc() -> &'static MimallocDll {
    // SAFETY: `start` has set it before any entry can be called, and nobody writes it again.
    unsafe { (*DLL.0.get()).as_ref().unwrap_unchecked() }
}

/// Sets whether new blocks come from mimalloc, or from the runtimes' own heaps. Blocks of both can
/// be freed at any time.
pub fn serve(serving: bool) {
    SERVING.store(serving, Ordering::Relaxed);
}

fn is_serving() -> bool {
    SERVING.load(Ordering::Relaxed)
}

/// Has mimalloc's `mi_is_redirected()` return true from now on.
pub fn set_redirected() {
    const PROCESS_ATTACH: u32 = 1;
    // SAFETY: for this reason the function only sets a flag.
    unsafe { redirect_entry(PROCESS_ATTACH) };
}

/// Finds `mimalloc.dll`, and keeps it from being unloaded: the program's calls will lead into it.
pub unsafe fn allograft_heap_start(cold: *const ColdPaths) -> bool {
    // SAFETY: `cold` is valid, and this runs with the loader's lock held, once: the entries, which
    // read the cell, are used only after it. A `mimalloc.dll` is a mimalloc.
    unsafe {
        let mut module: HMODULE = null_mut();
        if GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_PIN, w!("mimalloc.dll"), &mut module) == 0 {
            return false;
        }
        let dll = find(module, *cold);
        *DLL.0.get() = dll;
        dll.is_some()
    }
}

pub unsafe fn allograft_heap_thread_done() {
    const THREAD_DETACH: u32 = 3;
    // SAFETY: mimalloc ignores a thread that never allocated.
    unsafe { redirect_entry(THREAD_DETACH) }
}

/// mimalloc itself takes care of threads that end. While it does not serve, new blocks come from
/// the runtime's old heap, as they do at the end of the process.
pub unsafe fn allograft_heap_is_too_late() -> bool {
    !is_serving() || crate::process_ends()
}

/// Combinations of alignment and offset that mimalloc refuses are left to the old heap.
pub unsafe fn allograft_heap_interior_aligned(
    _size: usize,
    _alignment: usize,
    _offset: usize,
) -> *mut c_void {
    null_mut()
}

/// Does nothing: mimalloc's public interface finds the start of a block only in pages that it has
/// marked itself.
pub unsafe fn allograft_heap_exchange_unmarked_interior_pointers(_possible: bool) -> bool {
    false
}

pub unsafe fn allograft_heap_usable_size_of_aligned(block: *mut c_void) -> usize {
    // SAFETY: mimalloc's functions accept its aligned blocks like any other.
    unsafe { mi_usable_size(block) }
}

pub unsafe fn allograft_heap_free_aligned(block: *mut c_void) {
    // SAFETY: mimalloc's functions accept its aligned blocks like any other.
    unsafe { mi_free(block) }
}

/// Does nothing: mimalloc prints its statistics itself.
pub unsafe fn allograft_heap_print_statistics() {}

/// Does nothing: mimalloc's public interface gives its figures as text only.
pub unsafe fn allograft_heap_figures(_figures: *mut HeapFigures) {}

/// 0 before [`allograft_heap_start`] has found it.
pub unsafe fn mi_version() -> c_int {
    // SAFETY: the cell is written with the loader's lock held, as this is called; the function
    // returns a constant.
    unsafe { if (*DLL.0.get()).is_some() { version_of_dll() } else { 0 } }
}

/// The numbers from here on are those of the entries that keep tails zero.
const CLEAN: usize = RUNTIMES;

const fn entries<const NUMBER: usize>() -> Entries {
    Entries {
        malloc: malloc::<NUMBER>,
        calloc: calloc::<NUMBER>,
        realloc: realloc::<NUMBER>,
        free: free::<NUMBER>,
        msize: msize::<NUMBER>,
        aligned_malloc: aligned_malloc::<NUMBER>,
        aligned_free: aligned_free::<NUMBER>,
    }
}

macro_rules! tables {
    ($($slot:literal)*) => {
        #[allow(non_upper_case_globals, reason = "the C side's name")]
        pub static allograft_entries: [Entries; RUNTIMES] = [$(entries::<$slot>()),*];

        #[allow(non_upper_case_globals, reason = "the C side's name")]
        pub static allograft_clean_entries: [Entries; RUNTIMES] =
            [$(entries::<{ CLEAN + $slot }>()),*];
    };
}

tables!(0 1 2 3 4 5 6 7);

/// The slot of the runtime, as the cold paths take it.
const fn slot<const NUMBER: usize>() -> c_uint {
    (NUMBER % RUNTIMES) as c_uint
}

/// Zeroes the tail of the block, for entries that keep tails zero.
unsafe fn clean_tail<const NUMBER: usize>(block: *mut c_void, size: usize) {
    if NUMBER >= CLEAN {
        // SAFETY: the block is mimalloc's, and the bytes behind `size` are not the program's.
        unsafe {
            let usable = mi_usable_size(block);
            block.cast::<u8>().add(size).write_bytes(0, usable - size);
        }
    }
}

unsafe fn allocate<const NUMBER: usize>(size: usize, zeroed: bool) -> *mut c_void {
    // SAFETY: mimalloc and the cold path accept any size.
    unsafe {
        if !is_serving() {
            return (mimalloc().cold.allocate)(size, zeroed, slot::<NUMBER>());
        }
        // C runtimes align blocks to 16 bytes whatever their size; mimalloc would align one of 8
        // bytes to 8.
        let padded = size.max(16);
        let block = if zeroed { mi_zalloc(padded) } else { mi_malloc(padded) };
        if block.is_null() {
            return (mimalloc().cold.allocate)(size, zeroed, slot::<NUMBER>());
        }
        if !zeroed {
            clean_tail::<NUMBER>(block, size);
        }
        block
    }
}

unsafe extern "C" fn malloc<const NUMBER: usize>(size: usize) -> *mut c_void {
    // SAFETY: `allocate` accepts any size.
    unsafe { allocate::<NUMBER>(size, false) }
}

unsafe extern "C" fn calloc<const NUMBER: usize>(count: usize, size: usize) -> *mut c_void {
    // SAFETY: mimalloc and the cold path accept any size; for `usize::MAX` there is never memory.
    unsafe {
        match count.checked_mul(size) {
            Some(total) => allocate::<NUMBER>(total, true),
            None => (mimalloc().cold.allocate)(usize::MAX, true, slot::<NUMBER>()),
        }
    }
}

unsafe extern "C" fn realloc<const NUMBER: usize>(block: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: `allograft_heap_owns` decides whose block it is; what is copied fits both blocks.
    unsafe {
        if block.is_null() {
            return allocate::<NUMBER>(size, false);
        }
        let cold = mimalloc().cold.reallocate;
        if size == 0 || !allograft_heap_owns(block) {
            return cold(block, size, slot::<NUMBER>());
        }
        let usable = mi_usable_size(block);
        // As mimalloc does: a block that fits and wastes no more than half stays where it is.
        if size <= usable && size >= usable / 2 {
            clean_tail::<NUMBER>(block, size);
            return block;
        }
        let moved = if is_serving() { mi_malloc(size.max(16)) } else { null_mut() };
        if moved.is_null() {
            return cold(block, size, slot::<NUMBER>());
        }
        moved.cast::<u8>().copy_from_nonoverlapping(block.cast(), usable.min(size));
        mi_free(block);
        clean_tail::<NUMBER>(moved, size);
        moved
    }
}

unsafe extern "C" fn free<const NUMBER: usize>(block: *mut c_void) {
    // SAFETY: the program passes a block; `allograft_heap_owns` decides whose it is.
    unsafe {
        if allograft_heap_owns(block) {
            mi_free(block);
        } else {
            (mimalloc().cold.release)(block, slot::<NUMBER>());
        }
    }
}

unsafe extern "C" fn msize<const NUMBER: usize>(block: *mut c_void) -> usize {
    // SAFETY: the program passes a block; `allograft_heap_owns` decides whose it is.
    unsafe {
        if allograft_heap_owns(block) {
            mi_usable_size(block)
        } else {
            (mimalloc().cold.usable_size)(block, slot::<NUMBER>())
        }
    }
}

unsafe extern "C" fn aligned_malloc<const NUMBER: usize>(
    size: usize,
    alignment: usize,
) -> *mut c_void {
    // SAFETY: mimalloc gets a power of two only; the cold path accepts anything.
    unsafe {
        if is_serving() && alignment.is_power_of_two() && size <= isize::MAX as usize / 2 {
            let block = mi_malloc_aligned_at(size.max(16), alignment.max(16), 0);
            if !block.is_null() {
                clean_tail::<NUMBER>(block, size);
                return block;
            }
        }
        (mimalloc().cold.allocate_aligned)(size, alignment, slot::<NUMBER>())
    }
}

unsafe extern "C" fn aligned_free<const NUMBER: usize>(block: *mut c_void) {
    // SAFETY: the program passes a block; `allograft_heap_owns` decides whose it is.
    unsafe {
        if allograft_heap_owns(block) {
            mi_free(block);
        } else {
            (mimalloc().cold.release_aligned)(block, slot::<NUMBER>());
        }
    }
}
