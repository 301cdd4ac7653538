//! The heap that an old C runtime in the program's image makes for itself: those of Visual C++ 2005
//! to 2010 call `HeapCreate`, and keep the handle in a variable.
//!
//! The variable is found by the code that uses it. From the moment that it holds the handle of a
//! heap that can grow and is not executable, blocks of that heap come from a heap of mimalloc's,
//! which lives as long as the handle.

use core::ffi::c_void;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};

use allograft_heap::PrivateHeap;
use allograft_references::{
    HeapFunction as Referenced, HeapOrigin, HeapSlot, MappedImage, runtime_heap,
};
use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::System::Memory::{GetProcessHeaps, HEAP_NO_SERIALIZE, HEAP_ZERO_MEMORY};

use super::table::HeapFunction;
use crate::loaded_image::{LoadedImage, RegionOf};
use crate::module::Module;
use crate::{imports, old_heap};

/// The variable, once it is known that a runtime keeps its handle there.
static VARIABLE: AtomicPtr<HANDLE> = AtomicPtr::new(null_mut());

/// The handle that is served.
static HANDLE_SERVED: AtomicPtr<c_void> = AtomicPtr::new(null_mut());

/// The heap of mimalloc's that it is served from.
static HEAP: AtomicPtr<PrivateHeap> = AtomicPtr::new(null_mut());

/// Held while a handle begins to be served. Nobody waits for it.
static BEGINNING: AtomicBool = AtomicBool::new(false);

/// `HeapCreate`, as the program has imported it.
static CREATE: AtomicUsize = AtomicUsize::new(0);

/// Handles of heaps that the program has made and that can be served: the last few.
static CREATED: [AtomicPtr<c_void>; 4] = [const { AtomicPtr::new(null_mut()) }; 4];

/// How a slot of an import table refers to the functions that the search needs.
pub(super) struct Addresses<'a> {
    /// The functions of the table.
    pub(super) function_at: &'a dyn Fn(usize) -> Option<HeapFunction>,
    /// `HeapCreate`.
    pub(super) creates: &'a dyn Fn(usize) -> bool,
}

/// The variable in which the runtime that is linked into `program` keeps the handle of a heap that
/// it makes; none if it makes none, or does not show where it keeps it. To be called before the
/// import table is redirected.
pub(super) fn find(
    program: &Module,
    region: RegionOf<'_>,
    addresses: &Addresses<'_>,
) -> Option<*mut HANDLE> {
    const MOST_SLOTS: usize = 16;
    let mut slots = [HeapSlot { function: Referenced::Create, slot: 0 }; MOST_SLOTS];
    let (mut count, mut creates) = (0, false);
    imports::visit(program, region, &mut |slot, address| {
        let function = match (addresses.function_at)(address) {
            Some(HeapFunction::AllocateHeap) => Referenced::Allocate,
            Some(HeapFunction::FreeHeap) => Referenced::Free,
            Some(HeapFunction::ReAllocateHeap) => Referenced::Reallocate,
            Some(HeapFunction::SizeHeap) => Referenced::Size,
            None if (addresses.creates)(address) => Referenced::Create,
            _ => return,
        };
        creates |= function == Referenced::Create;
        if let Some(place) = slots.get_mut(count) {
            *place = HeapSlot { function, slot: (slot - program.base()) as u32 };
            count += 1;
        }
    });
    let image = LoadedImage::new(program, region);
    if !creates || !is_worth_a_search(&image) {
        return None;
    }
    let bytes = |offset: u32| image.bytes_from(offset as usize);
    let mapped = MappedImage::new(program.base() as u64, &bytes)?;
    let heap = runtime_heap(&mapped, &slots[..count])?;
    let variable = program.base() + heap.handle as usize;
    let is_aligned = variable.is_multiple_of(align_of::<HANDLE>());
    (heap.origin == HeapOrigin::Created && is_aligned).then_some(variable as *mut HANDLE)
}

/// Whether `image` may have such a runtime linked in. A search reads all of its code, which would
/// delay the start of a large program.
fn is_worth_a_search(image: &LoadedImage<'_>) -> bool {
    /// That of Visual C++ 2010. Later runtimes use the process's heap.
    const LAST_LINKER: u8 = 10;
    /// Other linkers can be given such a runtime. Code of this size is searched in milliseconds.
    const SMALL: usize = 4 << 20;
    let known = image.linker_and_code_size();
    known.is_some_and(|(linker, code_size)| linker <= LAST_LINKER || code_size <= SMALL)
}

/// Serves the heap whose handle `variable` holds, now or as soon as it does. To be called when the
/// free side is complete.
///
/// # Safety
/// The variable is in the program's image, which stays.
pub(super) unsafe fn serve(variable: *mut HANDLE, is_executable: &dyn Fn(usize) -> bool) {
    VARIABLE.store(variable, Ordering::Release);
    let handle = stored_handle();
    if !handle.is_null() && is_a_heap(handle) && !is_executable(handle as usize) {
        begin(handle);
    }
}

/// The replacement of `HeapCreate` in the program's import table, whose slot holds `original`.
pub(super) fn replace_create(original: usize) -> usize {
    CREATE.store(original, Ordering::Release);
    create as *const () as usize
}

