//! The runtimes that are taken over, by number.

use core::sync::atomic::{AtomicUsize, Ordering};

use allograft_detour::{Relays, Windows};
use allograft_heap::RUNTIMES;

use crate::error::Failure;
use crate::loaded::Module;
use crate::once::Once;
use crate::runtime::Runtime;

/// The number of a runtime that is taken over, or of one of its states.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slot(pub(crate) usize);

impl Slot {
    /// The number, below `allograft_heap::RUNTIMES`.
    pub fn number(self) -> usize {
        self.0
    }

    /// Whether the runtime tells of its environment, narrow and wide.
    pub(crate) fn knows_the_environment(self) -> bool {
        runtime(self.0).is_some_and(|runtime| {
            runtime.getenv_s(false).is_some() && runtime.getenv_s(true).is_some()
        })
    }
}

/// What is known of a runtime.
struct Occupant {
    /// Where its module begins; 0 in an empty slot.
    base: AtomicUsize,
    /// Its size in memory.
    size: AtomicUsize,
    runtime: Once<Runtime>,
    relays: Once<Relays>,
}

static SLOTS: [Occupant; RUNTIMES] = [const {
    Occupant {
        base: AtomicUsize::new(0),
        size: AtomicUsize::new(0),
        runtime: Once::new(),
        relays: Once::new(),
    }
}; RUNTIMES];

/// Puts `runtime`, a state of `module`, into an empty slot. The caller holds the loader's lock.
pub(crate) fn occupy(module: &Module, runtime: Runtime) -> Result<Slot, Failure> {
    let slot = SLOTS
        .iter()
        .position(|slot| slot.base.load(Ordering::Acquire) == 0)
        .map(Slot)
        .ok_or(Failure::NoSlot(RUNTIMES))?;
    let occupant = &SLOTS[slot.0];
    // SAFETY: the slot is empty, and the loader's lock keeps others from filling it.
    unsafe { occupant.runtime.set(runtime) };
    occupant.size.store(module.size(), Ordering::Release);
    occupant.base.store(module.base(), Ordering::Release);
    Ok(slot)
}

/// Remembers the relays that lead to the slot's entries.
pub(crate) fn keep_relays(slot: Slot, relays: Relays) {
    // SAFETY: called once for an occupied slot, under the loader's lock.
    unsafe { SLOTS[slot.0].relays.set(relays) };
}

/// Whether the module that begins at `base` is in a slot.
pub(crate) fn is_taken(base: usize) -> bool {
    slots_of(base).next().is_some()
}

/// Empties the slots of the module that begins at `base`, and frees the relays that led to them
/// from it.
pub(crate) fn vacate(base: usize) {
    for slot in slots_of(base) {
        let occupant = &SLOTS[slot.0];
        if let Some(relays) = occupant.relays.get() {
            relays.free(&Windows);
        }
        occupant.relays.clear();
        occupant.runtime.clear();
        occupant.base.store(0, Ordering::Release);
    }
}

fn slots_of(base: usize) -> impl Iterator<Item = Slot> {
    (0..RUNTIMES).map(Slot).filter(move |slot| SLOTS[slot.0].base.load(Ordering::Acquire) == base)
}

/// The runtime with this number; none once its module was unloaded.
pub(crate) fn runtime(number: usize) -> Option<&'static Runtime> {
    SLOTS.get(number)?.runtime.get()
}

/// Where the module of the runtime with this number begins; none if the slot is empty.
pub(crate) fn base_of(number: usize) -> Option<usize> {
    let base = SLOTS.get(number)?.base.load(Ordering::Acquire);
    (base != 0).then_some(base)
}

/// Where the modules of the runtimes that are taken over begin; one with two states is named twice.
pub(crate) fn taken_modules() -> impl Iterator<Item = usize> {
    (0..RUNTIMES).filter_map(base_of)
}

/// The runtimes, or states of one, that are the module at `base`.
pub(crate) fn runtimes_of(base: usize) -> impl Iterator<Item = &'static Runtime> {
    slots_of(base).filter_map(|slot| runtime(slot.0))
}

/// The relays that lead from the module at `base`.
pub(crate) fn relays_of(base: usize) -> impl Iterator<Item = &'static Relays> {
    slots_of(base).filter_map(|slot| SLOTS[slot.0].relays.get())
}

/// Where the calls of `function` go, if it is a function of a runtime that is taken over and has
/// been redirected.
pub(crate) fn replacement_of(function: usize) -> Option<usize> {
    let base = taken_modules().find(|&base| is_in_module(function, base))?;
    relays_of(base).find_map(|relays| relays.replacement_for(function))
}

/// Whether `address` lies in the module at `base`, which is taken over.
pub(crate) fn is_in_module(address: usize, base: usize) -> bool {
    slots_of(base).next().is_some_and(|slot| {
        let size = SLOTS[slot.0].size.load(Ordering::Acquire);
        (base..base + size).contains(&address)
    })
}
