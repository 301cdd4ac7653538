//! Detours on functions of this very process: installed, undone at every step that can fail, and
//! under threads that are in the way.
#![cfg(windows)]
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "what is called and written here are bytes that the test itself has made"
)]

mod common;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use allograft_detour::{Detour, Error, Protection, Relays, SlotWriter, System, Windows, install};
use common::{REFUSED, Refusing, redirect};

/// Two transactions at once would suspend each other's threads. In a process the loader's lock
/// keeps them apart, in these tests this one.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `mov eax, 1; ret`, many times over, on executable pages of their own: functions that return 1.
struct Functions {
    base: usize,
    count: usize,
}

/// Distance between two functions; some of them share a page, and one jump crosses into the next
/// page.
const STRIDE: usize = 0x7FF;

impl Functions {
    fn new(count: usize) -> Functions {
        let size = (count * STRIDE + 0x1000).next_multiple_of(0x1000);
        let base = Windows.allocate(None, size).expect("memory");
        for index in 0..count {
            let code = [0xB8, 1, 0, 0, 0, 0xC3];
            unsafe { ((base + index * STRIDE) as *mut [u8; 6]).write_unaligned(code) };
        }
        Windows.protect(base, size, Protection::EXECUTE_READ).expect("executable");
        Functions { base, count }
    }

    fn entry(&self, index: usize) -> usize {
        self.base + index * STRIDE
    }

    fn call(&self, index: usize) -> u32 {
        let function: extern "C" fn() -> u32 = unsafe { std::mem::transmute(self.entry(index)) };
        function()
    }

    fn detours(&self) -> Vec<Detour> {
        (0..self.count)
            .map(|index| Detour::new(self.entry(index), returns_2 as *const () as usize))
            .collect()
    }

    fn bytes(&self) -> Vec<u8> {
        let size = self.count * STRIDE;
        unsafe { std::slice::from_raw_parts(self.base as *const u8, size) }.to_vec()
    }

    fn protections(&self) -> Vec<Protection> {
        (0..self.count).map(|index| protection(self.entry(index))).collect()
    }
}

extern "C" fn returns_2() -> u32 {
    2
}

fn protection(address: usize) -> Protection {
    Windows.region(address).expect("an address of the program's").protection
}