/// `HeapCreate`
unsafe extern "system" fn create(options: u32, initial: usize, maximum: usize) -> HANDLE {
    type Create = unsafe extern "system" fn(u32, usize, usize) -> HANDLE;
    // SAFETY: the slot held the address of a function with this signature.
    let handle = unsafe {
        let original = core::mem::transmute::<usize, Create>(CREATE.load(Ordering::Acquire));
        original(options, initial, maximum)
    };
    if !handle.is_null() {
        forget(handle);
        let can_be_served = maximum == 0 && options & !HEAP_NO_SERIALIZE == 0;
        let free = CREATED.iter().find(|created| created.load(Ordering::Relaxed).is_null());
        if can_be_served && let Some(place) = free {
            place.store(handle, Ordering::Release);
        }
    }
    handle
}

fn forget(handle: HANDLE) {
    for created in &CREATED {
        // Another handle that came meanwhile stays.
        let _ = created.compare_exchange(handle, null_mut(), Ordering::AcqRel, Ordering::Relaxed);
    }
}

/// The contents of the variable; NULL if there is none, or it holds the process's heap.
fn stored_handle() -> HANDLE {
    let variable = VARIABLE.load(Ordering::Acquire);
    if variable.is_null() {
        return null_mut();
    }
    // SAFETY: the variable is in the program's image, aligned, and stays. The program writes it as
    // one word.
    let handle = unsafe { AtomicPtr::from_ptr(variable) }.load(Ordering::Acquire);
    if handle == old_heap::process_heap() { null_mut() } else { handle }
}

/// Whether `handle` is that of a heap of the process. The variable is not trusted.
fn is_a_heap(handle: HANDLE) -> bool {
    let mut handles = [null_mut(); 256];
    // SAFETY: the buffer is as long as stated. The result may be more than that, if it is too
    // small.
    let count = unsafe { GetProcessHeaps(handles.len() as u32, handles.as_mut_ptr()) };
    handles.iter().take(count as usize).any(|&known| known == handle)
}

/// Begins to serve `handle`. False if another one is served, or there is no memory.
fn begin(handle: HANDLE) -> bool {
    if !HANDLE_SERVED.load(Ordering::Acquire).is_null() || BEGINNING.swap(true, Ordering::AcqRel) {
        return false;
    }
    let heap = allograft_heap::private_heap_new();
    if !heap.is_null() {
        // SAFETY: no handle is served, and the heap lives until `destroy` has ended this.
        unsafe { serve_from(handle, heap) };
    }
    BEGINNING.store(false, Ordering::Release);
    !heap.is_null()
}

/// # Safety
/// No handle is served, and `heap` lives as long as `handle` is.
unsafe fn serve_from(handle: HANDLE, heap: *mut PrivateHeap) {
    HEAP.store(heap, Ordering::Release);
    HANDLE_SERVED.store(handle, Ordering::Release);
    // SAFETY: by the contract.
    unsafe { allograft_heap::serve_second_heap(handle, heap) };
}

/// Whether blocks of `handle` are served.
pub(super) fn serves(handle: HANDLE) -> bool {
    !handle.is_null() && HANDLE_SERVED.load(Ordering::Acquire) == handle
}

/// Whether `handle`, which the entries do not serve, is the runtime's, made since then. It is
/// served from now on.
pub(super) fn begins_with(handle: HANDLE) -> bool {
    let was_created = || CREATED.iter().any(|created| created.load(Ordering::Acquire) == handle);
    !handle.is_null() && handle == stored_handle() && was_created() && begin(handle)
}

/// A block of the heap that is served. NULL if there is no memory.
///
/// # Safety
/// The heap is served, and is not destroyed meanwhile.
pub(super) unsafe fn allocate(flags: u32, size: usize) -> *mut c_void {
    let zeroed = flags & HEAP_ZERO_MEMORY != 0;
    // SAFETY: by the contract.
    unsafe { allograft_heap::private_heap_allocate(HEAP.load(Ordering::Acquire), size, zeroed) }
}

/// Destroys `handle`, a heap of the system's, by `original`, with mimalloc's blocks of it if it is
/// served. Returns what `original` returns: NULL for success.
///
/// # Safety
/// The program uses neither the heap nor its blocks from now on.
pub(super) unsafe fn destroy(
    handle: HANDLE,
    original: unsafe extern "system" fn(HANDLE) -> *mut c_void,
) -> *mut c_void {
    // Before the heap is destroyed: another thread may be given the same handle for a new one at
    // once.
    forget(handle);
    let heap = if serves(handle) { end() } else { null_mut() };
    // SAFETY: by the contract; nobody finds `heap` any more.
    unsafe {
        let failed = original(handle);
        if heap.is_null() {
            return failed;
        }
        if failed.is_null() {
            allograft_heap::private_heap_destroy(heap);
        } else {
            serve_from(handle, heap);
        }
        failed
    }
}

/// Serves no handle from now on. Returns the heap that it was served from.
fn end() -> *mut PrivateHeap {
    // SAFETY: the heap lives on, for calls that have found it.
    unsafe { allograft_heap::serve_second_heap(null_mut(), null_mut()) };
    HANDLE_SERVED.store(null_mut(), Ordering::Release);
    HEAP.swap(null_mut(), Ordering::AcqRel)
}
