//! The heap of a `mimalloc.dll` that the process has loaded, in the place of one of our own: the
//! same face as `native`, on the public functions of mimalloc alone.
//!
//! A block's owner is looked up in mimalloc's page map first and then, by mimalloc itself, once
//! more: that second look-up is what it costs to know nothing of mimalloc's inside.

use core::cell::UnsafeCell;
use core::ffi::{CStr, c_int, c_uint, c_void};
use core::mem::transmute;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, Ordering};

use windows_sys::Win32::Foundation::HMODULE;
use windows_sys::Win32::System::LibraryLoader::{
    GET_MODULE_HANDLE_EX_FLAG_PIN, GetModuleHandleExW, GetProcAddress,
};
use windows_sys::core::w;

use crate::interface::{ColdPaths, Entries, Figures, RUNTIMES};

type Allocate = unsafe extern "C" fn(usize) -> *mut c_void;
type AllocateAligned = unsafe extern "C" fn(usize, usize, usize) -> *mut c_void;
type Free = unsafe extern "C" fn(*mut c_void);
type Measure = unsafe extern "C" fn(*const c_void) -> usize;
type Owns = unsafe extern "C" fn(*const c_void) -> bool;
type Version = unsafe extern "C" fn() -> c_int;
type Tell = unsafe extern "C" fn(u32);

/// What is called of mimalloc's, and whoever serves what the entries do not.
#[derive(Clone, Copy)]
struct Mimalloc {
    malloc: Allocate,
    zalloc: Allocate,
    malloc_aligned_at: AllocateAligned,
    free: Free,
    usable_size: Measure,
    is_in_heap_region: Owns,
    version: Version,
    /// Tells mimalloc of the redirection and of threads that end; the argument is that of a DLL's
    /// entry point.
    redirect_entry: Tell,
    cold: ColdPaths,
}

/// The functions, which no entry asks for before [`allograft_heap_start`] has found them.
struct Found(UnsafeCell<Option<Mimalloc>>);

// SAFETY: written once, under the loader's lock, before the jumps to the entries are; only read
// afterwards.
unsafe impl Sync for Found {}

static FOUND: Found = Found(UnsafeCell::new(None));

/// Whether new blocks come from mimalloc.
static SERVING: AtomicBool = AtomicBool::new(true);

#[inline(always)]
fn mimalloc() -> &'static Mimalloc {
    // SAFETY: see `Found`.
    unsafe { (*FOUND.0.get()).as_ref().unwrap_unchecked() }
}

/// Whether new blocks are mimalloc's from now on, or the runtimes' own. Blocks of both are taken
/// back at any time.
pub fn serve(serving: bool) {
    SERVING.store(serving, Ordering::Relaxed);
}

fn is_serving() -> bool {
    SERVING.load(Ordering::Relaxed)
}

/// Tells mimalloc that the program's calls are sent to it: `mi_is_redirected()` says so from then
/// on.
pub fn tell_redirected() {
    const PROCESS_ATTACH: u32 = 1;
    // SAFETY: the function sets a flag.
    unsafe { (mimalloc().redirect_entry)(PROCESS_ATTACH) };
}

/// Finds `mimalloc.dll`, and keeps it from being unloaded: the program's calls will lead into it.
pub unsafe fn allograft_heap_start(cold: *const ColdPaths) -> bool {
    // SAFETY: the caller's promise; called under the loader's lock, and not again once it has
    // returned true.
    unsafe {
        let mut module: HMODULE = null_mut();
        if GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_PIN, w!("mimalloc.dll"), &mut module) == 0 {
            return false;
        }
        let found = find(module, *cold);
        let is_found = found.is_some();
        *FOUND.0.get() = found;
        is_found
    }
}

/// The functions of mimalloc's that are exported by `module`; none if one is missing.
///
/// # Safety
/// The module is a mimalloc: its functions have mimalloc's signatures.
unsafe fn find(module: HMODULE, cold: ColdPaths) -> Option<Mimalloc> {
    let function = |name: &CStr| {
        // SAFETY: the name is NUL-terminated.
        unsafe { GetProcAddress(module, name.as_ptr().cast()) }.map(|found| found as *const c_void)
    };
    // SAFETY: the caller's promise.
    unsafe {
        Some(Mimalloc {
            malloc: transmute::<*const c_void, Allocate>(function(c"mi_malloc")?),
            zalloc: transmute::<*const c_void, Allocate>(function(c"mi_zalloc")?),
            malloc_aligned_at: transmute::<*const c_void, AllocateAligned>(function(
                c"mi_malloc_aligned_at",
            )?),
            free: transmute::<*const c_void, Free>(function(c"mi_free")?),
            usable_size: transmute::<*const c_void, Measure>(function(c"mi_usable_size")?),
            is_in_heap_region: transmute::<*const c_void, Owns>(function(c"mi_is_in_heap_region")?),
            version: transmute::<*const c_void, Version>(function(c"mi_version")?),
            redirect_entry: transmute::<*const c_void, Tell>(function(c"_mi_redirect_entry")?),
            cold,
        })
    }
}

