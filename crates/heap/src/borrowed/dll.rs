//! The functions of the `mimalloc.dll` that the process has loaded, whatever its name.

use core::cell::UnsafeCell;
use core::ffi::{c_int, c_void};
use core::mem::transmute;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use windows_sys::Win32::Foundation::HMODULE;
use windows_sys::Win32::System::LibraryLoader::{
    GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_PIN, GetModuleHandleExW,
    GetProcAddress,
};
use windows_sys::core::s;

use crate::interface::{ColdPaths, HeapFigures, PrivateHeap};

/// Declares the functions of `mimalloc.dll` that are called here: the structure with their
/// addresses, which `find` fills, and a function for each that calls through it.
macro_rules! functions {
    ($($export:literal $name:ident($($argument:ident: $type:ty),*) $(-> $result:ty)?;)*) => {
        /// The functions of `mimalloc.dll`, and the cold paths.
        #[derive(Clone, Copy)]
        pub(super) struct MimallocDll {
            $($name: unsafe extern "C" fn($($type),*) $(-> $result)?,)*
            pub(super) cold: ColdPaths,
            heaps: Option<Heaps>,
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
                    heaps: find_heaps(module),
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

/// The functions of heaps that are shared by all threads, which older versions of mimalloc lack.
#[derive(Clone, Copy)]
pub(super) struct Heaps {
    pub(super) new: unsafe extern "C" fn() -> *mut PrivateHeap,
    pub(super) malloc: unsafe extern "C" fn(*mut PrivateHeap, usize) -> *mut c_void,
    pub(super) zalloc: unsafe extern "C" fn(*mut PrivateHeap, usize) -> *mut c_void,
    pub(super) malloc_aligned_at:
        unsafe extern "C" fn(*mut PrivateHeap, usize, usize, usize) -> *mut c_void,
    pub(super) of: unsafe extern "C" fn(*const c_void) -> *mut PrivateHeap,
    pub(super) destroy: unsafe extern "C" fn(*mut PrivateHeap),
}

/// The functions of heaps that `module` exports; none if its heaps are each for one thread only.
///
/// # Safety
/// The module is a mimalloc: its functions have mimalloc's signatures.
unsafe fn find_heaps(module: HMODULE) -> Option<Heaps> {
    type Procedure = unsafe extern "system" fn() -> isize;
    // SAFETY: the names are NUL-terminated; by the contract the functions have these types.
    unsafe {
        // A heap has parts of threads only where it is shared by them.
        GetProcAddress(module, s!("mi_heap_theap"))?;
        Some(Heaps {
            new: transmute::<Procedure, unsafe extern "C" fn() -> *mut PrivateHeap>(
                GetProcAddress(module, s!("mi_heap_new"))?,
            ),
            malloc: transmute::<
                Procedure,
                unsafe extern "C" fn(*mut PrivateHeap, usize) -> *mut c_void,
            >(GetProcAddress(module, s!("mi_heap_malloc"))?),
            zalloc: transmute::<
                Procedure,
                unsafe extern "C" fn(*mut PrivateHeap, usize) -> *mut c_void,
            >(GetProcAddress(module, s!("mi_heap_zalloc"))?),
            malloc_aligned_at: transmute::<
                Procedure,
                unsafe extern "C" fn(*mut PrivateHeap, usize, usize, usize) -> *mut c_void,
            >(GetProcAddress(
                module,
                s!("mi_heap_malloc_aligned_at"),
            )?),
            of: transmute::<Procedure, unsafe extern "C" fn(*const c_void) -> *mut PrivateHeap>(
                GetProcAddress(module, s!("mi_heap_of"))?,
            ),
            destroy: transmute::<Procedure, unsafe extern "C" fn(*mut PrivateHeap)>(
                GetProcAddress(module, s!("mi_heap_destroy"))?,
            ),
        })
    }
}

/// mimalloc's functions for heaps; none if it has no heaps that threads share.
#[inline(always)]
pub(super) fn heaps() -> Option<&'static Heaps> {
    mimalloc().heaps.as_ref()
}

/// The functions, which no entry calls before [`allograft_heap_start`] has found them.
struct DllCell(UnsafeCell<Option<MimallocDll>>);

// SAFETY: it is written once, with the loader's lock held, before any jump to the entries; after
// that it is only read.
unsafe impl Sync for DllCell {}

static DLL: DllCell = DllCell(UnsafeCell::new(None));

/// The address of the mimalloc to use.
static BASE: AtomicUsize = AtomicUsize::new(0);

/// Uses the mimalloc at the address `base`. Call it before [`crate::start`].
///
/// # Safety
/// A module is loaded there, and it is a mimalloc: what it exports by mimalloc's names has
/// mimalloc's signatures.
pub unsafe fn use_mimalloc_at(base: usize) {
    BASE.store(base, Ordering::Release);
}

/// The address of the mimalloc that is used; 0 if none is.
pub fn mimalloc_base() -> usize {
    BASE.load(Ordering::Acquire)
}

/// Whether new blocks come from mimalloc.
static SERVING: AtomicBool = AtomicBool::new(true);

#[inline(always)]
pub(super) fn mimalloc() -> &'static MimallocDll {
    // SAFETY: `start` has set it before any entry can be called, and nobody writes it again.
    unsafe { (*DLL.0.get()).as_ref().unwrap_unchecked() }
}

/// Sets whether new blocks come from mimalloc, or from the runtimes' own heaps. Blocks of both can
/// be freed at any time.
pub fn serve(serving: bool) {
    SERVING.store(serving, Ordering::Relaxed);
}

pub(super) fn is_serving() -> bool {
    SERVING.load(Ordering::Relaxed)
}

/// Has mimalloc's `mi_is_redirected()` return true from now on.
pub fn set_redirected() {
    const PROCESS_ATTACH: u32 = 1;
    // SAFETY: for this reason the function only sets a flag.
    unsafe { redirect_entry(PROCESS_ATTACH) };
}

/// Finds mimalloc's functions, and keeps its module from being unloaded: the program's calls will
/// lead into it. False without [`use_mimalloc_at`].
pub unsafe fn allograft_heap_start(cold: *const ColdPaths) -> bool {
    // SAFETY: `cold` is valid, and this runs with the loader's lock held, once: the entries, which
    // read the cell, are used only after it. By the contract of `use_mimalloc_at` the module is a
    // mimalloc.
    unsafe {
        const FLAGS: u32 = GET_MODULE_HANDLE_EX_FLAG_PIN | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS;
        let mut module: HMODULE = null_mut();
        if GetModuleHandleExW(FLAGS, mimalloc_base() as *const u16, &mut module) == 0 {
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
    _exact: bool,
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

pub unsafe fn allograft_heap_free(block: *mut c_void) {
    // SAFETY: the block is mimalloc's.
    unsafe { mi_free(block) }
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
