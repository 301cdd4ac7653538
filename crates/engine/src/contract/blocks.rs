//! Blocks for the replacements: allocated, resized and freed in either heap, and failing as the C
//! runtime fails.

use core::ffi::c_void;
use core::ptr::null_mut;

use windows_sys::Win32::Foundation::{ERROR_NOT_ENOUGH_MEMORY, GetLastError, SetLastError};

use crate::aligned_layout::AlignedLayout;
use crate::foreign::{self, RawBlock};
use crate::runtime::{ENOMEM, LARGEST_REQUEST, Runtime};

/// Which functions a block belongs to. Blocks of both kinds may be mimalloc's or foreign.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// Those of `malloc`.
    Plain,
    /// Those of `_aligned_malloc`. mimalloc aligns its own blocks; foreign ones have the runtime's
    /// layout (see [`crate::aligned_layout`]).
    Aligned(AlignedLayout),
}

impl Kind {
    /// A block of mimalloc's; NULL if there is no memory.
    fn allocate_in_mimalloc(self, size: usize, zeroed: bool) -> *mut c_void {
        let exact = allograft_heap::keeps_exact_sizes();
        match self {
            // As C runtimes do, which ask their heaps for a byte at least.
            Kind::Plain if exact => allograft_heap::exact_allocate(size.max(1), zeroed),
            Kind::Plain if zeroed => allograft_heap::allocate_zeroed(size),
            Kind::Plain => allograft_heap::allocate(size),
            Kind::Aligned(AlignedLayout { alignment, offset }) if exact => {
                allograft_heap::exact_allocate_aligned(size, alignment, offset)
            }
            Kind::Aligned(AlignedLayout { alignment, offset }) => {
                allograft_heap::allocate_aligned(size, alignment, offset)
            }
        }
    }

    /// # Safety
    /// `block` is one of mimalloc's of this kind.
    unsafe fn usable_size(self, block: *const c_void) -> usize {
        // SAFETY: by the contract.
        unsafe {
            match self {
                Kind::Plain => allograft_heap::usable_size(block),
                Kind::Aligned(_) => allograft_heap::usable_size_of_aligned(block),
            }
        }
    }

    /// The size as the program may ask for it: that which it asked for, where the block keeps it.
    ///
    /// # Safety
    /// `block` is one of mimalloc's of this kind.
    unsafe fn size(self, block: *const c_void) -> usize {
        // SAFETY: by the contract.
        unsafe {
            match self {
                Kind::Plain => allograft_heap::exact_size(block),
                Kind::Aligned(_) => allograft_heap::exact_size_of_aligned(block),
            }
        }
    }

    /// # Safety
    /// `block` is one of mimalloc's of this kind, and nobody uses it afterwards.
    unsafe fn free_in_mimalloc(self, block: *mut c_void) {
        // SAFETY: by the contract.
        unsafe {
            match self {
                Kind::Plain => allograft_heap::free(block),
                Kind::Aligned(_) => allograft_heap::free_aligned(block),
            }
        }
    }

    /// The block of the old heap that a foreign block lies in.
    ///
    /// # Safety
    /// `block` is a foreign one of this kind.
    unsafe fn raw(self, block: *mut c_void) -> *mut c_void {
        match self {
            Kind::Plain => block,
            // SAFETY: by the contract.
            Kind::Aligned(_) => unsafe { foreign::raw_of_aligned(block) },
        }
    }

    /// Zeroes the tail of a block that the program requested `size` bytes of, where tails are kept
    /// clean. Returns the block, which may be NULL or foreign.
    ///
    /// # Safety
    /// `block` is of this kind.
    pub(super) unsafe fn clean_tail(
        self,
        runtime: &Runtime,
        block: *mut c_void,
        size: usize,
    ) -> *mut c_void {
        if runtime.has_clean_tails() && !block.is_null() && allograft_heap::owns(block) {
            // SAFETY: the block is mimalloc's, and the bytes behind `size` are not the program's. A
            // block that keeps its size has no others.
            unsafe { zero(block, size, self.size(block)) };
        }
        block
    }
}