pub unsafe fn allograft_heap_thread_done() {
    const THREAD_DETACH: u32 = 3;
    // SAFETY: has no preconditions.
    unsafe { (mimalloc().redirect_entry)(THREAD_DETACH) }
}

/// A thread that ends is mimalloc's own affair here. While mimalloc is not to serve, it is as if it
/// could not: what leaves new blocks to the runtime's old heap at the end does so then.
pub unsafe fn allograft_heap_is_too_late() -> bool {
    !is_serving() || crate::ending::process_ends()
}

pub unsafe fn allograft_heap_owns(block: *const c_void) -> bool {
    // SAFETY: the address is looked up, not dereferenced.
    unsafe { (mimalloc().is_in_heap_region)(block) }
}

/// Where mimalloc refuses a combination of alignment and offset, the old heap serves it.
pub unsafe fn allograft_heap_interior_aligned(
    _size: usize,
    _alignment: usize,
    _offset: usize,
) -> *mut c_void {
    null_mut()
}

/// mimalloc marks every page in which an aligned address was given out, and has no other way to
/// find its block.
pub unsafe fn allograft_heap_others_may_have_aligned(_they_may: bool) -> bool {
    false
}

pub unsafe fn allograft_heap_usable_size_of_aligned(block: *mut c_void) -> usize {
    // SAFETY: mimalloc takes its aligned blocks as any other.
    unsafe { mi_usable_size(block) }
}

pub unsafe fn allograft_heap_free_aligned(block: *mut c_void) {
    // SAFETY: as above.
    unsafe { mi_free(block) }
}

/// mimalloc prints its own.
pub unsafe fn allograft_heap_print_statistics() {}

/// mimalloc's public interface gives its figures as text only.
pub unsafe fn allograft_heap_figures(_figures: *mut Figures) {}

pub unsafe fn mi_malloc(size: usize) -> *mut c_void {
    // SAFETY: any size is a valid argument.
    unsafe { (mimalloc().malloc)(size) }
}

pub unsafe fn mi_zalloc(size: usize) -> *mut c_void {
    // SAFETY: as above.
    unsafe { (mimalloc().zalloc)(size) }
}

pub unsafe fn mi_malloc_aligned_at(size: usize, alignment: usize, offset: usize) -> *mut c_void {
    // SAFETY: as above.
    unsafe { (mimalloc().malloc_aligned_at)(size, alignment, offset) }
}

pub unsafe fn mi_free(block: *mut c_void) {
    // SAFETY: the caller's promise.
    unsafe { (mimalloc().free)(block) }
}

pub unsafe fn mi_usable_size(block: *const c_void) -> usize {
    // SAFETY: the caller's promise.
    unsafe { (mimalloc().usable_size)(block) }
}

/// 0 before [`allograft_heap_start`] has found it.
pub unsafe fn mi_version() -> c_int {
    // SAFETY: see `Found`; the function returns a constant.
    unsafe { (*FOUND.0.get()).as_ref().map_or(0, |found| (found.version)()) }
}

/// The entries with tails kept zero stand in the second half.
const CLEAN: usize = RUNTIMES;

/// The entries of one runtime; those that keep tails zero have a number from [`CLEAN`] on.
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

#[allow(non_upper_case_globals, reason = "the C side's name")]
pub static allograft_entries: [Entries; RUNTIMES] = [
    entries::<0>(),
    entries::<1>(),
    entries::<2>(),
    entries::<3>(),
    entries::<4>(),
    entries::<5>(),
    entries::<6>(),
    entries::<7>(),
];

#[allow(non_upper_case_globals, reason = "the C side's name")]
pub static allograft_clean_entries: [Entries; RUNTIMES] = [
    entries::<CLEAN>(),
    entries::<{ CLEAN + 1 }>(),
    entries::<{ CLEAN + 2 }>(),
    entries::<{ CLEAN + 3 }>(),
    entries::<{ CLEAN + 4 }>(),
    entries::<{ CLEAN + 5 }>(),
    entries::<{ CLEAN + 6 }>(),
    entries::<{ CLEAN + 7 }>(),
];

