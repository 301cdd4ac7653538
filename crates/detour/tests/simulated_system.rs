//! Transactions against a simulated operating system, on any host: where the relays are allocated,
//! what every failing step leaves behind, and which threads are waited for.
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "all memory that is read and written here is the test's own"
)]

mod common;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use allograft_detour::{
    Detour, Error, Installed, Protection, Region, Relays, SlotWriter, System, SystemCode, Thread,
    ThreadIdentity, ThreadState, install,
};
use common::{Refusing, redirect};

const PAGE: usize = 0x1000;
const OWN_THREAD: u32 = 1;
const REPLACEMENT: usize = 0x7777_0000;

/// What a thread does each time it is suspended: the addresses where it is found, one after
/// another; the last one counts from then on.
struct SimulatedThread {
    id: u32,
    found_at: Vec<usize>,
    /// Values on its stack, where among them its stack pointer is, and how many of the first ones
    /// are in pages that are not committed yet.
    stack: Vec<usize>,
    top: usize,
    uncommitted: usize,
    suspended: i32,
    times_suspended: usize,
    /// A thread that has not begun to run has no TEB.
    has_teb: bool,
}

/// An operating system whose memory is the test's.
#[derive(Default)]
struct Simulated {
    /// Protections that were set, by page; all other pages can be executed and read.
    protections: RefCell<HashMap<usize, Protection>>,
    threads: RefCell<Vec<SimulatedThread>>,
    /// Threads that appear once the first ones are suspended.
    late_threads: RefCell<Vec<SimulatedThread>>,
    /// How many threads refuse access, and are not listed.
    hidden_threads: Cell<usize>,
    /// The part of the address space that is free.
    free: std::ops::Range<usize>,
    requested: RefCell<Vec<usize>>,
    allocated: Cell<usize>,
    freed: Cell<usize>,
    handles_closed: Cell<usize>,
    /// Whether the process's heap is locked.
    heap_locked: Cell<bool>,
    /// The protection that no pages get any more.
    refused_protection: Cell<Option<u32>>,
    clock: Cell<u64>,
}

impl Simulated {
    /// With free memory near `code`.
    fn new(code: &Code3, ids: impl IntoIterator<Item = u32>) -> Simulated {
        let free = code.start() + 0x100_0000..code.start() + 0x200_0000;
        let system = Simulated { free, ..Simulated::default() };
        system.threads.borrow_mut().extend(ids.into_iter().map(|id| thread(id, vec![0])));
        system
    }

    fn all_resumed(&self) -> bool {
        !self.heap_locked.get() && self.threads.borrow().iter().all(|thread| thread.suspended == 0)
    }

    /// For calls that security software hooks. Its hooks allocate, and a suspended thread may hold
    /// the heap's lock.
    fn assert_all_resumed(&self) {
        assert!(self.all_resumed(), "the system is called while threads are suspended");
    }
}

fn thread(id: u32, found_at: Vec<usize>) -> SimulatedThread {
    SimulatedThread {
        id,
        found_at,
        stack: vec![0; 4],
        top: 0,
        uncommitted: 0,
        suspended: 0,
        times_suspended: 0,
        has_teb: true,
    }
}