/// A plain block of `size` bytes, or the failure that the program expects.
pub(super) fn allocate(runtime: &Runtime, size: usize, zeroed: bool) -> *mut c_void {
    with_new_handler(runtime, size, || {
        if allograft_heap::is_too_late() {
            return foreign::allocate(runtime, size, zeroed);
        }
        let block = Kind::Plain.allocate_in_mimalloc(size, zeroed);
        // SAFETY: the block is new, and plain.
        unsafe { Kind::Plain.clean_tail(runtime, block, size) }
    })
}

/// The same for an aligned block.
pub(super) fn allocate_aligned(
    runtime: &Runtime,
    size: usize,
    layout: AlignedLayout,
) -> *mut c_void {
    let Some(request) = request(runtime, size, layout) else {
        return null_mut();
    };
    with_new_handler(runtime, request, || {
        let kind = Kind::Aligned(layout);
        let too_late = allograft_heap::is_too_late();
        let block = if too_late { null_mut() } else { kind.allocate_in_mimalloc(size, false) };
        if block.is_null() && (too_late || layout.offset != 0) {
            return foreign::allocate_aligned(runtime, size, layout);
        }
        // SAFETY: the block is new, and aligned.
        unsafe { kind.clean_tail(runtime, block, size) }
    })
}

/// The size that the runtime would request from its heap for an aligned block, after it has checked
/// its arguments. None if the call fails; it has set `errno` then.
fn request(runtime: &Runtime, size: usize, layout: AlignedLayout) -> Option<usize> {
    if !layout.is_valid_for(size) {
        runtime.invalid_parameter();
        return None;
    }
    let request = size.checked_add(layout.overhead()).filter(|&sum| sum <= LARGEST_REQUEST);
    if request.is_none() {
        runtime.set_errno(ENOMEM);
    }
    request
}

/// Calls `attempt` until it returns a block, or the program's new handler gives up; then the call
/// fails as the runtime's own does. `request` is the size that the handler gets.
fn with_new_handler(
    runtime: &Runtime,
    request: usize,
    attempt: impl Fn() -> *mut c_void,
) -> *mut c_void {
    // SAFETY: the calls only access the calling thread's TEB. A successful call leaves the last
    // error unchanged.
    let (last_error, set_last_error) =
        (|| unsafe { GetLastError() }, |code| unsafe { SetLastError(code) });
    if request <= LARGEST_REQUEST {
        let before = last_error();
        loop {
            let block = attempt();
            if !block.is_null() {
                set_last_error(before);
                return block;
            }
            if !runtime.call_new_handler(request) {
                break;
            }
        }
        // As a heap of the system does when it has no memory.
        set_last_error(ERROR_NOT_ENOUGH_MEMORY);
    }
    runtime.set_errno(ENOMEM);
    null_mut()
}

/// Frees a block.
///
/// # Safety
/// `block` is one of this kind in either heap, and nobody uses it afterwards.
pub(super) unsafe fn release(runtime: &Runtime, block: *mut c_void, kind: Kind) {
    // SAFETY: `owns` decides which heap the block is given to.
    unsafe {
        if allograft_heap::owns(block) {
            kind.free_in_mimalloc(block);
        } else {
            foreign::free(runtime, kind.raw(block));
        }
    }
}

/// The size of a block. `usize::MAX` if its heap does not know it.
///
/// # Safety
/// `block` is one of this kind in either heap.
pub(super) unsafe fn size_of_block(runtime: &Runtime, block: *mut c_void, kind: Kind) -> usize {
    let overhead = match kind {
        Kind::Plain => 0,
        Kind::Aligned(layout) => layout.overhead(),
    };
    // SAFETY: `owns` decides which heap is asked.
    unsafe {
        if allograft_heap::owns(block) {
            return kind.size(block);
        }
        let size = foreign::size(runtime, kind.raw(block));
        size.map_or(usize::MAX, |size| size.wrapping_sub(overhead))
    }
}

