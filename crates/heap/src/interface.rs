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