impl System for Simulated {
    fn region(&self, address: usize) -> Option<Region> {
        self.assert_all_resumed();
        let page = address & !(PAGE - 1);
        if let Some(&protection) = self.protections.borrow().get(&page) {
            return Some(Region { base: page, size: PAGE, free: false, protection });
        }
        let free = self.free.clone();
        let ranges =
            [(true, free.clone()), (false, 0..free.start), (false, free.end..usize::MAX / 2)];
        let (free, range) = ranges.into_iter().find(|(_, range)| range.contains(&address))?;
        let protection = if free { Protection::NONE } else { Protection::EXECUTE_READ };
        Some(Region { base: range.start, size: range.len(), free, protection })
    }
    fn allocate(&self, address: Option<usize>, size: usize) -> Option<usize> {
        self.assert_all_resumed();
        self.requested.borrow_mut().extend(address);
        self.allocated.set(self.allocated.get() + 1);
        let layout = std::alloc::Layout::from_size_align(size, PAGE).unwrap();
        // Never given back: `System::free` does not know the size.
        Some(unsafe { std::alloc::alloc_zeroed(layout) } as usize)
    }
    fn free(&self, _address: usize) {
        self.assert_all_resumed();
        self.freed.set(self.freed.get() + 1);
    }
    fn protect(
        &self,
        base: usize,
        size: usize,
        wanted: Protection,
    ) -> Result<Protection, SystemCode> {
        self.assert_all_resumed();
        if self.refused_protection.get() == Some(wanted.0 & 0xFF) {
            return Err(common::REFUSED);
        }
        let former = self.region(base).unwrap().protection;
        for page in (base..base + size).step_by(PAGE) {
            self.protections.borrow_mut().insert(page, Protection(wanted.0 & 0xFF));
        }
        Ok(former)
    }
    fn flush_code(&self, _address: usize, _size: usize) {
        self.assert_all_resumed();
    }
    fn next_thread(&self, previous: Option<Thread>) -> Result<Option<Thread>, SystemCode> {
        let next = previous.map_or(0, |thread| thread.0 + 1);
        let exists = (next as usize) < self.threads.borrow().len();
        if !exists {
            let mut late = self.late_threads.borrow_mut();
            self.threads.borrow_mut().append(&mut late);
        }
        Ok(exists.then_some(Thread(next)))
    }
    fn has_ended(&self, _thread: Thread) -> bool {
        false
    }
    fn identity(&self, thread: Thread) -> Result<ThreadIdentity, SystemCode> {
        let thread = &self.threads.borrow()[thread.0 as usize];
        Ok(ThreadIdentity { id: thread.id, teb: thread.has_teb.then_some(0x1_0000) })
    }
    fn thread_count(&self) -> Option<usize> {
        self.assert_all_resumed();
        Some(self.threads.borrow().len() + self.hidden_threads.get())
    }
    fn own_thread_id(&self) -> u32 {
        OWN_THREAD
    }
    fn lock_heap(&self) {
        assert!(!self.heap_locked.replace(true), "the heap is locked already");
    }
    fn unlock_heap(&self) {
        assert!(self.heap_locked.replace(false), "the heap is not locked");
    }
    fn suspend(&self, thread: Thread) -> Result<(), SystemCode> {
        assert!(self.heap_locked.get(), "a thread may be suspended while it holds the heap's lock");
        let thread = &mut self.threads.borrow_mut()[thread.0 as usize];
        thread.suspended += 1;
        thread.times_suspended += 1;
        Ok(())
    }
    fn resume(&self, thread: Thread) {
        self.threads.borrow_mut()[thread.0 as usize].suspended -= 1;
    }
    fn state(&self, thread: Thread, _teb: usize) -> Result<ThreadState, SystemCode> {
        let thread = &self.threads.borrow()[thread.0 as usize];
        assert!(thread.has_teb, "the registers of a thread that does not run are asked for");
        let at = (thread.times_suspended - 1).min(thread.found_at.len() - 1);
        let stack = thread.stack[thread.top..].as_ptr_range();
        Ok(ThreadState {
            instruction: thread.found_at[at],
            stack: stack.start as usize,
            stack_limit: thread.stack[thread.uncommitted..].as_ptr() as usize,
            stack_end: stack.end as usize,
        })
    }
    fn close(&self, _thread: Thread) {
        self.assert_all_resumed();
        self.handles_closed.set(self.handles_closed.get() + 1);
    }
    fn pause(&self) {
        assert!(!self.heap_locked.get(), "a thread that should get on may need the heap");
        self.clock.set(self.clock.get() + 1);
    }
    fn milliseconds(&self) -> u64 {
        self.clock.get()
    }
}

/// Three pages of code, with functions at 0, 64 and across the border of the first two pages.
struct Code3 {
    bytes: Box<[u8; 4 * PAGE]>,
}

impl Code3 {
    fn new() -> Code3 {
        Code3 { bytes: Box::new([0x90; 4 * PAGE]) }
    }