/// `realloc` in all its cases.
///
/// # Safety
/// `block` is NULL or one of this kind in either heap, and the program gives it up if another one
/// is returned.
pub(super) unsafe fn reallocate(
    runtime: &Runtime,
    block: *mut c_void,
    size: usize,
    kind: Kind,
) -> *mut c_void {
    let allocate = || match kind {
        Kind::Plain => allocate(runtime, size, false),
        Kind::Aligned(layout) => allocate_aligned(runtime, size, layout),
    };
    if block.is_null() {
        return allocate();
    }
    // SAFETY: `owns` decides which heap the block is given to; what is copied fits both blocks.
    unsafe {
        if size == 0 {
            release(runtime, block, kind);
            return null_mut();
        }
        let mut keeps_alignment = true;
        if let Kind::Aligned(layout) = kind {
            if request(runtime, size, layout).is_none() {
                return null_mut();
            }
            keeps_alignment = layout.holds_for(block);
        }
        if allograft_heap::owns(block) {
            let usable = kind.usable_size(block);
            let stay =
                || keeps_alignment && allograft_heap::exact_resize_in_place(block, size, false);
            if size >= usable / 2 && stay() {
                return kind.clean_tail(runtime, block, size);
            }
            let fits = keeps_alignment && size < usable;
            let moved = if fits {
                kind.clean_tail(runtime, kind.allocate_in_mimalloc(size, false), size)
            } else {
                allocate()
            };
            if !moved.is_null() {
                copy(block, moved, usable.min(size));
                kind.free_in_mimalloc(block);
            } else if fits && stay() {
                // Shrinking never fails: without memory for a smaller block it stays where it is.
                return kind.clean_tail(runtime, block, size);
            }
            return moved;
        }
        let start = kind.raw(block);
        let Some(raw_size) = foreign::size(runtime, start) else {
            runtime.set_errno(ENOMEM);
            return null_mut();
        };
        let moved = allocate();
        if !moved.is_null() {
            let old = raw_size.saturating_sub(block as usize - start as usize);
            let raw = RawBlock { start, size: raw_size };
            foreign::migrate(runtime, block, raw, moved, old.min(size));
        }
        moved
    }
}

/// [`reallocate`], and zeroes for what it adds.
///
/// # Safety
/// As for [`reallocate`].
pub(super) unsafe fn reallocate_zeroed(
    runtime: &Runtime,
    block: *mut c_void,
    size: usize,
    kind: Kind,
) -> *mut c_void {
    // SAFETY: by the contract; a resized block has `size` bytes.
    unsafe {
        let old = if block.is_null() { 0 } else { size_of_block(runtime, block, kind) };
        let resized = reallocate(runtime, block, size, kind);
        if !resized.is_null() {
            zero(resized, old, size);
        }
        resized
    }
}

/// `count * size`, unless it is more than a runtime requests from its heap: then the call fails.
pub(super) fn product(runtime: &Runtime, count: usize, size: usize) -> Option<usize> {
    let product = count.checked_mul(size).filter(|&product| product <= LARGEST_REQUEST);
    if product.is_none() {
        runtime.set_errno(ENOMEM);
    }
    product
}

/// Zeroes the bytes of a block from `from` to `to`, if there are any.
///
/// # Safety
/// The block is at least `to` bytes long, and not NULL.
unsafe fn zero(block: *mut c_void, from: usize, to: usize) {
    if from < to {
        // SAFETY: by the contract these bytes are in the block.
        unsafe { block.cast::<u8>().add(from).write_bytes(0, to - from) };
    }
}

/// Copies the first `kept` bytes of `from` to `to`.
///
/// # Safety
/// Both are different blocks of at least `kept` bytes.
unsafe fn copy(from: *const c_void, to: *mut c_void, kept: usize) {
    // SAFETY: by the contract both have these bytes, and two blocks do not overlap.
    unsafe { core::ptr::copy_nonoverlapping(from.cast::<u8>(), to.cast::<u8>(), kept) };
}
