//! The heap functions of the system, as they were before anything was redirected: what reaches the
//! old heaps. They are never given a block of mimalloc's.
//!
//! They are ntdll's own. The functions of kernel32 lead to them through import tables that may be
//! redirected; and where this code is linked into the program, its own import table is the
//! program's.

use core::ffi::{CStr, c_void};
use core::mem::transmute;

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::System::Memory::GetProcessHeap;

use crate::module::Module;
use crate::once::ClearableOnce;
use crate::windows::loaded_modules;

type Allocate = unsafe extern "system" fn(HANDLE, u32, usize) -> *mut c_void;
type Free = unsafe extern "system" fn(HANDLE, u32, *mut c_void) -> i32;
type Reallocate = unsafe extern "system" fn(HANDLE, u32, *mut c_void, usize) -> *mut c_void;
type Size = unsafe extern "system" fn(HANDLE, u32, *const c_void) -> usize;

struct HeapFunctions {
    allocate: Allocate,
    free: Free,
    reallocate: Reallocate,
    size: Size,
}

static FUNCTIONS: ClearableOnce<HeapFunctions> = ClearableOnce::new();

/// ntdll, which every process has.
pub(crate) fn ntdll() -> Option<Module> {
    loaded_modules().find(|module| module.name_is("ntdll.dll"))
}

/// Looks the functions up, before anything is redirected. A later call changes nothing. The caller
/// holds the loader's lock.
///
/// # Errors
/// The name of a function that ntdll lacks.
pub(crate) fn look_up() -> Result<(), &'static CStr> {
    if FUNCTIONS.get().is_some() {
        return Ok(());
    }
    let ntdll = ntdll().ok_or(c"RtlAllocateHeap")?;
    let find = |name: &'static CStr| ntdll.export(name).ok_or(name);
    // SAFETY: functions of these names have these signatures.
    let functions = unsafe {
        HeapFunctions {
            allocate: transmute::<usize, Allocate>(find(c"RtlAllocateHeap")?),
            free: transmute::<usize, Free>(find(c"RtlFreeHeap")?),
            reallocate: transmute::<usize, Reallocate>(find(c"RtlReAllocateHeap")?),
            size: transmute::<usize, Size>(find(c"RtlSizeHeap")?),
        }
    };
    FUNCTIONS.set(functions);
    Ok(())
}

fn functions() -> &'static HeapFunctions {
    // SAFETY: nothing is redirected to code that comes here before `look_up` has succeeded, and
    // the cell is never cleared.
    unsafe { FUNCTIONS.get().unwrap_unchecked() }
}

/// The addresses of `RtlFreeHeap`, `RtlReAllocateHeap` and `RtlSizeHeap`.
#[cfg(feature = "escapes")]
pub(crate) fn taking_blocks() -> [usize; 3] {
    let functions = functions();
    [functions.free as usize, functions.reallocate as usize, functions.size as usize]
}

/// The process's heap, which every process has.
pub(crate) fn process_heap() -> HANDLE {
    // SAFETY: the call only reads the PEB.
    unsafe { GetProcessHeap() }
}

/// `HeapAlloc`
///
/// # Safety
/// `heap` is a heap of the system's.
pub(crate) unsafe fn allocate(heap: HANDLE, flags: u32, size: usize) -> *mut c_void {
    // SAFETY: by the contract.
    unsafe { (functions().allocate)(heap, flags, size) }
}

/// `HeapFree`
///
/// # Safety
/// `heap` is a heap of the system's, and `block` none of mimalloc's. Nobody uses it afterwards.
pub(crate) unsafe fn free(heap: HANDLE, flags: u32, block: *mut c_void) -> bool {
    // Before Windows 8, and in Wine, the result has 8 bits.
    //
    // SAFETY: by the contract; the heap checks whether the block is one of its own.
    unsafe { (functions().free)(heap, flags, block) as u8 != 0 }
}

/// `HeapReAlloc`
///
/// # Safety
/// As for [`free`], if another block is returned.
pub(crate) unsafe fn reallocate(
    heap: HANDLE,
    flags: u32,
    block: *mut c_void,
    size: usize,
) -> *mut c_void {
    // SAFETY: by the contract; the heap checks whether the block is one of its own.
    unsafe { (functions().reallocate)(heap, flags, block, size) }
}

/// `HeapSize`
///
/// # Safety
/// `heap` is a heap of the system's, and `block` none of mimalloc's.
pub(crate) unsafe fn size(heap: HANDLE, flags: u32, block: *const c_void) -> usize {
    // SAFETY: by the contract; the heap checks whether the block is one of its own.
    unsafe { (functions().size)(heap, flags, block) }
}
