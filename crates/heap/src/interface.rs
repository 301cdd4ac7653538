//! The types that the entries and the engine share, as `native/entry.h` declares them.

use core::ffi::{c_uint, c_void};

/// How many C runtimes can be taken over at once: `ALLOGRAFT_RUNTIMES`.
pub const RUNTIMES: usize = 8;

/// The functions that the hot entries call for uncommon cases. The last argument of each is the
/// slot of the C runtime that was called.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ColdPaths {
    /// mimalloc had no memory, or the size is one that no heap has; the second argument asks for
    /// zeroes.
    pub allocate: extern "C" fn(usize, bool, c_uint) -> *mut c_void,
    /// The block is NULL or foreign, the size is 0, or there was no memory.
    pub reallocate: unsafe extern "C" fn(*mut c_void, usize, c_uint) -> *mut c_void,
    /// The block is NULL or foreign.
    pub release: unsafe extern "C" fn(*mut c_void, c_uint),
    /// The block is NULL or foreign.
    pub usable_size: unsafe extern "C" fn(*mut c_void, c_uint) -> usize,
    /// The alignment (the second argument) is no power of two, or there was no memory.
    pub allocate_aligned: extern "C" fn(usize, usize, c_uint) -> *mut c_void,
    /// The block is NULL or foreign.
    pub release_aligned: unsafe extern "C" fn(*mut c_void, c_uint),
}

/// The hot entries of one slot, each with the signature of the function that it replaces.
#[repr(C)]
pub struct Entries {
    /// `malloc`
    pub malloc: unsafe extern "C" fn(usize) -> *mut c_void,
    /// `calloc`
    pub calloc: unsafe extern "C" fn(usize, usize) -> *mut c_void,
    /// `realloc`
    pub realloc: unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void,
    /// `free`
    pub free: unsafe extern "C" fn(*mut c_void),
    /// `_msize`
    pub msize: unsafe extern "C" fn(*mut c_void) -> usize,
    /// `_aligned_malloc`
    pub aligned_malloc: unsafe extern "C" fn(usize, usize) -> *mut c_void,
    /// `_aligned_free`
    pub aligned_free: unsafe extern "C" fn(*mut c_void),
}

impl Entries {
    /// Their addresses, in the order of the fields.
    pub fn addresses(&self) -> [usize; 7] {
        [
            self.malloc as usize,
            self.calloc as usize,
            self.realloc as usize,
            self.free as usize,
            self.msize as usize,
            self.aligned_malloc as usize,
            self.aligned_free as usize,
        ]
    }
}

/// A heap of mimalloc's that the heap API serves in the place of one of `HeapCreate`'s.
#[repr(C)]
pub struct PrivateHeap {
    _opaque: [u8; 0],
}

/// The entries of the heap API, with the signatures of `HeapAlloc` and its kin: a heap handle and
/// flags come first. Blocks of mimalloc's are accepted whatever heap the caller names.
#[repr(C)]
pub struct HeapApiEntries {
    /// `HeapAlloc`, `RtlAllocateHeap`
    pub allocate: unsafe extern "system" fn(*mut c_void, u32, usize) -> *mut c_void,
    /// `HeapFree`, `RtlFreeHeap`; a full 32-bit TRUE.
    pub free: unsafe extern "system" fn(*mut c_void, u32, *mut c_void) -> i32,
    /// `HeapReAlloc`, `RtlReAllocateHeap` in modules whose allocations are served: foreign blocks
    /// of served heaps migrate.
    pub reallocate: unsafe extern "system" fn(*mut c_void, u32, *mut c_void, usize) -> *mut c_void,
    /// The same in all other modules: foreign blocks do not migrate.
    pub reallocate_in_other_modules:
        unsafe extern "system" fn(*mut c_void, u32, *mut c_void, usize) -> *mut c_void,
    /// `HeapSize`, `RtlSizeHeap`
    pub size: unsafe extern "system" fn(*mut c_void, u32, *const c_void) -> usize,
}

/// What the entries of the heap API leave to the engine. Each gets the arguments of the call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct HeapApiColdPaths {
    /// The heap is not served, there are flags that only the system's heap knows, mimalloc had no
    /// memory, or it is too late for it.
    pub allocate: unsafe extern "system" fn(*mut c_void, u32, usize) -> *mut c_void,
    /// The block is NULL or foreign.
    pub free: unsafe extern "system" fn(*mut c_void, u32, *mut c_void) -> i32,
    /// The block is NULL or foreign; or it is mimalloc's, and there was no memory, no room for
    /// `HEAP_REALLOC_IN_PLACE_ONLY`, or it is too late. The last argument is whether a foreign
    /// block of a served heap migrates.
    pub reallocate:
        unsafe extern "system" fn(*mut c_void, u32, *mut c_void, usize, bool) -> *mut c_void,
    /// The block is NULL or foreign.
    pub size: unsafe extern "system" fn(*mut c_void, u32, *const c_void) -> usize,
}

/// mimalloc's memory, in bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct HeapFigures {
    /// Memory that mimalloc has committed.
    pub committed: usize,
    /// The peak of it.
    pub committed_peak: usize,
    /// The committed memory that holds blocks, or tables of mimalloc's. The rest, in pieces of
    /// 64 KiB, is kept to be used again, or to be returned to the system after a while.
    pub used: usize,
    /// Address space that it has reserved.
    pub reserved: usize,
    /// The peak of it.
    pub reserved_peak: usize,
    /// Threads that have allocated and not ended (a count).
    pub threads: usize,
}
