//! Relays: small stubs within reach of the functions, from which a jump can lead anywhere.
//!
//! The code of the stubs is never written again once it is executable. What can change is their
//! targets, in a data page behind the code.

use core::sync::atomic::{AtomicUsize, Ordering};

use crate::error::Error;
use crate::jump::{Detour, REACH};
use crate::system::{PAGE_SIZE, Protection, System};

/// The system reserves address space in pieces of this size.
const GRANULARITY: usize = 0x1_0000;

/// Bytes of one relay's code: an indirect jump (6) and two bytes of padding.
const STUB_SIZE: usize = 8;

/// The data of one relay.
#[repr(C)]
struct RelayData {
    /// Where the relay jumps to. It can be exchanged while threads execute the relay.
    target: AtomicUsize,
    /// The function whose calls come through the relay.
    function: usize,
}

/// The relays of one transaction, in memory of their own near the functions. They live until
/// [`Relays::free`]; a copy refers to the same memory.
#[derive(Clone, Copy, Debug)]
pub struct Relays {
    base: usize,
    /// Bytes of code, in whole pages; the data lies behind them.
    code_size: usize,
    count: usize,
}

impl Relays {
    /// Builds one relay for each of `detours`, whose functions must all lie in one module, and
    /// makes them executable.
    ///
    /// # Errors
    /// [`Error::NoMemoryNear`] and [`Error::RelayProtection`]; nothing is left behind then.
    pub fn build<S: System>(system: &S, detours: &mut [Detour]) -> Result<Relays, Error> {
        let lowest = detours.iter().map(|detour| detour.target).min().unwrap_or(0);
        let highest = detours.iter().map(|detour| detour.target).max().unwrap_or(0);
        Relays::build_in(system, detours, |size| allocate_near(system, lowest, highest, size))
            .ok_or(Error::NoMemoryNear(lowest))?
    }

    /// Builds one relay for each of `detours` above `base`, where 32-bit offsets from it reach, as
    /// in the export table of the module at `base`.
    ///
    /// # Errors
    /// As for [`Relays::build`].
    pub fn build_above<S: System>(
        system: &S,
        base: usize,
        detours: &mut [Detour],
    ) -> Result<Relays, Error> {
        Relays::build_in(system, detours, |size| allocate_above(system, base, size))
            .ok_or(Error::NoMemoryNear(base))?
    }

    /// Builds the relays in memory from `allocate`, which gets its size; none if there is none.
    fn build_in<S: System>(
        system: &S,
        detours: &mut [Detour],
        allocate: impl FnOnce(usize) -> Option<usize>,
    ) -> Option<Result<Relays, Error>> {
        let count = detours.len();
        let code_size = (count * STUB_SIZE).next_multiple_of(PAGE_SIZE);
        let base = allocate(code_size + data_size(count))?;
        let relays = Relays { base, code_size, count };
        for (index, detour) in detours.iter_mut().enumerate() {
            detour.relay = base + index * STUB_SIZE;
            let data = relays.data_address().wrapping_add(index);
            let initial = RelayData { target: detour.replacement.into(), function: detour.target };
            // SAFETY: both lie in the memory that was just committed, and nobody else knows of it.
            unsafe {
                (detour.relay as *mut [u8; STUB_SIZE]).write(stub(detour.relay, data as usize));
                data.write(initial);
            }
        }
        let protected = system.protect(base, code_size, Protection::EXECUTE_READ).and_then(|_| {
            system.protect(base + code_size, data_size(count), Protection::READ_ONLY)
        });
        if let Err(code) = protected {
            system.free(base);
            return Some(Err(Error::RelayProtection(base, code)));
        }
        system.flush_code(base, code_size);
        Some(Ok(relays))
    }

    /// Changes the targets of these relays: `exchange` returns the new target for a present one, or
    /// none to keep it. Threads may execute the relays meanwhile; each call goes to the one or the
    /// other.
    ///
    /// # Errors
    /// [`Error::RelayProtection`]; nothing has changed then.
    pub fn retarget<S: System>(
        &self,
        system: &S,
        exchange: impl Fn(usize) -> Option<usize>,
    ) -> Result<(), Error> {
        let (base, size) = (self.data_address() as usize, data_size(self.count));
        let former = system
            .protect(base, size, Protection::READ_WRITE)
            .map_err(|code| Error::RelayProtection(base, code))?;
        for relay in self.data() {
            if let Some(target) = exchange(relay.target.load(Ordering::Relaxed)) {
                relay.target.store(target, Ordering::Release);
            }
        }
        // If this fails, the targets stay writable, which does no harm.
        let _ = system.protect(base, size, former);
        Ok(())
    }

