//! The escape counter, of the debug variant only: how many blocks of mimalloc's reach the system's
//! own `RtlFreeHeap`, `RtlReAllocateHeap` and `RtlSizeHeap`. The count must stay 0: on Windows,
//! such a block ends the process as a corruption of its heap.
//!
//! Only code at the functions themselves sees every call. So they get jumps, and, as the calls must
//! go on to them, a copy of the instructions that the jumps overwrite. Nothing else in the engine
//! executes such a copy.

use core::ffi::{CStr, c_void};
use core::fmt;
use core::mem::transmute;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use allograft_detour::{Detour, Error, JUMP_SIZE, Protection, Relays, System, Windows, install};
use windows_sys::Win32::Foundation::HANDLE;

use super::prologue::movable_length;
use crate::old_heap;
use crate::once::ClearableOnce;

/// The copies of the beginnings of `RtlFreeHeap`, `RtlReAllocateHeap` and `RtlSizeHeap`, which go
/// on to the rest of these.
static FREE: AtomicUsize = AtomicUsize::new(0);
static REALLOCATE: AtomicUsize = AtomicUsize::new(0);
static SIZE: AtomicUsize = AtomicUsize::new(0);

/// Where to count; set before the first jump is written.
static COUNTER: ClearableOnce<&'static AtomicU64> = ClearableOnce::new();

/// Bytes of all copies: a page.
const COPIES_SIZE: usize = 0x1000;

/// Bytes for the copy of one function's beginning and the jump behind it.
const COPY_SIZE: usize = 64;

/// Why escapes are not counted.
#[derive(Clone, Copy, Debug)]
pub enum EscapesObstacle {
    /// The function begins with an instruction that is not known.
    UnknownCode(&'static CStr),
    /// The system has no memory for the copies.
    NoMemory,
    /// The jumps could not be written.
    Detours(Error),
}

impl fmt::Display for EscapesObstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EscapesObstacle::UnknownCode(name) => write!(
                f,
                "ntdll's {} begins with an instruction that this build does not know",
                name.to_str().unwrap_or("?")
            ),
            EscapesObstacle::NoMemory => f.write_str("the system has no memory for it"),
            EscapesObstacle::Detours(error) => error.fmt(f),
        }
    }
}

/// Counts escapes in `counter` from now on. A later call changes nothing. The caller holds the
/// loader's lock.
///
/// # Errors
/// Any [`EscapesObstacle`]; nothing has changed then.
pub fn count_escapes(counter: &'static AtomicU64) -> Result<(), EscapesObstacle> {
    if !COUNTER.set(counter) {
        return Ok(());
    }
    let copies = Windows.allocate(None, COPIES_SIZE).ok_or(EscapesObstacle::NoMemory)?;
    let detours = write_copies(copies).and_then(|mut detours| {
        Windows
            .protect(copies, COPIES_SIZE, Protection::EXECUTE_READ)
            .map_err(|_| EscapesObstacle::NoMemory)?;
        Windows.flush_code(copies, COPIES_SIZE);
        let relays = Relays::build(&Windows, &mut detours).map_err(EscapesObstacle::Detours)?;
        install(&Windows, &mut detours).map_err(|error| {
            relays.free(&Windows);
            EscapesObstacle::Detours(error)
        })
    });
    detours.map(drop).inspect_err(|_| Windows.free(copies))
}

/// Writes a copy of each function's beginning to `copies`, with a jump to the rest of it, and
/// returns the detours.
fn write_copies(copies: usize) -> Result<[Detour; 3], EscapesObstacle> {
    let [free_address, reallocate_address, size_address] = old_heap::taking_blocks();
    let watched = [
        (c"RtlFreeHeap", free_address, free as *const () as usize, &FREE),
        (c"RtlReAllocateHeap", reallocate_address, reallocate as *const () as usize, &REALLOCATE),
        (c"RtlSizeHeap", size_address, size as *const () as usize, &SIZE),
    ];
    let mut detours = [Detour::new(0, 0); 3];
    for (index, (name, target, replacement, copy)) in watched.into_iter().enumerate() {
        // SAFETY: a function of ntdll's is not the last in its section, and its code can be read.
        let code = unsafe { core::slice::from_raw_parts(target as *const u8, COPY_SIZE / 2) };
        let length = movable_length(code, JUMP_SIZE).ok_or(EscapesObstacle::UnknownCode(name))?;
        let place = copies + index * COPY_SIZE;
        // SAFETY: there are `COPY_SIZE` bytes for each in the memory that was just committed.
        unsafe {
            (place as *mut u8).copy_from_nonoverlapping(code.as_ptr(), length);
            write_jump((place + length) as *mut u8, target + length);
        }
        copy.store(place, Ordering::Release);
        detours[index] = Detour::new(target, replacement);
    }
    Ok(detours)
}

/// Writes a jump to `target`, wherever that is, at `place`.
///
/// # Safety
/// There is room for 14 bytes.
unsafe fn write_jump(place: *mut u8, target: usize) {
    #[cfg(target_pointer_width = "64")]
    // jmp [rip + 0], and the address behind it
    const JUMP: [u8; 6] = [0xFF, 0x25, 0, 0, 0, 0];
    #[cfg(target_pointer_width = "32")]
    // push, which takes the address, and below a ret
    const JUMP: [u8; 1] = [0x68];
    // SAFETY: by the contract.
    unsafe {
        place.copy_from_nonoverlapping(JUMP.as_ptr(), JUMP.len());
        let address = place.add(JUMP.len()).cast::<usize>();
        address.write_unaligned(target);
        if cfg!(target_pointer_width = "32") {
            address.add(1).cast::<u8>().write(0xC3);
        }
    }
}

/// Counts `block` if it is mimalloc's.
fn count(block: *const c_void) {
    if allograft_heap::owns(block)
        && let Some(counter) = COUNTER.get()
    {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Calls on to the copy in `$copy`, whose function takes and returns these types.
macro_rules! go_on {
    ($copy:ident, fn($($type:ty),*) -> $result:ty, $($argument:expr),*) => {{
        let copy = $copy.load(Ordering::Acquire);
        // SAFETY: the copy goes on to the function of this signature; the arguments are those of
        // its caller.
        unsafe {
            let original =
                transmute::<usize, unsafe extern "system" fn($($type),*) -> $result>(copy);
            original($($argument),*)
        }
    }};
}

unsafe extern "system" fn free(heap: HANDLE, flags: u32, block: *mut c_void) -> usize {
    count(block);
    go_on!(FREE, fn(HANDLE, u32, *mut c_void) -> usize, heap, flags, block)
}

unsafe extern "system" fn reallocate(
    heap: HANDLE,
    flags: u32,
    block: *mut c_void,
    size: usize,
) -> *mut c_void {
    count(block);
    go_on!(REALLOCATE, fn(HANDLE, u32, *mut c_void, usize) -> *mut c_void, heap, flags, block, size)
}

unsafe extern "system" fn size(heap: HANDLE, flags: u32, block: *const c_void) -> usize {
    count(block);
    go_on!(SIZE, fn(HANDLE, u32, *const c_void) -> usize, heap, flags, block)
}
