//! How an image uses the heap API of Windows, as its imports and its code show it: whether a C
//! runtime is linked in, whether it is written in Rust, whether it has an allocator of its own.

use crate::{Image, Result};
use allograft_references::{HeapFunction, HeapOrigin, HeapSlot, MappedImage, runtime_heap};
use memchr::memmem;
use serde::Serialize;

/// How an image uses the heap API of Windows.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct HeapUse {
    /// Whether it imports a function that allocates (`HeapAlloc`, `RtlAllocateHeap`).
    pub allocates: bool,
    /// The C runtime that is linked in, by what its code does with the handle of its heap.
    pub linked_runtime: Option<LinkedRuntime>,
    /// What shows that it is written in Rust, in words.
    pub rust: Option<&'static str>,
    /// What lets one suspect that it has an allocator of its own, in words.
    pub own_allocator: Option<&'static str>,
}

/// A C runtime that is linked into an image. One variable with the handle of its heap is passed to
/// every function of the heap API; the numbers count the calls of each.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct LinkedRuntime {
    /// The version of the linker, which came with the compiler and its runtime: 9.0 is that of
    /// Visual C++ 2008, 14.x those from Visual C++ 2015 on. Other linkers write other numbers.
    pub linker: String,
    /// The heap that it allocates from.
    pub heap: RuntimesHeap,
    /// Calls of `HeapAlloc`.
    pub allocations: u32,
    /// Calls of `HeapFree`.
    pub frees: u32,
    /// Calls of `HeapReAlloc`.
    pub reallocations: u32,
    /// Calls of `HeapSize`.
    pub sizes: u32,
}

/// The heap of a linked-in runtime.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuntimesHeap {
    /// The process's heap, as since Visual C++ 2012.
    Process,
    /// A heap that the runtime makes with `HeapCreate`, as up to Visual C++ 2010.
    Private,
    /// The code does not show which.
    Unknown,
}

/// The functions by which a runtime's heap is found.
const FUNCTIONS: [(&[u8], HeapFunction); 6] = [
    (b"HeapAlloc", HeapFunction::Allocate),
    (b"HeapFree", HeapFunction::Free),
    (b"HeapReAlloc", HeapFunction::Reallocate),
    (b"HeapSize", HeapFunction::Size),
    (b"HeapCreate", HeapFunction::Create),
    (b"GetProcessHeap", HeapFunction::ProcessHeap),
];

/// The functions whose import lets the takeover serve what an image allocates.
const ALLOCATING: [&[u8]; 2] = [b"HeapAlloc", b"RtlAllocateHeap"];

/// What Rust's compiler and standard library leave in a program.
const RUST: [(&[u8], &str); 2] = [
    (b"/rustc/", "it holds source paths of Rust's standard library (/rustc/)"),
    (b"rust_eh_personality", "it holds the name rust_eh_personality"),
];

/// What allocators that are linked in leave: their messages, and the names of their settings.
const ALLOCATORS: [(&[u8], &str); 5] = [
    (b"mimalloc: ", "it holds messages of mimalloc"),
    (b"<jemalloc>", "it holds messages of jemalloc"),
    (b"TCMALLOC_", "it holds names of tcmalloc's settings"),
    (b"snmalloc", "it holds the name of snmalloc"),
    (b"rpmalloc", "it holds the name of rpmalloc"),
];

/// Whether `image` imports a function that allocates from a heap of Windows, so that the takeover
/// of the process's heap serves it.
///
/// # Errors
///
/// If the image's tables of imports lie outside it.
pub fn allocates(image: &Image<'_>) -> Result<bool> {
    let slots = image.import_slots()?;
    Ok(slots.iter().any(|(name, _)| ALLOCATING.contains(name)))
}

impl HeapUse {
    /// Reads it from `image`.
    ///
    /// # Errors
    ///
    /// If the image's tables of imports lie outside it.
    pub fn read(image: &Image<'_>) -> Result<HeapUse> {
        let slots = image.import_slots()?;
        let imports = |function: &[u8]| slots.iter().any(|(name, _)| *name == function);
        let allocates = allocates(image)?;
        let by_pages_only = imports(b"VirtualAlloc") && !allocates;
        Ok(HeapUse {
            allocates,
            linked_runtime: linked_runtime(image, &slots),
            rust: mark(image, &RUST),
            own_allocator: mark(image, &ALLOCATORS).or(by_pages_only.then_some(
                "it imports VirtualAlloc and not HeapAlloc: it takes its memory by pages",
            )),
        })
    }

    /// What the takeover does for what the image allocates itself; `None` if it allocates nothing
    /// by the heap API.
    pub fn effect(&self) -> Option<String> {
        if !self.allocates {
            return None;
        }
        let heap = self.linked_runtime.as_ref().map(|runtime| runtime.heap);
        let mut effect = match (heap, self.rust) {
            (Some(RuntimesHeap::Private), _) => {
                "a C runtime is linked into it, which makes a heap of its own with HeapCreate: \
                 allograft serves that heap"
            }
            (_, Some(_)) => {
                "it is a Rust program, which allocates from the process's heap: allograft serves \
                 its HeapAlloc"
            }
            (Some(_), None) => {
                "a C runtime is linked into it, which allocates from the process's heap: allograft \
                 serves its HeapAlloc"
            }
            (None, None) => {
                "it allocates from Windows' heaps itself: allograft serves its HeapAlloc on the \
                 process's heap"
            }
        }
        .to_owned();
        if self.own_allocator.is_some() {
            effect += "; it seems to have an allocator of its own, so that may be little";
        }
        Some(effect)
    }
}

/// The words for the first of `marks` that `image` holds.
fn mark(image: &Image<'_>, marks: &[(&[u8], &'static str)]) -> Option<&'static str> {
    let found = marks.iter().find(|(mark, _)| memmem::find(image.data(), mark).is_some());
    found.map(|(_, words)| *words)
}

fn linked_runtime(image: &Image<'_>, slots: &[(&[u8], u32)]) -> Option<LinkedRuntime> {
    let slots: Vec<HeapSlot> = slots
        .iter()
        .filter_map(|(name, slot)| {
            let (_, function) = FUNCTIONS.iter().find(|(function, _)| function == name)?;
            Some(HeapSlot { function: *function, slot: *slot })
        })
        .collect();
    let headers = image.headers();
    let bytes = |offset| image.bytes_at(offset);
    let heap = runtime_heap(&MappedImage::new(headers.image_base, &bytes)?, &slots)?;
    let (major, minor) = headers.linker_version;
    Some(LinkedRuntime {
        linker: format!("{major}.{minor}"),
        heap: match heap.origin {
            HeapOrigin::ProcessHeap => RuntimesHeap::Process,
            HeapOrigin::Created => RuntimesHeap::Private,
            HeapOrigin::Unknown => RuntimesHeap::Unknown,
        },
        allocations: heap.allocations,
        frees: heap.frees,
        reallocations: heap.reallocations,
        sizes: heap.sizes,
    })
}