/// Zeroes what lies behind the program's bytes, for entries that keep it so.
unsafe fn clean_tail<const NUMBER: usize>(block: *mut c_void, size: usize) {
    if NUMBER >= CLEAN {
        // SAFETY: the block is mimalloc's, and the program does not have these bytes.
        unsafe {
            let usable = mi_usable_size(block);
            block.cast::<u8>().add(size).write_bytes(0, usable - size);
        }
    }
}

unsafe fn allocate<const NUMBER: usize>(size: usize, zeroed: bool) -> *mut c_void {
    // SAFETY: any size is a valid argument of all of these.
    unsafe {
        if !is_serving() {
            return (mimalloc().cold.allocate)(size, zeroed, (NUMBER % RUNTIMES) as c_uint);
        }
        // C runtimes align blocks to 16 bytes whatever their size; mimalloc would align one of 8
        // bytes to 8.
        let padded = size.max(16);
        let block = if zeroed { mi_zalloc(padded) } else { mi_malloc(padded) };
        if block.is_null() {
            return (mimalloc().cold.allocate)(size, zeroed, (NUMBER % RUNTIMES) as c_uint);
        }
        if !zeroed {
            clean_tail::<NUMBER>(block, size);
        }
        block
    }
}

unsafe extern "C" fn malloc<const NUMBER: usize>(size: usize) -> *mut c_void {
    // SAFETY: the program's call.
    unsafe { allocate::<NUMBER>(size, false) }
}

unsafe extern "C" fn calloc<const NUMBER: usize>(count: usize, size: usize) -> *mut c_void {
    // SAFETY: the program's call; no heap has as many bytes as the largest number says.
    unsafe {
        match count.checked_mul(size) {
            Some(total) => allocate::<NUMBER>(total, true),
            None => (mimalloc().cold.allocate)(usize::MAX, true, (NUMBER % RUNTIMES) as c_uint),
        }
    }
}

unsafe extern "C" fn realloc<const NUMBER: usize>(block: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: the program's call; what is copied fits both blocks.
    unsafe {
        if block.is_null() {
            return allocate::<NUMBER>(size, false);
        }
        let cold = mimalloc().cold.reallocate;
        if size == 0 || !allograft_heap_owns(block) {
            return cold(block, size, (NUMBER % RUNTIMES) as c_uint);
        }
        let usable = mi_usable_size(block);
        // As mimalloc does: a block that fits and wastes no more than half stays where it is.
        if size <= usable && size >= usable / 2 {
            clean_tail::<NUMBER>(block, size);
            return block;
        }
        let moved = if is_serving() { mi_malloc(size.max(16)) } else { null_mut() };
        if moved.is_null() {
            return cold(block, size, (NUMBER % RUNTIMES) as c_uint);
        }
        moved.cast::<u8>().copy_from_nonoverlapping(block.cast(), usable.min(size));
        mi_free(block);
        clean_tail::<NUMBER>(moved, size);
        moved
    }
}

unsafe extern "C" fn free<const NUMBER: usize>(block: *mut c_void) {
    // SAFETY: the program's call.
    unsafe {
        if allograft_heap_owns(block) {
            mi_free(block);
        } else {
            (mimalloc().cold.release)(block, (NUMBER % RUNTIMES) as c_uint);
        }
    }
}

unsafe extern "C" fn msize<const NUMBER: usize>(block: *mut c_void) -> usize {
    // SAFETY: the program's call.
    unsafe {
        if allograft_heap_owns(block) {
            mi_usable_size(block)
        } else {
            (mimalloc().cold.usable_size)(block, (NUMBER % RUNTIMES) as c_uint)
        }
    }
}

unsafe extern "C" fn aligned_malloc<const NUMBER: usize>(
    size: usize,
    alignment: usize,
) -> *mut c_void {
    // SAFETY: the program's call; what mimalloc would not take is left to the cold path.
    unsafe {
        if is_serving() && alignment.is_power_of_two() && size <= isize::MAX as usize / 2 {
            let block = mi_malloc_aligned_at(size.max(16), alignment.max(16), 0);
            if !block.is_null() {
                clean_tail::<NUMBER>(block, size);
                return block;
            }
        }
        (mimalloc().cold.allocate_aligned)(size, alignment, (NUMBER % RUNTIMES) as c_uint)
    }
}

unsafe extern "C" fn aligned_free<const NUMBER: usize>(block: *mut c_void) {
    // SAFETY: the program's call.
    unsafe {
        if allograft_heap_owns(block) {
            mi_free(block);
        } else {
            (mimalloc().cold.release_aligned)(block, (NUMBER % RUNTIMES) as c_uint);
        }
    }
}
