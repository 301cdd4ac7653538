//! Redirecting ntdll's exports: names that the loader and `GetProcAddress` look up from now on lead
//! to the replacements. The entries of an export table are 32-bit offsets, so they lead to relays
//! above ntdll.

use allograft_detour::{Detour, Relays, SlotWriter, System};

use super::HeapObstacle;
use super::table::{FUNCTION_COUNT, HEAP_FUNCTIONS, HeapFunction};
use crate::exports::{self, Export};
use crate::module::Module;

/// Exports that lead to relays.
pub(super) struct RedirectedExports {
    pub(super) relays: Relays,
    pub(super) count: usize,
}

/// Redirects the functions of the table that `ntdll` exports, all or none. `replacement` gets the
/// address of each, and returns where its export is to lead; none to leave it alone.
pub(super) fn redirect(
    system: &impl System,
    ntdll: &Module,
    replacement: &dyn Fn(HeapFunction, usize) -> Option<usize>,
) -> Result<RedirectedExports, HeapObstacle> {
    let mut detours = [Detour::new(0, 0); FUNCTION_COUNT];
    let mut entries = [0; FUNCTION_COUNT];
    let mut count = 0;
    for row in HEAP_FUNCTIONS {
        let region = |address| system.region(address);
        let Some(Export { entry, address }) = exports::find(ntdll, &region, row.native) else {
            // The hot ones have Win32 names; versions of Windows differ in the others.
            if row.names.is_empty() {
                continue;
            }
            return Err(HeapObstacle::NotInNtdll(row.native));
        };
        if !ntdll.contains(address) || !entry.is_multiple_of(align_of::<u32>()) {
            return Err(HeapObstacle::NotInNtdll(row.native));
        }
        if let Some(replacement) = replacement(row.function, address) {
            detours[count] = Detour::new(address, replacement);
            entries[count] = entry;
            count += 1;
        }
    }
    let detours = &mut detours[..count];
    let relays =
        Relays::build_above(system, ntdll.base(), detours).map_err(HeapObstacle::Relays)?;
    let mut table = SlotWriter::new(system);
    let offset = |address: usize| address.wrapping_sub(ntdll.base()) as u32;
    for (index, detour) in detours.iter().enumerate() {
        // SAFETY: the entry is one of ntdll's export table, which stays loaded, and the relay leads
        // to a function of the same signature.
        let written = unsafe { table.write_export(entries[index], offset(detour.relay())) };
        if let Err(code) = written {
            for (former, detour) in detours[..index].iter().enumerate() {
                // The relays stay, for who has looked one up meanwhile.
                //
                // SAFETY: as above; this was the entry's contents.
                let _ = unsafe { table.write_export(entries[former], offset(detour.target)) };
            }
            return Err(HeapObstacle::ExportTable(code));
        }
    }
    Ok(RedirectedExports { relays, count })
}

#[cfg(test)]
mod tests {
    use core::cell::Cell;

    use allograft_detour::{Protection, Region, SystemCode, Thread, ThreadIdentity, ThreadState};

    use super::*;
    use crate::loaded_image::tests::ImageInMemory;

    const SIZE: usize = 0x1000;
    const FREE: usize = 0x1_0000;

    /// An ntdll in memory, with free address space behind it, all of it one piece of the test's.
    struct Simulated {
        memory: Vec<u8>,
        /// How many changes of protection succeed.
        protections: Cell<usize>,
    }

    impl Simulated {
        /// With all functions of the table but `missing`, whose code begins at 0xE00.
        fn new(missing: Option<HeapFunction>) -> Simulated {
            const TABLE: usize = 0x200;
            const FUNCTIONS: usize = 0x300;
            const NAMES: usize = 0x400;
            const ORDINALS: usize = 0x500;
            const TEXTS: usize = 0x600;
            let mut image = ImageInMemory::new();
            let mut rows: Vec<_> =
                HEAP_FUNCTIONS.iter().filter(|row| Some(row.function) != missing).collect();
            rows.sort_by_key(|row| row.native);
            image.set_directory(crate::loaded_image::Directory::Exports, TABLE, 0x40);
            let fields = [(24, rows.len()), (28, FUNCTIONS), (32, NAMES), (36, ORDINALS)];
            fields.iter().for_each(|&(at, value)| image.put_number(TABLE + at, value));
            for (index, row) in rows.iter().enumerate() {
                image.put_number(FUNCTIONS + 4 * index, 0xE00 + 8 * row.function as usize);
                image.put_number(NAMES + 4 * index, TEXTS + 0x20 * index);
                image.put(ORDINALS + 2 * index, &(index as u16).to_le_bytes());
                image.put(TEXTS + 0x20 * index, row.native.to_bytes());
            }
            let mut simulated =
                Simulated { memory: vec![0; 5 * FREE], protections: Cell::new(usize::MAX) };
            let base = simulated.base() - simulated.memory.as_ptr() as usize;
            simulated.memory[base..base + SIZE].copy_from_slice(&image.0);
            simulated
        }

        fn base(&self) -> usize {
            (self.memory.as_ptr() as usize).next_multiple_of(FREE)
        }

        fn ntdll(&self) -> Module {
            // SAFETY: the image lives as long as the test uses the module.
            unsafe { Module::new(self.base(), SIZE, &[], &[]) }
        }

