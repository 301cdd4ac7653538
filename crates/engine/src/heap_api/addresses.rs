//! The addresses by which import tables refer to the functions of the heap API.

use core::ffi::CStr;

use super::table::{FUNCTION_COUNT, HEAP_FUNCTIONS, HeapFunction};

/// The DLLs of the system that export the functions. The first one has them all.
pub(crate) const SYSTEM_DLLS: [&str; 3] = ["ntdll.dll", "kernelbase.dll", "kernel32.dll"];

/// More than the table has names, each in as many DLLs as may export it.
const MOST: usize = 3 * FUNCTION_COUNT;

/// All addresses at which the system has functions of the table.
///
/// Import slots are recognised by these, not by the names of their imports: API sets and forwarders
/// lead to them too, and a slot that another tool has redirected holds none of them.
#[derive(Clone, Copy)]
pub(crate) struct KnownAddresses {
    known: [(usize, HeapFunction); MOST],
    count: usize,
    lowest: usize,
    highest: usize,
}

impl KnownAddresses {
    /// Asks `export` for each name of each DLL (by its index in [`SYSTEM_DLLS`]).
    pub(crate) fn new(export: &dyn Fn(usize, &CStr) -> Option<usize>) -> KnownAddresses {
        let none = (0, HeapFunction::AllocateHeap);
        let mut addresses =
            KnownAddresses { known: [none; MOST], count: 0, lowest: usize::MAX, highest: 0 };
        for row in HEAP_FUNCTIONS {
            addresses.add(export(0, row.native), row.function);
            for name in row.names {
                (1..SYSTEM_DLLS.len())
                    .for_each(|dll| addresses.add(export(dll, name), row.function));
            }
        }
        addresses
    }

    fn add(&mut self, address: Option<usize>, function: HeapFunction) {
        if let Some(address) = address
            && self.function_at(address).is_none()
            && self.count < MOST
        {
            self.known[self.count] = (address, function);
            self.count += 1;
            self.lowest = self.lowest.min(address);
            self.highest = self.highest.max(address);
        }
    }

    /// The function at `address`.
    pub(crate) fn function_at(&self, address: usize) -> Option<HeapFunction> {
        // Nearly all slots of a module lead elsewhere.
        if !(self.lowest..=self.highest).contains(&address) {
            return None;
        }
        let found = self.known[..self.count].iter().find(|&&(known, _)| known == address);
        found.map(|&(_, function)| function)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As on Windows: kernel32 forwards some names to ntdll and has stubs for others.
    fn export(dll: usize, name: &CStr) -> Option<usize> {
        let native = |name: &CStr| {
            let index = HEAP_FUNCTIONS.iter().position(|row| row.native == name)?;
            Some(0x7000 + 0x10 * index)
        };
        match (dll, name.to_bytes()) {
            (0, b"RtlFreeUTF8String") => None,
            (0, _) => native(name),
            (1, b"HeapFree") => Some(0x5000),
            (2, b"HeapFree") => Some(0x3000),
            (2, b"HeapValidate") => Some(0x3010),
            (_, b"HeapAlloc") => native(c"RtlAllocateHeap"),
            _ => None,
        }
    }

    #[test]
    fn a_function_is_known_by_all_its_addresses() {
        let addresses = KnownAddresses::new(&export);
        let free = [0x3000, 0x5000, export(0, c"RtlFreeHeap").unwrap()];
        assert!(free.iter().all(|&at| addresses.function_at(at) == Some(HeapFunction::FreeHeap)));
        let allocate = export(0, c"RtlAllocateHeap").unwrap();
        assert_eq!(addresses.function_at(allocate), Some(HeapFunction::AllocateHeap));
        assert_eq!(addresses.function_at(0x3010), Some(HeapFunction::ValidateHeap));
        for unknown in [0, 0x2FFF, 0x3001, 0x6000, usize::MAX] {
            assert_eq!(addresses.function_at(unknown), None, "{unknown:#x}");
        }
        // One for each row but the one that is missing, and three stubs.
        assert_eq!(addresses.count, FUNCTION_COUNT - 1 + 3);
    }

    #[test]
    fn there_is_room_for_every_name_in_every_dll() {
        let next = core::cell::Cell::new(0);
        let addresses = KnownAddresses::new(&|_, _| Some(next.replace(next.get() + 1)));
        assert_eq!(addresses.count, next.get());
    }
}