    /// Frees the memory, when the detours were not installed, or their module is unloaded.
    pub fn free<S: System>(self, system: &S) {
        system.free(self.base);
    }

    /// The addresses of the relays' code.
    pub fn range(&self) -> core::ops::Range<usize> {
        self.base..self.base + self.code_size
    }

    /// The present target of the calls of the function at `function`; none if it has no relay here.
    pub fn replacement_for(&self, function: usize) -> Option<usize> {
        let relay = self.data().iter().find(|relay| relay.function == function)?;
        Some(relay.target.load(Ordering::Acquire))
    }

    /// The function whose relay is at `relay`; none if it is no relay of these.
    pub fn function_behind(&self, relay: usize) -> Option<usize> {
        let offset =
            relay.checked_sub(self.base).filter(|offset| offset.is_multiple_of(STUB_SIZE))?;
        Some(self.data().get(offset / STUB_SIZE)?.function)
    }

    fn data_address(&self) -> *mut RelayData {
        (self.base + self.code_size) as *mut RelayData
    }

    fn data(&self) -> &[RelayData] {
        // SAFETY: `build` wrote `count` of them. They stay until `free`, after which nobody uses
        // the relays, and what changes in them is atomic.
        unsafe { core::slice::from_raw_parts(self.data_address(), self.count) }
    }
}

fn data_size(count: usize) -> usize {
    (count * size_of::<RelayData>()).next_multiple_of(PAGE_SIZE)
}

/// `jmp [target]`. The operand is relative to the end of the instruction on x86-64, absolute on
/// x86.
fn stub(at: usize, target: usize) -> [u8; STUB_SIZE] {
    let operand = if cfg!(target_arch = "x86_64") { target.wrapping_sub(at + 6) } else { target };
    let mut bytes = [0xCC; STUB_SIZE];
    bytes[..2].copy_from_slice(&[0xFF, 0x25]);
    bytes[2..6].copy_from_slice(&(operand as u32).to_le_bytes());
    bytes
}

/// Commits `size` bytes within reach of every address from `lowest` to `highest`: as near as
/// possible above, or else below. On x86 a jump reaches every address.
fn allocate_near<S: System>(
    system: &S,
    lowest: usize,
    highest: usize,
    size: usize,
) -> Option<usize> {
    if cfg!(target_pointer_width = "32") {
        return system.allocate(None, size);
    }
    let floor = highest.saturating_sub(REACH).max(GRANULARITY);
    let ceiling = lowest.saturating_add(REACH);
    let above = Gaps { system, next: highest, size, bound: ceiling, upwards: true };
    let below = Gaps { system, next: lowest, size, bound: floor, upwards: false };
    above.chain(below).find_map(|address| system.allocate(Some(address), size))
}

/// Commits `size` bytes above `base`, all of them less than 4 GiB away. On x86 offsets wrap around,
/// and reach every address.
fn allocate_above<S: System>(system: &S, base: usize, size: usize) -> Option<usize> {
    if cfg!(target_pointer_width = "32") {
        return system.allocate(None, size);
    }
    let bound = base.saturating_add(u32::MAX as usize);
    Gaps { system, next: base, size, bound, upwards: true }
        .find_map(|address| system.allocate(Some(address), size))
}

/// The candidates for an allocation in free memory, from nearest to farthest in one direction.
struct Gaps<'s, S> {
    system: &'s S,
    next: usize,
    size: usize,
    bound: usize,
    upwards: bool,
}

impl<S: System> Iterator for Gaps<'_, S> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        loop {
            let within = if self.upwards { self.next < self.bound } else { self.next > self.bound };
            if !within {
                return None;
            }
            let region = self.system.region(self.next)?;
            let end = region.base.checked_add(region.size)?;
            let candidate = if self.upwards {
                self.next = end;
                region.base.next_multiple_of(GRANULARITY)
            } else {
                self.next = region.base.saturating_sub(1);
                end.checked_sub(self.size)? & !(GRANULARITY - 1)
            };
            let fits = candidate >= region.base && candidate.checked_add(self.size)? <= end;
            let reaches = if self.upwards {
                candidate + self.size <= self.bound
            } else {
                candidate >= self.bound
            };
            if region.free && fits && reaches {
                return Some(candidate);
            }
        }
    }
}