    fn start(&self) -> usize {
        (self.bytes.as_ptr() as usize).next_multiple_of(PAGE)
    }

    fn detours(&self) -> Vec<Detour> {
        [PAGE - 2, 0, 64].map(|at| Detour::new(self.start() + at, REPLACEMENT + at)).to_vec()
    }

    /// Where the jump at `at` leads, if there is one.
    fn jump_target(&self, at: usize) -> Option<usize> {
        let entry = self.start() + at;
        let code = unsafe { (entry as *const [u8; 5]).read_volatile() };
        let displacement = i32::from_le_bytes([code[1], code[2], code[3], code[4]]);
        (code[0] == 0xE9).then(|| (entry + 5).wrapping_add_signed(displacement as isize))
    }

    fn is_untouched(&self) -> bool {
        let bytes = unsafe { std::slice::from_raw_parts(self.start() as *const u8, 3 * PAGE) };
        bytes.iter().all(|&byte| byte == 0x90)
    }
}

#[test]
fn every_function_jumps_to_a_relay_of_its_own_that_leads_to_its_replacement() {
    let code = Code3::new();
    let system = Simulated::new(&code, [OWN_THREAD, 2, 3]);
    let mut detours = code.detours();
    let relays = Relays::build(&system, &mut detours).unwrap();
    assert!(code.is_untouched(), "building the relays changes no code");
    let installed = install(&system, &mut detours).unwrap();
    let expected = Installed { threads_suspended: 2, threads_missed: 0, pages_left_writable: 0 };
    assert_eq!(installed, expected);
    for at in [0, 64, PAGE - 2] {
        let relay = code.jump_target(at).expect("a jump");
        // The simulated relays may lie farther away than the displacement reaches.
        let low = |address: usize| address as u32;
        let range = relays.range();
        assert!((low(range.start)..low(range.end)).contains(&low(relay)), "jump at {at}");
        assert_eq!(relays.replacement_for(code.start() + at), Some(REPLACEMENT + at));
    }
    assert_eq!(relays.replacement_for(code.start() + 1), None);
    relays.retarget(&system, |target| (target == REPLACEMENT + 64).then_some(0x42)).unwrap();
    assert_eq!(relays.replacement_for(code.start() + 64), Some(0x42));
    assert_eq!(relays.replacement_for(code.start()), Some(REPLACEMENT));
    assert!(system.all_resumed());
}

#[test]
fn whichever_call_is_refused_all_jumps_are_in_place_or_none() {
    let (mut failures, mut repeated) = (0, 0);
    for refused in 0.. {
        let code = Code3::new();
        let refusing = Refusing::new(Simulated::new(&code, [OWN_THREAD, 2, 3]), refused);
        let result = redirect(&refusing, code.detours());
        let system = &refusing.system;
        assert!(system.all_resumed(), "after call {refused}");
        for page in [0, PAGE] {
            let protection = system.region(code.start() + page).unwrap().protection;
            assert_eq!(protection, Protection::EXECUTE_READ, "after call {refused}");
        }
        match result {
            Err(_) => {
                failures += 1;
                assert!(code.is_untouched(), "after call {refused}");
                let (allocated, freed) = (system.allocated.get(), system.freed.get());
                assert_eq!(allocated, freed, "memory after call {refused}");
            }
            Ok(installed) => {
                let targets = [0, 64, PAGE - 2].map(|at| code.jump_target(at));
                assert!(targets.iter().all(Option::is_some), "after call {refused}");
                assert_eq!(installed.pages_left_writable, 0);
                if !refusing.has_refused() {
                    break;
                }
                // Restoring the protection of the code was refused, and tried again.
                repeated += 1;
            }
        }
    }
    assert!(failures >= 8, "only {failures} calls make it fail");
    assert_eq!(repeated, 1, "one span of pages");
}

