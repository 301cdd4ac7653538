//! Finds the code of a PE image that refers to given import slots, and from that the heap of a C
//! runtime that is linked into the image.
//!
//! - [`MappedImage`] reads an image by offsets from its base, out of a process or out of a file.
//! - [`MappedImage::references`] finds the instructions that name an import slot, in images for x86
//!   and x86-64; [`MappedImage::function_at`] the function that they are in.
//! - [`MappedImage::references_outside`] finds those that are reached by other ways than through
//!   given functions: the proof that no block of a replaced heap function's leaves a C runtime.
//! - [`functions`] is the table of the heap functions of C runtimes, which are replaced.
//! - [`runtime_heap`] finds the variable in which a linked-in runtime keeps the handle of its heap,
//!   by what a runtime does with it.
//!
//! Nothing is allocated and nothing is trusted: offsets that lead outside the image end a search.
//! Instructions are not decoded; an operand is recognised by its value, which is the exact distance
//! to, or address of, a slot.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod functions;
mod image;
mod ownership;
mod runtime_heap;
mod scan;

pub use image::{Function, MappedImage, Section};
pub use runtime_heap::{HeapFunction, HeapOrigin, HeapSlot, RuntimeHeap, runtime_heap};
pub use scan::Reference;
