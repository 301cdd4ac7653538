//! The slots: the runtimes that are taken over, or their states, by number (below
//! [`allograft_heap::RUNTIMES`]).
//!
//! Slots are filled and emptied with the loader's lock held, and read by any thread at any time,
//! without a lock.

use core::sync::atomic::{AtomicUsize, Ordering};

use allograft_detour::Relays;
use allograft_heap::RUNTIMES;

use crate::error::TakeoverError;
use crate::module::Module;
use crate::once::ClearableOnce;
use crate::runtime::Runtime;

/// What a slot holds.
struct Occupant {
    /// The base of the runtime's module; 0 in an empty slot.
    base: AtomicUsize,
    /// The size of the module in memory.
    size: AtomicUsize,
    runtime: ClearableOnce<Runtime>,
    relays: ClearableOnce<Relays>,
}

static SLOTS: [Occupant; RUNTIMES] = [const {
    Occupant {
        base: AtomicUsize::new(0),
        size: AtomicUsize::new(0),
        runtime: ClearableOnce::new(),
        relays: ClearableOnce::new(),
    }
}; RUNTIMES];

/// Puts `runtime`, a state of `module`, into an empty slot. The caller holds the loader's lock.
pub(crate) fn occupy(module: &Module, runtime: Runtime) -> Result<usize, TakeoverError> {
    let slot = SLOTS
        .iter()
        .position(|occupant| occupant.base.load(Ordering::Acquire) == 0)
        .ok_or(TakeoverError::NoSlot(RUNTIMES))?;
    let occupant = &SLOTS[slot];
    occupant.runtime.set(runtime);
    occupant.size.store(module.size(), Ordering::Release);
    occupant.base.store(module.base(), Ordering::Release);
    Ok(slot)
}

/// Stores the relays that lead to the entries of the slot. The caller holds the loader's lock.
pub(crate) fn keep_relays(slot: usize, relays: Relays) {
    SLOTS[slot].relays.set(relays);
}

/// Whether the module at `base` is in a slot.
pub(crate) fn is_taken(base: usize) -> bool {
    slots_of(base).next().is_some()
}

/// Empties the slots of the module at `base`, and calls `free` with the relays that led from it to
/// them.
///
/// # Safety
/// The caller holds the loader's lock. The module is being unloaded, or was never redirected: no
/// thread executes a replacement for one of its functions.
pub(crate) unsafe fn vacate(base: usize, free: impl Fn(Relays)) {
    for slot in slots_of(base) {
        let occupant = &SLOTS[slot];
        if let Some(relays) = occupant.relays.get() {
            free(*relays);
        }
        // SAFETY: the cells are set under the loader's lock, which is held. References to their
        // values are used by replacements of the module's functions, of which by the contract none
        // runs, and by code with the loader's lock.
        unsafe {
            occupant.relays.clear();
            occupant.runtime.clear();
        }
        occupant.base.store(0, Ordering::Release);
    }
}

/// The slots of the module at `base`: one for each of its states.
fn slots_of(base: usize) -> impl Iterator<Item = usize> {
    (0..RUNTIMES).filter(move |&slot| SLOTS[slot].base.load(Ordering::Acquire) == base)
}

/// The runtime in the slot with this number; none once its module is unloaded.
pub(crate) fn runtime(number: usize) -> Option<&'static Runtime> {
    SLOTS.get(number)?.runtime.get()
}

/// The base of the module in the slot with this number; none if the slot is empty.
pub(crate) fn base_of(number: usize) -> Option<usize> {
    let base = SLOTS.get(number)?.base.load(Ordering::Acquire);
    (base != 0).then_some(base)
}

/// The bases of the modules that are taken over. One with two states comes twice.
pub(crate) fn taken_modules() -> impl Iterator<Item = usize> {
    (0..RUNTIMES).filter_map(base_of)
}

/// The states of the module at `base`.
pub(crate) fn runtimes_of(base: usize) -> impl Iterator<Item = &'static Runtime> {
    slots_of(base).filter_map(runtime)
}

/// The relays that lead from the module at `base`.
pub(crate) fn relays_of(base: usize) -> impl Iterator<Item = &'static Relays> {
    slots_of(base).filter_map(|slot| SLOTS[slot].relays.get())
}

/// The present target of the calls of `function`, if it is a redirected function of a runtime that
/// is taken over.
pub(crate) fn replacement_for(function: usize) -> Option<usize> {
    let base = taken_modules().find(|&base| is_in_module(function, base))?;
    relays_of(base).find_map(|relays| relays.replacement_for(function))
}

/// Whether `address` lies in the module at `base`, which is taken over.
pub(crate) fn is_in_module(address: usize, base: usize) -> bool {
    slots_of(base).next().is_some_and(|slot| {
        let size = SLOTS[slot].size.load(Ordering::Acquire);
        (base..base + size).contains(&address)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{CrtState, tests::exports};

    /// The tests share the slots: each has addresses of its own, and this one alone fills them all.
    fn module(base: usize) -> Module {
        // SAFETY: no memory of the module is accessed.
        unsafe { Module::new(base, 0x1000, &[], &[]) }
    }

    fn fill(base: usize) -> Result<usize, TakeoverError> {
        occupy(&module(base), Runtime::from_exports(&exports, CrtState::Public)?)
    }

    #[test]
    fn slots_are_filled_looked_up_and_used_again() {
        let first = fill(0x10_0000).unwrap();
        let second = fill(0x10_0000).unwrap();
        assert_ne!(first, second, "two states of one module");
        assert!(is_taken(0x10_0000) && !is_taken(0x20_0000));
        assert!(is_in_module(0x10_0FFF, 0x10_0000) && !is_in_module(0x10_1000, 0x10_0000));
        assert_eq!(runtimes_of(0x10_0000).count(), 2);
        assert_eq!(replacement_for(0x10_0000), None, "nothing is redirected yet");
        let filled: Vec<usize> = (2..RUNTIMES).map(|n| fill(n * 0x100_0000).unwrap()).collect();
        assert!(matches!(fill(0x900_0000), Err(TakeoverError::NoSlot(RUNTIMES))));
        assert_eq!(taken_modules().count(), RUNTIMES);
        // SAFETY: no thread uses the slots.
        unsafe { vacate(0x10_0000, |_| ()) };
        assert!(!is_taken(0x10_0000) && runtime(first).is_none());
        assert!(base_of(second).is_none());
        let again = fill(0x900_0000).unwrap();
        assert_eq!(again, first);
        assert!(runtime(filled[0]).is_some(), "the others stay");
        assert!(runtime(RUNTIMES).is_none() && base_of(RUNTIMES).is_none());
    }
}