/// A thread that counts as long as this lives: it shows that threads are resumed.
struct Counting {
    stop: Arc<AtomicBool>,
    count: Arc<AtomicU64>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Counting {
    fn start() -> Counting {
        let stop = Arc::new(AtomicBool::new(false));
        let count = Arc::new(AtomicU64::new(0));
        let (stop2, count2) = (stop.clone(), count.clone());
        let thread = std::thread::spawn(move || {
            while !stop2.load(Ordering::Relaxed) {
                count2.fetch_add(1, Ordering::Relaxed);
                std::thread::yield_now();
            }
        });
        Counting { stop, count, thread: Some(thread) }
    }

    fn goes_on(&self) -> bool {
        let before = self.count.load(Ordering::Relaxed);
        (0..1000).any(|_| {
            std::thread::sleep(Duration::from_millis(2));
            self.count.load(Ordering::Relaxed) > before
        })
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().map(|thread| thread.join());
    }
}

#[test]
fn calls_reach_the_replacement_and_the_pages_keep_their_protection() {
    let _alone = alone();
    let functions = Functions::new(9);
    let before = functions.protections();
    let mut detours = functions.detours();
    let relays = Relays::build(&Windows, &mut detours).expect("relays");
    assert!((0..9).all(|index| functions.call(index) == 1));
    let installed = install(&Windows, &mut detours).expect("installed");
    assert!((0..9).all(|index| functions.call(index) == 2));
    assert_eq!(functions.protections(), before);
    assert_eq!(installed.pages_left_writable, 0);
    assert_eq!(protection(relays.range().start), Protection::EXECUTE_READ);
}

#[test]
fn a_relay_can_be_sent_elsewhere_while_the_jump_stays() {
    extern "C" fn returns_3() -> u32 {
        3
    }
    let _alone = alone();
    let functions = Functions::new(2);
    let mut detours = functions.detours();
    let relays = Relays::build(&Windows, &mut detours).expect("relays");
    install(&Windows, &mut detours).expect("installed");
    let (from, to) = (returns_2 as *const () as usize, returns_3 as *const () as usize);
    relays.retarget(&Windows, |target| (target == from).then_some(to)).expect("retargeted");
    assert_eq!((functions.call(0), functions.call(1)), (3, 3));
}

#[test]
fn whatever_step_fails_all_functions_are_redirected_or_none_and_the_threads_go_on() {
    let _alone = alone();
    let other = Counting::start();
    let mut failures = 0;
    for step in 0.. {
        let functions = Functions::new(5);
        let bytes = functions.bytes();
        let protections = functions.protections();
        let system = Refusing::new(Windows, step);
        let result = redirect(&system, functions.detours());
        assert!(other.goes_on(), "after step {step}");
        assert_eq!(functions.protections(), protections, "after step {step}");
        match result {
            Ok(_) => {
                assert!((0..5).all(|index| functions.call(index) == 2), "after step {step}");
                if !system.has_refused() {
                    break;
                }
                // Restoring the protection of the code was refused, and tried again.
            }
            Err(_) => {
                failures += 1;
                assert_eq!(functions.bytes(), bytes, "after step {step}");
            }
        }
    }
    assert!(failures >= 12, "only {failures} steps could fail");
}

#[test]
fn all_threads_are_suspended_however_many_start_and_end() {
    let _alone = alone();
    let functions = Functions::new(3);
    let stop = Arc::new(AtomicBool::new(false));
    let stop2 = stop.clone();
    let starter = std::thread::spawn(move || {
        while !stop2.load(Ordering::Relaxed) {
            std::thread::spawn(std::thread::yield_now).join().unwrap();
        }
    });
    let counting: Vec<Counting> = (0..8).map(|_| Counting::start()).collect();
    for _ in 0..20 {
        let fresh = Functions::new(1);
        let installed = redirect(&Windows, fresh.detours()).expect("installed");
        assert!(installed.threads_suspended >= counting.len(), "{installed:?}");
        assert_eq!(fresh.call(0), 2);
    }
    assert!(counting.iter().all(Counting::goes_on));
    stop.store(true, Ordering::Relaxed);
    starter.join().unwrap();
    assert!((0..3).all(|index| functions.call(index) == 1));
}

/// The function is `nop; pause; jmp $-2`: its endless loop lies inside the bytes of the jump.
#[test]
fn a_thread_inside_the_jump_is_waited_for_and_given_up_on_with_a_bound() {
    let _alone = alone();
    let base = Windows.allocate(None, 0x1000).expect("memory");
    let code = [0x90, 0xF3, 0x90, 0xEB, 0xFC, 0xC3];
    unsafe { (base as *mut [u8; 6]).write_unaligned(code) };
    Windows.protect(base, 0x1000, Protection::EXECUTE_READ).expect("executable");
    let entered = std::thread::spawn(move || {
        let function: extern "C" fn() = unsafe { std::mem::transmute(base) };
        function();
    });
    std::thread::sleep(Duration::from_millis(50));
    let detours = vec![Detour::new(base, returns_2 as *const () as usize)];
    let refused = redirect(&Windows, detours.clone());
    assert!(matches!(refused, Err(Error::Busy(_, address)) if address == base), "{refused:?}");
    // Let it out: the loop's jump becomes two NOPs. Then nothing is in the way any more.
    Windows.protect(base, 0x1000, Protection::EXECUTE_READ_WRITE).expect("writable");
    unsafe { ((base + 3) as *mut [u8; 2]).write_unaligned([0x90, 0x90]) };
    Windows.protect(base, 0x1000, Protection::EXECUTE_READ).expect("executable");
    entered.join().unwrap();
    redirect(&Windows, detours).expect("installed");
}

#[test]
fn slots_are_written_in_pages_of_every_kind_which_keep_their_protection() {
    for kind in [Protection::READ_ONLY, Protection::READ_WRITE, Protection::EXECUTE_READ] {
        let pages = Windows.allocate(None, 0x2000).expect("memory");
        Windows.protect(pages, 0x2000, kind).expect("protected");
        let mut slots = SlotWriter::new(&Windows);
        for address in [pages, pages + size_of::<usize>(), pages + 0xFF8, pages + 0x1000] {
            unsafe { slots.write(address, 7) }.expect("written");
            assert_eq!(unsafe { *(address as *const usize) }, 7);
        }
        drop(slots);
        for page in [pages, pages + 0x1000] {
            assert_eq!(protection(page), kind);
        }
        Windows.free(pages);
    }
}

#[test]
fn a_slot_whose_page_cannot_be_made_writable_keeps_its_value() {
    let page = Windows.allocate(None, 0x1000).expect("memory");
    Windows.protect(page, 0x1000, Protection::READ_ONLY).expect("protected");
    let refusing = Refusing::new(Windows, 0);
    let mut slots = SlotWriter::new(&refusing);
    assert_eq!(unsafe { slots.write(page, 7) }, Err(REFUSED));
    drop(slots);
    assert_eq!(unsafe { *(page as *const usize) }, 0);
    assert_eq!(protection(page), Protection::READ_ONLY);
    Windows.free(page);
}
