//! Relays: the places within reach of the functions from which a jump can lead anywhere.

use core::sync::atomic::{AtomicUsize, Ordering};

use windows_sys::Win32::System::Memory::{PAGE_EXECUTE_READ, PAGE_READONLY, PAGE_READWRITE};

use crate::error::Error;
use crate::jump::{Detour, REACH};
use crate::system::System;

/// The system reserves address space in pieces of this size.
const GRANULARITY: usize = 0x1_0000;

/// Bytes of one relay's code: an indirect jump (6) and two bytes of padding.
const STUB_SIZE: usize = 8;

/// What lies in a page of data behind the code, for each relay: the address that it jumps to, which
/// can be exchanged there while threads execute the relay, and the function that it stands for.
#[repr(C)]
struct Record {
    target: usize,
    function: usize,
}

const PAGE: usize = 0x1000;

/// The relays of one transaction, in memory of their own near the functions. They live as long as
/// the process, unless the transaction fails.
#[derive(Clone, Copy, Debug)]
pub struct Relays {
    base: usize,
    /// Bytes of code, whole pages; the targets lie behind them.
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
        let count = detours.len();
        let code_size = (count * STUB_SIZE).next_multiple_of(PAGE);
        let data_size = (count * size_of::<Record>()).next_multiple_of(PAGE);
        let lowest = detours.iter().map(|detour| detour.target).min().unwrap_or(0);
        let highest = detours.iter().map(|detour| detour.target).max().unwrap_or(0);
        let base = allocate_near(system, lowest, highest, code_size + data_size)
            .ok_or(Error::NoMemoryNear(lowest))?;
        let relays = Relays { base, code_size, count };
        for (index, detour) in detours.iter_mut().enumerate() {
            detour.relay = base + index * STUB_SIZE;
            let record = relays.record(index);
            // SAFETY: the memory was just committed, for this relay among others.
            unsafe {
                (detour.relay as *mut [u8; STUB_SIZE]).write(stub(detour.relay, record as usize));
                record.write(Record { target: detour.replacement, function: detour.target });
            }
        }
        let protected = system
            .protect(base, code_size, PAGE_EXECUTE_READ)
            .and_then(|_| system.protect(base + code_size, data_size, PAGE_READONLY));
        if let Err(code) = protected {
            system.free(base);
            return Err(Error::RelayProtection(base, code));
        }
        system.flush_code(base, code_size);
        Ok(relays)
    }

    /// Sends the calls through these relays elsewhere: `exchange` says for an address where the
    /// calls that went there go from now on, or none to leave them. Threads may be executing the
    /// relays meanwhile; each call goes to the one or the other.
    ///
    /// # Errors
    /// [`Error::RelayProtection`]; nothing has changed then.
    pub fn retarget<S: System>(
        &self,
        system: &S,
        exchange: impl Fn(usize) -> Option<usize>,
    ) -> Result<(), Error> {
        let data = self.base + self.code_size;
        let size = (self.count * size_of::<Record>()).next_multiple_of(PAGE);
        let refused = |code| Error::RelayProtection(data, code);
        let former = system.protect(data, size, PAGE_READWRITE).map_err(refused)?;
        for index in 0..self.count {
            // SAFETY: the word is committed, aligned, and accessed by instructions that read it as
            // a whole.
            let target = unsafe { AtomicUsize::from_ptr(&raw mut (*self.record(index)).target) };
            if let Some(other) = exchange(target.load(Ordering::Relaxed)) {
                target.store(other, Ordering::Release);
            }
        }
        // Data that stays writable does no harm that could be undone by failing here.
        let _ = system.protect(data, size, former);
        Ok(())
    }

    /// Gives the memory back, when the detours were not installed, or their module is gone.
    pub fn free<S: System>(self, system: &S) {
        system.free(self.base);
    }

    /// The addresses of the relays' code.
    pub fn range(&self) -> core::ops::Range<usize> {
        self.base..self.base + self.code_size
    }

    /// Where the calls of the function at `function` go at the moment; none if it has no relay
    /// here.
    pub fn replacement_of(&self, function: usize) -> Option<usize> {
        let records = (0..self.count).map(|index| self.record(index));
        // SAFETY: the records are there as long as the relays, and the function's address is never
        // changed.
        let record = unsafe { records.into_iter().find(|&record| (*record).function == function)? };
        // SAFETY: as in `retarget`.
        let target = unsafe { AtomicUsize::from_ptr(&raw mut (*record).target) };
        Some(target.load(Ordering::Acquire))
    }

    fn record(&self, index: usize) -> *mut Record {
        let records = (self.base + self.code_size) as *mut Record;
        records.wrapping_add(index)
    }
}

/// `jmp [target]`
fn stub(at: usize, target: usize) -> [u8; STUB_SIZE] {
    // On x86-64 the operand is relative to the end of the instruction, on x86 it is an address.
    let operand = if cfg!(target_arch = "x86_64") { target.wrapping_sub(at + 6) } else { target };
    let mut bytes = [0xCC; STUB_SIZE];
    bytes[..2].copy_from_slice(&[0xFF, 0x25]);
    bytes[2..6].copy_from_slice(&(operand as u32).to_le_bytes());
    bytes
}

/// Commits `size` bytes from which every address between `lowest` and `highest` is within reach,
/// and the other way round; as near as can be had, above or below.
fn allocate_near<S: System>(
    system: &S,
    lowest: usize,
    highest: usize,
    size: usize,
) -> Option<usize> {
    if cfg!(target_pointer_width = "32") {
        return system.allocate_anywhere(size);
    }
    let floor = highest.saturating_sub(REACH).max(GRANULARITY);
    let ceiling = lowest.saturating_add(REACH);
    let above = Gaps { system, next: highest, size, limit: ceiling, upwards: true };
    let below = Gaps { system, next: lowest, size, limit: floor, upwards: false };
    above.chain(below).find_map(|address| system.allocate(address, size))
}

/// The addresses in free memory where an allocation may be tried, outwards from a start.
struct Gaps<'s, S> {
    system: &'s S,
    next: usize,
    size: usize,
    limit: usize,
    upwards: bool,
}

impl<S: System> Iterator for Gaps<'_, S> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        loop {
            let within = if self.upwards { self.next < self.limit } else { self.next > self.limit };
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
                candidate + self.size <= self.limit
            } else {
                candidate >= self.limit
            };
            if region.free && fits && reaches {
                return Some(candidate);
            }
        }
    }
}
