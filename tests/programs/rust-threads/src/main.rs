//! A Rust program that takes its own heaps over, at the moment that its argument names: `early`, as
//! the first thing in `main`; `late`, with threads that allocate and end all the time; `together`,
//! from several threads at once. Then its threads panic, unwind, and allocate in destructors of
//! their thread-local values. It exits with 0 if all that was as Rust promises.

use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

use allograft::Installation;

const THREADS: usize = 8;

static DROPPED: AtomicUsize = AtomicUsize::new(0);
static ENDED: AtomicUsize = AtomicUsize::new(0);

/// A block that counts when it is freed, and was not changed until then.
struct Counted(Vec<usize>);

impl Counted {
    fn new(seed: usize) -> Counted {
        Counted((seed..seed + 100 + seed % 900).collect())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let first = self.0[0];
        assert!(self.0.iter().copied().eq(first..first + self.0.len()));
        DROPPED.fetch_add(1, Ordering::Relaxed);
    }
}

/// Allocates while its thread ends.
struct AtEnd(HashMap<usize, String>);

impl Drop for AtEnd {
    fn drop(&mut self) {
        let total: usize = self.0.values().map(String::len).sum();
        let text = "at the end ".repeat(total.min(1000));
        if text.len() == 11 * total.min(1000) {
            ENDED.fetch_add(1, Ordering::Relaxed);
        }
    }
}

thread_local! {
    static AT_END: RefCell<AtEnd> = RefCell::new(AtEnd(HashMap::new()));
}

/// What a thread does: it fills maps, panics with blocks alive, and goes on.
fn work(seed: usize) {
    AT_END.with_borrow_mut(|at_end| {
        at_end.0.extend((0..50).map(|number| (number, "x".repeat(number + seed % 7))));
    });
    for round in 0..20 {
        let kept = Counted::new(seed + round);
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let _dropped_by_unwinding = [Counted::new(round), Counted::new(seed)];
            resume_unwind(Box::new(format!("round {round} of {seed}")));
        }));
        let payload = caught.expect_err("it panics");
        let text = payload.downcast_ref::<String>().expect("with a text");
        assert_eq!(*text, format!("round {round} of {seed}"));
        drop(kept);
    }
}

/// Starts threads that end at once, until it is told to stop; then says how many there were.
fn churn(stop: &AtomicBool) -> usize {
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) || count == 0 {
        thread::spawn(move || work(count)).join().expect("no assertion fails");
        count += 1;
    }
    count
}

fn install_late() -> (Result<Installation, allograft::Error>, usize) {
    let stop = Arc::new(AtomicBool::new(false));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || churn(&stop))
        })
        .collect();
    while ENDED.load(Ordering::Relaxed) < 10 {
        thread::yield_now();
    }
    let installed = allograft::install();
    let then = ENDED.load(Ordering::Relaxed);
    while ENDED.load(Ordering::Relaxed) < then + 10 {
        thread::yield_now();
    }
    stop.store(true, Ordering::Relaxed);
    (installed, threads.into_iter().map(|thread| thread.join().expect("no panic")).sum())
}

fn install_together() -> Result<Installation, allograft::Error> {
    let barrier = Arc::new(Barrier::new(THREADS));
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let barrier = Arc::clone(&barrier);
            thread::spawn(move || {
                barrier.wait();
                allograft::install()
            })
        })
        .collect();
    let mut results: Vec<_> =
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect();
    let first = results.pop().expect("there are threads");
    assert!(results.iter().all(|result| *result == first), "all see one result");
    first
}

fn main() -> ExitCode {
    let moment = std::env::args().nth(1).unwrap_or_default();
    let (installed, mut expected) = match moment.as_str() {
        "early" => (allograft::install(), 0),
        "late" => install_late(),
        "together" => (install_together(), 0),
        _ => {
            eprintln!("the moment is early, late or together");
            return ExitCode::FAILURE;
        }
    };
    match &installed {
        Ok(report) => println!("{report}"),
        Err(error) => {
            println!("not taken over: {error}");
            return ExitCode::FAILURE;
        }
    }
    let threads: Vec<_> = (0..THREADS).map(|seed| thread::spawn(move || work(seed))).collect();
    for thread in threads {
        thread.join().expect("no assertion fails");
    }
    expected += THREADS;
    let (ended, dropped) = (ENDED.load(Ordering::Relaxed), DROPPED.load(Ordering::Relaxed));
    let boxed = Box::new(1u8);
    let owned = allograft::owns(&raw const *boxed);
    let all = ended == expected && dropped == expected * 60 && owned;
    println!("all threads ended and freed all: {}", ended == expected && dropped == expected * 60);
    println!("Rust's default allocator on mimalloc: {owned}");
    if all { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
