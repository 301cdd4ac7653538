//! The proof that a block of mimalloc's cannot reach the system's heap through a runtime's own
//! code.
//!
//! A runtime hands blocks to the system by import slots alone: those of `HeapFree`, `HeapReAlloc`
//! and `HeapSize`. Where these lead to the replacements of the heap API, any of its code may use
//! them. Where they do not, the code is scanned, and each reference to them must lie in what only
//! replaced functions reach. `HeapAlloc` needs no proof: its blocks are foreign, and stay so.
//! Neither do `LocalFree` and `GlobalFree`, which runtimes give blocks of the system's.

use core::ffi::CStr;
use core::fmt;

use allograft_references::MappedImage;

use crate::functions::{RELEASING, WINE_MARK};
use crate::imports;
use crate::loaded_image::{LoadedImage, RegionOf};
use crate::module::Module;

/// What is known of the blocks that a runtime's own code gives to the system's heap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Proof {
    /// The runtime's import slots lead to mimalloc: it need not be known.
    Redirected,
    /// None of them can be mimalloc's: every use is in what only replaced functions reach.
    Scanned,
    /// The runtime is Wine's, which gives the system's heap blocks that it has from there.
    Wine,
    /// Some may be mimalloc's. The user wants the takeover all the same (see
    /// [`take_over_unproved`](crate::take_over_unproved)).
    Missing(Gap),
}

/// What keeps a runtime from being proved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Gap {
    /// It imports none of the functions by name, so it reaches the system's heap in an unknown way.
    NoImports,
    /// It refers to one of them elsewhere than in what only replaced functions reach.
    Reference {
        /// The function.
        function: &'static CStr,
        /// The offset of the reference in the runtime.
        offset: u32,
        /// How many more there are.
        more: usize,
    },
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Gap::NoImports => f.write_str("it imports no HeapFree by name"),
            Gap::Reference { function, offset, more } => {
                let name = function.to_str().unwrap_or("?");
                write!(f, "its code uses {name} at +{offset:#x} ")?;
                if *more > 0 {
                    write!(f, "(and so in {more} more places) ")?;
                }
                f.write_str("outside of the functions that are replaced")
            }
        }
    }
}

/// Most import slots of the functions in question. A runtime has three.
const MOST_SLOTS: usize = 16;

/// Calls its second argument with so many words of memory, or fewer if there are not as many.
pub(crate) type WithScratch<'a> = &'a dyn Fn(usize, &mut dyn FnMut(&mut [u32]));

/// Looks for the proof for the runtime `module`, of whose functions those at `replaced` (offsets)
/// are. `is_caught` holds for the contents of slots that lead to mimalloc.
pub(crate) fn find(
    module: &Module,
    region: RegionOf<'_>,
    replaced: &[u32],
    is_caught: &dyn Fn(usize) -> bool,
    with_scratch: WithScratch<'_>,
) -> Proof {
    let mut slots: [(u32, &'static CStr); MOST_SLOTS] = [(0, c""); MOST_SLOTS];
    let (mut count, mut caught) = (0, 0);
    imports::visit_named(module, region, &mut |name, slot, address| {
        let Some(name) = releasing_name(name) else { return };
        if is_caught(address) {
            caught += 1;
        } else if let Some(place) = slots.get_mut(count) {
            *place = ((slot - module.base()) as u32, name);
            count += 1;
        }
    });
    match (count, caught) {
        (0, 0) => {}
        (0, _) => return Proof::Redirected,
        _ => {}
    }
    let image = LoadedImage::new(module, region);
    if is_wines(&image) {
        return Proof::Wine;
    }
    if count == 0 {
        return Proof::Missing(Gap::NoImports);
    }
    let slots = &slots[..count];
    match first_outside(module, &image, slots, replaced, with_scratch) {
        None => Proof::Scanned,
        Some(gap) => Proof::Missing(gap),
    }
}

/// The name of one of the functions in question that is `name`.
fn releasing_name(name: &CStr) -> Option<&'static CStr> {
    RELEASING.into_iter().find(|&known| known == name)
}

fn is_wines(image: &LoadedImage<'_>) -> bool {
    let (offset, mark) = WINE_MARK;
    image.bytes_from(offset as usize).is_some_and(|bytes| bytes.starts_with(mark))
}

/// The first reference to `slots` (offsets, and names of the functions) that other code reaches
/// than what is replaced.
fn first_outside(
    module: &Module,
    image: &LoadedImage<'_>,
    slots: &[(u32, &'static CStr)],
    replaced: &[u32],
    with_scratch: WithScratch<'_>,
) -> Option<Gap> {
    let mut offsets = [0; MOST_SLOTS];
    for (offset, (slot, _)) in offsets.iter_mut().zip(slots) {
        *offset = *slot;
    }
    let bytes = |offset: u32| image.bytes_from(offset as usize);
    let Some(mapped) = MappedImage::new(module.base() as u64, &bytes) else {
        return Some(Gap::NoImports);
    };
    let mut first = None;
    let mut outside = 0;
    with_scratch(mapped.scratch_words(), &mut |scratch| {
        mapped.references_outside(&offsets[..slots.len()], replaced, scratch, &mut |reference| {
            first.get_or_insert(reference);
            outside += 1;
        });
    });
    let first = first?;
    let (_, function) = slots.iter().find(|(slot, _)| *slot == first.slot)?;
    Some(Gap::Reference { function, offset: first.operand, more: outside - 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_functions_in_question_are_known_by_both_their_names() {
        for name in [c"HeapFree", c"RtlFreeHeap", c"HeapReAlloc", c"HeapSize", c"RtlSizeHeap"] {
            assert_eq!(releasing_name(name), Some(name));
        }
        for name in [c"HeapAlloc", c"LocalFree", c"HeapDestroy", c""] {
            assert_eq!(releasing_name(name), None, "{name:?}");
        }
    }

    #[test]
    fn a_gap_is_said_with_its_place() {
        let gap = Gap::Reference { function: c"HeapFree", offset: 0x1234, more: 0 };
        assert_eq!(
            gap.to_string(),
            "its code uses HeapFree at +0x1234 outside of the functions that are replaced"
        );
        let gaps = Gap::Reference { function: c"HeapFree", offset: 0x1234, more: 2 };
        assert!(gaps.to_string().contains("at +0x1234 (and so in 2 more places) outside"));
    }
}