#[test]
fn pages_whose_protection_cannot_be_restored_are_counted() {
    let code = Code3::new();
    let system = Simulated::new(&code, [OWN_THREAD]);
    let mut detours = code.detours();
    Relays::build(&system, &mut detours).unwrap();
    let restores = Protection::EXECUTE_READ.0;
    system.refused_protection.set(Some(restores));
    assert_eq!(install(&system, &mut detours).unwrap().pages_left_writable, 2);
    assert!(code.jump_target(64).is_some(), "the jumps are in place");
}

#[test]
fn threads_that_refuse_access_are_counted() {
    let code = Code3::new();
    let system = Simulated::new(&code, [OWN_THREAD, 2]);
    system.hidden_threads.set(3);
    let installed = redirect(&system, code.detours()).unwrap();
    assert_eq!((installed.threads_suspended, installed.threads_missed), (1, 3));
}

#[test]
fn every_handle_is_closed_once() {
    let code = Code3::new();
    let system = Simulated::new(&code, [OWN_THREAD, 2, 3]);
    redirect(&system, code.detours()).unwrap();
    assert_eq!(system.handles_closed.get(), 3);
}

#[test]
fn a_thread_that_appears_while_others_are_suspended_is_suspended_too() {
    let code = Code3::new();
    let system = Simulated::new(&code, [OWN_THREAD, 2]);
    system.late_threads.borrow_mut().push(thread(3, vec![0]));
    assert_eq!(redirect(&system, code.detours()).unwrap().threads_suspended, 2);
    assert_eq!(system.threads.borrow()[2].times_suspended, 1);
}

#[test]
fn a_thread_inside_a_jump_is_resumed_until_it_has_left() {
    let code = Code3::new();
    let system = Simulated::new(&code, [OWN_THREAD]);
    let inside = code.start() + 64 + 2;
    system.threads.borrow_mut().push(thread(2, vec![inside, inside, code.start() + 64]));
    redirect(&system, code.detours()).unwrap();
    assert_eq!(system.threads.borrow()[1].times_suspended, 3);
    assert_eq!(system.clock.get(), 2, "it gets some time to leave each time");
}

#[test]
fn a_thread_that_would_return_into_a_jump_is_given_up_on_after_a_second() {
    let code = Code3::new();
    let system = Simulated::new(&code, [OWN_THREAD]);
    let mut waiting = thread(2, vec![0]);
    waiting.stack[2] = code.start() + 3;
    system.threads.borrow_mut().push(waiting);
    let error = redirect(&system, code.detours()).unwrap_err();
    assert_eq!(error, Error::Busy(2, code.start()));
    assert_eq!(system.clock.get(), 1000);
    assert!(system.all_resumed() && code.is_untouched());
}

/// The stack pointer is in the guard page, below the committed pages.
#[test]
fn only_committed_pages_of_a_stack_are_searched() {
    const WORDS: usize = PAGE / size_of::<usize>();
    for (return_address_at, is_found) in [(1, false), (WORDS - 1, false), (WORDS + 1, true)] {
        let code = Code3::new();
        let system = Simulated::new(&code, [OWN_THREAD]);
        let mut deep = thread(2, vec![0]);
        deep.stack = vec![0; 4 * WORDS];
        deep.uncommitted = WORDS;
        deep.stack[return_address_at] = code.start() + 3;
        system.threads.borrow_mut().push(deep);
        let result = redirect(&system, code.detours());
        assert_eq!(result.is_err(), is_found, "the address at {return_address_at}");
    }
}

/// A coroutine on a stack of the program's own: nothing is known of the pages around its pointer.
#[test]
fn a_stack_that_the_system_does_not_know_is_not_read() {
    let code = Code3::new();
    let system = Simulated::new(&code, [OWN_THREAD]);
    let mut coroutine = thread(2, vec![0]);
    coroutine.stack = vec![code.start() + 3; 32 * PAGE];
    coroutine.uncommitted = 32 * PAGE - 1;
    system.threads.borrow_mut().push(coroutine);
    redirect(&system, code.detours()).unwrap();
}

#[test]
fn a_thread_that_has_not_begun_to_run_is_suspended_without_reading_its_registers() {
    let code = Code3::new();
    let system = Simulated::new(&code, [OWN_THREAD, 2]);
    system.threads.borrow_mut()[1].has_teb = false;
    assert_eq!(redirect(&system, code.detours()).unwrap().threads_suspended, 1);
}

