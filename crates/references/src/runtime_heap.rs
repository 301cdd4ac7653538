//! The heap of a C runtime that is linked into an image.
//!
//! The runtimes of Visual C++ keep the handle of their heap in one variable (`_crtheap`, later
//! `__acrt_heap`), and use it in a handful of functions: `_malloc_base` and `_calloc_base` allocate
//! from it, `_free_base` frees, `_realloc_base` and `_expand_base` reallocate, `_msize_base` asks
//! for a size. In all images that were looked at, from linker 9 to 14.4, exactly one variable is
//! used in all four manners.

use core::ops::Range;

use crate::MappedImage;

/// How far before a call the handle is loaded, in bytes, and how far behind one the returned handle
/// is stored.
const REACH: u32 = 64;

/// Variables that are kept apart in one search. Programs that load handles from more are none that
/// the search is for.
const MOST_VARIABLES: usize = 32;

/// Most import slots of the heap functions that are looked at.
const MOST_SLOTS: usize = 16;

/// A function of the heap API.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HeapFunction {
    /// `HeapAlloc`.
    Allocate,
    /// `HeapFree`.
    Free,
    /// `HeapReAlloc`.
    Reallocate,
    /// `HeapSize`.
    Size,
    /// `HeapCreate`.
    Create,
    /// `GetProcessHeap`.
    ProcessHeap,
}

/// The import slot of a function of the heap API.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeapSlot {
    /// The function.
    pub function: HeapFunction,
    /// The slot's offset in the image.
    pub slot: u32,
}

/// Where a runtime has its heap from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HeapOrigin {
    /// It is the process's heap.
    ProcessHeap,
    /// The runtime makes it, by `HeapCreate`.
    Created,
    /// The image does not show it.
    Unknown,
}

/// The heap of a runtime that is linked into an image, and how many references there are to
/// functions that it is passed to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RuntimeHeap {
    /// The offset of the variable that holds the heap's handle.
    pub handle: u32,
    /// Where the handle comes from.
    pub origin: HeapOrigin,
    /// References to `HeapAlloc`.
    pub allocations: u32,
    /// References to `HeapFree`.
    pub frees: u32,
    /// References to `HeapReAlloc`.
    pub reallocations: u32,
    /// References to `HeapSize`.
    pub sizes: u32,
}

/// The heap of the runtime that is linked into `image`, whose import slots of the heap API are
/// `slots`. `None` if no variable, or more than one, is used as a runtime uses its heap's handle.
pub fn runtime_heap(image: &MappedImage<'_>, slots: &[HeapSlot]) -> Option<RuntimeHeap> {
    let mut offsets = [0; MOST_SLOTS];
    let count = slots.len().min(MOST_SLOTS);
    for (offset, slot) in offsets.iter_mut().zip(slots) {
        *offset = slot.slot;
    }
    let mut variables = Variables { known: [RuntimeHeap::NONE; MOST_VARIABLES], count: 0 };
    image.references(&offsets[..count], &mut |reference| {
        let Some(slot) = slots.iter().find(|slot| slot.slot == reference.slot) else { return };
        let is_handle = |offset| is_variable(image, offset);
        let (handle, origin) = match slot.function {
            HeapFunction::Create => {
                (stored(image, reference.operand, is_handle), HeapOrigin::Created)
            }
            HeapFunction::ProcessHeap => {
                (stored(image, reference.operand, is_handle), HeapOrigin::ProcessHeap)
            }
            _ => (loaded(image, reference.operand, is_handle), HeapOrigin::Unknown),
        };
        let Some(heap) = handle.and_then(|handle| variables.get(handle)) else { return };
        match slot.function {
            HeapFunction::Allocate => heap.allocations += 1,
            HeapFunction::Free => heap.frees += 1,
            HeapFunction::Reallocate => heap.reallocations += 1,
            HeapFunction::Size => heap.sizes += 1,
            HeapFunction::Create | HeapFunction::ProcessHeap => heap.origin = origin,
        }
    });
    let mut used = variables.known[..variables.count].iter().filter(|heap| heap.is_a_runtimes());
    let heap = *used.next()?;
    used.next().is_none().then_some(heap)
}