        fn redirect(&self) -> Result<RedirectedExports, HeapObstacle> {
            let replacement = |function: HeapFunction, _| {
                let frees = function != HeapFunction::AllocateHeap;
                frees.then_some(0x7000_0000 + function as usize)
            };
            redirect(self, &self.ntdll(), &replacement)
        }

        /// The address that the export of the function leads to.
        fn export(&self, function: HeapFunction) -> usize {
            let name = HEAP_FUNCTIONS[function as usize].native;
            let region = |address| self.region(address);
            exports::find(&self.ntdll(), &region, name).expect("it is exported").address
        }

        fn original(&self, function: HeapFunction) -> usize {
            self.base() + 0xE00 + 8 * function as usize
        }
    }

    impl System for Simulated {
        fn region(&self, address: usize) -> Option<Region> {
            let (base, size, free) = match address.checked_sub(self.base())? {
                0..FREE => (self.base(), FREE, false),
                _ => (self.base() + FREE, 2 * FREE, true),
            };
            let protection = if free { Protection::NONE } else { Protection::READ_ONLY };
            Some(Region { base, size, free, protection })
        }
        fn allocate(&self, address: Option<usize>, _size: usize) -> Option<usize> {
            Some(address.unwrap_or(self.base() + FREE))
        }
        fn free(&self, _address: usize) {}
        fn protect(
            &self,
            _address: usize,
            _size: usize,
            _protection: Protection,
        ) -> Result<Protection, SystemCode> {
            let left = self.protections.get().checked_sub(1).ok_or(SystemCode(5))?;
            self.protections.set(left);
            Ok(Protection::READ_ONLY)
        }
        fn flush_code(&self, _address: usize, _size: usize) {}
        fn next_thread(&self, _previous: Option<Thread>) -> Result<Option<Thread>, SystemCode> {
            unreachable!("no thread is looked for")
        }
        fn has_ended(&self, _thread: Thread) -> bool {
            unreachable!("no thread is looked for")
        }
        fn identity(&self, _thread: Thread) -> Result<ThreadIdentity, SystemCode> {
            unreachable!("no thread is looked for")
        }
        fn thread_count(&self) -> Option<usize> {
            unreachable!("no thread is looked for")
        }
        fn own_thread_id(&self) -> u32 {
            unreachable!("no thread is looked for")
        }
        fn lock_heap(&self) {}
        fn unlock_heap(&self) {}
        fn suspend(&self, _thread: Thread) -> Result<(), SystemCode> {
            unreachable!("no thread is suspended")
        }
        fn resume(&self, _thread: Thread) {}
        fn state(&self, _thread: Thread, _teb: usize) -> Result<ThreadState, SystemCode> {
            unreachable!("no thread is suspended")
        }
        fn close(&self, _thread: Thread) {}
        fn pause(&self) {}
        fn milliseconds(&self) -> u64 {
            0
        }
    }

    #[test]
    fn exports_of_the_free_side_lead_to_relays_that_lead_to_the_replacements() {
        let ntdll = Simulated::new(Some(HeapFunction::FreeUtf8String));
        let redirected = ntdll.redirect().unwrap();
        assert_eq!(redirected.count, FUNCTION_COUNT - 2);
        for row in HEAP_FUNCTIONS.iter().map(|row| row.function) {
            match row {
                HeapFunction::FreeUtf8String => {}
                HeapFunction::AllocateHeap => assert_eq!(ntdll.export(row), ntdll.original(row)),
                row => {
                    let relay = ntdll.export(row);
                    let original = ntdll.original(row);
                    assert!(redirected.relays.range().contains(&relay), "{row:?}");
                    assert_eq!(redirected.relays.function_behind(relay), Some(original));
                    assert_eq!(redirected.relays.function_behind(relay + 1), None);
                    let replacement = redirected.relays.replacement_for(original);
                    assert_eq!(replacement, Some(0x7000_0000 + row as usize));
                }
            }
        }
        assert_eq!(redirected.relays.function_behind(ntdll.base()), None);
    }

    #[test]
    fn without_a_hot_function_or_a_writable_table_nothing_changes() {
        let ntdll = Simulated::new(Some(HeapFunction::SizeHeap));
        let missing = ntdll.redirect().err();
        assert_eq!(missing, Some(HeapObstacle::NotInNtdll(c"RtlSizeHeap")));
        let ntdll = Simulated::new(None);
        // Those of the relays' code and data succeed.
        ntdll.protections.set(2);
        assert_eq!(ntdll.redirect().err(), Some(HeapObstacle::ExportTable(SystemCode(5))));
        ntdll.protections.set(0);
        assert!(matches!(ntdll.redirect().err(), Some(HeapObstacle::Relays(_))));
        for row in HEAP_FUNCTIONS {
            assert_eq!(ntdll.export(row.function), ntdll.original(row.function));
        }
    }

    #[test]
    fn a_function_that_another_tool_has_redirected_is_found() {
        let mut ntdll = Simulated::new(None);
        let entry = exports::find(&ntdll.ntdll(), &|at| ntdll.region(at), c"RtlFreeHeap").unwrap();
        let at = entry.entry - ntdll.memory.as_ptr() as usize;
        ntdll.memory[at..at + 4].copy_from_slice(&0x2_0000u32.to_le_bytes());
        let hooked = ntdll.redirect().err();
        assert_eq!(hooked, Some(HeapObstacle::NotInNtdll(c"RtlFreeHeap")));
    }
}