#[test]
#[cfg(target_pointer_width = "64")]
fn relays_are_allocated_at_the_nearest_address_above_or_else_below() {
    const REACH: usize = 0x7FFF_0000;
    let function = 0x7000_0000_0000;
    for (free, expected) in [
        (function + 0x5_0000..function + 0x50_0000, Some(function + 0x5_0000)),
        // Rounded up to where the system can reserve.
        (function + 0x5_1000..function + 0x50_0000, Some(function + 0x6_0000)),
        (function - 0x50_0000..function - 0x5_0000, Some(function - 0x6_0000)),
        (function + REACH - 0x1000..function + 2 * REACH, None),
        (function - 2 * REACH..function - REACH - 0x1_0000, None),
        // Too small for the code and the data.
        (function + 0x5_0000..function + 0x5_1000, None),
    ] {
        let system = Simulated { free, ..Simulated::default() };
        let built = Relays::build(&system, &mut [Detour::new(function, 0)]);
        assert_eq!(system.requested.borrow().first().copied(), expected);
        match expected {
            Some(_) => assert!(built.is_ok()),
            None => assert_eq!(built.unwrap_err(), Error::NoMemoryNear(function)),
        }
    }
}

#[test]
#[cfg(target_pointer_width = "64")]
fn relays_for_an_export_table_are_where_its_offsets_reach() {
    const REACH: usize = 0xFFFF_FFFF;
    let base = 0x7000_0000_0000;
    for (free, expected) in [
        (base + 0x5_0000..base + 0x50_0000, Some(base + 0x5_0000)),
        (base + REACH - 0xFFFF..base + 2 * REACH, Some(base + REACH - 0xFFFF)),
        (base + REACH + 1..base + 2 * REACH, None),
        // Offsets count upwards.
        (base - 0x50_0000..base - 0x5_0000, None),
    ] {
        let system = Simulated { free, ..Simulated::default() };
        let built = Relays::build_above(&system, base, &mut [Detour::new(base + 0x1000, 0)]);
        assert_eq!(system.requested.borrow().first().copied(), expected);
        match expected {
            Some(_) => assert!(built.is_ok()),
            None => assert_eq!(built.unwrap_err(), Error::NoMemoryNear(base)),
        }
    }
}

#[test]
fn a_slot_is_written_in_any_page_whose_protection_is_restored() {
    for kind in [Protection::READ_ONLY, Protection::READ_WRITE, Protection::EXECUTE_READ] {
        let system = Simulated::default();
        let page = system.allocate(None, 2 * PAGE).unwrap();
        system.protect(page, 2 * PAGE, kind).unwrap();
        let mut slots = SlotWriter::new(&system);
        for address in [page, page + 8, page + PAGE] {
            unsafe { slots.write(address, 7) }.unwrap();
            assert_eq!(unsafe { *(address as *const usize) }, 7);
            assert_ne!(system.region(address).unwrap().protection, Protection::READ_ONLY);
        }
        unsafe { slots.write_export(page + 0x104, 9) }.unwrap();
        assert_eq!(unsafe { *((page + 0x100) as *const [u32; 3]) }, [0, 9, 0]);
        drop(slots);
        assert!([page, page + PAGE].map(|at| system.region(at).unwrap().protection) == [kind; 2]);
    }
}

#[test]
fn a_refusal_says_what_was_refused_where() {
    let error = Error::RelayProtection(0x1000, SystemCode(1655)).to_string();
    assert!(error.contains("0x1000") && error.contains("the process prohibits dynamic code"));
    let mut close = [Detour::new(0x1004, 0), Detour::new(0x1000, 0)];
    let error = install(&Simulated::default(), &mut close).unwrap_err();
    assert_eq!(error, Error::TooClose { first: 0x1000, second: 0x1004 });
    let mut many = vec![Detour::new(0, 0); 129];
    assert_eq!(install(&Simulated::default(), &mut many), Err(Error::TooMany(128)));
}