impl RuntimeHeap {
    const NONE: RuntimeHeap = RuntimeHeap {
        handle: 0,
        origin: HeapOrigin::Unknown,
        allocations: 0,
        frees: 0,
        reallocations: 0,
        sizes: 0,
    };

    fn is_a_runtimes(&self) -> bool {
        [self.allocations, self.frees, self.reallocations, self.sizes].iter().all(|&uses| uses > 0)
    }
}

/// The variables that handles were loaded from or stored in.
struct Variables {
    known: [RuntimeHeap; MOST_VARIABLES],
    count: usize,
}

impl Variables {
    /// The one at `handle`; `None` if there are too many.
    fn get(&mut self, handle: u32) -> Option<&mut RuntimeHeap> {
        let known = self.known[..self.count].iter().position(|heap| heap.handle == handle);
        let index = known.unwrap_or(self.count);
        let heap = self.known.get_mut(index)?;
        if index == self.count {
            heap.handle = handle;
            self.count += 1;
        }
        Some(heap)
    }
}

/// Whether a program's variable can be at `offset`: in a section that can be written and holds no
/// code.
fn is_variable(image: &MappedImage<'_>, offset: u32) -> bool {
    image
        .section_at(offset)
        .is_some_and(|section| section.is_writable() && !section.is_executable())
}

/// The variable that is loaded as the first argument of the call whose operand is at `operand`: the
/// one nearest before it. If the function's address is loaded there, to be called in a loop, it is
/// the one nearest behind.
fn loaded(image: &MappedImage<'_>, operand: u32, is_handle: impl Fn(u32) -> bool) -> Option<u32> {
    // The call's opcode and ModRM byte are not part of what is searched.
    let end = operand.checked_sub(2)?;
    let is_call = image
        .bytes(end)
        .is_some_and(|code| code.starts_with(&[0xFF, 0x15]) || code.starts_with(&[0xFF, 0x25]));
    let part = image.function_at(operand).map_or(0, |function| function.part.start);
    let start = end.saturating_sub(REACH).max(part);
    let x64: &[&[u8]] = &[&[0x48, 0x8B, 0x0D]]; // mov rcx, [rip + disp32]
    let x86: &[&[u8]] = &[&[0xFF, 0x35], &[0xA1], &[0x8B, 0x0D], &[0x8B, 0x15]];
    let opcodes = if image.is_64() { x64 } else { x86 };
    if !is_call {
        let start = operand.checked_add(4)?;
        let behind = start..start.checked_add(REACH)?;
        return variables(image, behind, opcodes).find(|&offset| is_handle(offset));
    }
    variables(image, start..end, opcodes).filter(|&offset| is_handle(offset)).last()
}

/// The variable that the result of the call whose operand is at `operand` is stored in: the one
/// nearest behind it.
fn stored(image: &MappedImage<'_>, operand: u32, is_handle: impl Fn(u32) -> bool) -> Option<u32> {
    let start = operand.checked_add(4)?;
    let opcodes: &[&[u8]] = if image.is_64() { &[&[0x48, 0x89, 0x05]] } else { &[&[0xA3]] };
    variables(image, start..start.checked_add(REACH)?, opcodes).find(|&offset| is_handle(offset))
}

/// The offsets named by the instructions in `range` that begin with one of `opcodes`, in order.
fn variables(
    image: &MappedImage<'_>,
    range: Range<u32>,
    opcodes: &'static [&'static [u8]],
) -> impl Iterator<Item = u32> {
    let bytes = image.bytes(range.start).unwrap_or_default();
    let bytes = &bytes[..bytes.len().min(range.len())];
    (0..bytes.len()).filter_map(move |index| {
        let code = &bytes[index..];
        let opcode = opcodes.iter().find(|opcode| code.starts_with(opcode))?;
        let operand = *code.get(opcode.len()..)?.first_chunk()?;
        let at = range.start.wrapping_add((index + opcode.len()) as u32);
        Some(image.named_by(at, operand))
    })
}
