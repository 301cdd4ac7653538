//! What is freed while the process ends, in a process of its own.
#![cfg(windows)]
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "the functions under test are malloc and free, called as the C standard allows"
)]

use std::env;
use std::ffi::{c_uint, c_void};
use std::process::Command;
use std::ptr::{self, null_mut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use allograft_heap::{ColdPaths, entries};
use windows_sys::Win32::System::Threading::{
    FlsAlloc, FlsSetValue, GetCurrentProcess, TerminateProcess,
};

const CHILD: &str = "ALLOGRAFT_TEST_CHILD";

/// Exit codes of the child: the block was as it was, or was not.
const LEFT_ALONE: i32 = 41;
const CHANGED: i32 = 42;

const SIZE: usize = 100;
const CONTENT: u8 = 0xEE;

/// The block that the child frees at its end.
static BLOCK: AtomicUsize = AtomicUsize::new(0);

extern "C" fn allocate(_: usize, _: bool, _: c_uint) -> *mut c_void {
    null_mut()
}
unsafe extern "C" fn reallocate(_: *mut c_void, _: usize, _: c_uint) -> *mut c_void {
    null_mut()
}
unsafe extern "C" fn release(_: *mut c_void, _: c_uint) {}
unsafe extern "C" fn usable_size(_: *mut c_void, _: c_uint) -> usize {
    0
}
extern "C" fn allocate_aligned(_: usize, _: usize, _: c_uint) -> *mut c_void {
    null_mut()
}

/// Called when the process ends and its other threads are gone.
unsafe extern "system" fn end(_: *const c_void) {
    let block = BLOCK.load(Ordering::Relaxed) as *mut u8;
    if allograft_heap::process_ends() {
        unsafe {
            (entries(0, false).free)(block.cast());
            let same = (0..SIZE).all(|at| block.add(at).read_volatile() == CONTENT);
            let code = if same { LEFT_ALONE } else { CHANGED };
            TerminateProcess(GetCurrentProcess(), code as u32);
        }
    }
}

/// Allocates a block in a thread that ends, whose page nobody owns then, and ends with it.
fn be_the_child(leaves_page_abandoned: bool) {
    assert!(allograft_heap::start(&ColdPaths {
        allocate,
        reallocate,
        release,
        usable_size,
        allocate_aligned,
        release_aligned: release,
    }));
    let make = || unsafe {
        let block = (entries(0, false).malloc)(SIZE).cast::<u8>();
        block.write_bytes(CONTENT, SIZE);
        BLOCK.store(block as usize, Ordering::Relaxed);
    };
    if leaves_page_abandoned {
        let maker = thread::spawn(move || {
            make();
            allograft_heap::thread_done();
        });
        maker.join().unwrap();
    } else {
        make();
    }
    // The system calls the function for the values that the ending thread has.
    unsafe { FlsSetValue(FlsAlloc(Some(end)), ptr::dangling()) };
    std::process::exit(0);
}

fn code_of_child(what: &str) -> Option<i32> {
    let mut child = Command::new(env::current_exe().unwrap());
    let child = child.args(["--exact", "a_process_ends", "--nocapture"]).env(CHILD, what);
    child.status().unwrap().code()
}

/// The child of the tests below; passes by itself.
#[test]
fn a_process_ends() {
    if let Ok(what) = env::var(CHILD) {
        be_the_child(what == "abandoned");
    }
}

/// A thread that was killed may have claimed the page in the arena's map: mimalloc would wait for
/// it.
#[test]
fn a_block_in_a_page_that_nobody_owns_is_left_alone() {
    assert_eq!(code_of_child("abandoned"), Some(LEFT_ALONE));
}

/// It needs no lock, and its page may be needed again.
#[test]
fn a_block_of_the_ending_thread_is_freed() {
    assert_eq!(code_of_child("own"), Some(CHANGED));
}
