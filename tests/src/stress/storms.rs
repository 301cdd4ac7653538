//! The table of storms.

use super::attempt::Attempt;
use super::results::TakeoverFigures;
use super::{ending, moments, system};

/// One situation that a takeover must survive.
pub struct Storm {
    /// Its name, for the command line and the table.
    pub name: &'static str,
    /// The situation, in words.
    pub about: &'static str,
    /// How many runs the short form has.
    pub short_runs: u32,
    /// Only Microsoft's C runtimes have what it is about.
    pub(super) microsoft_only: bool,
    /// Only 64-bit programs have what it is about.
    pub(super) x64_only: bool,
    pub(super) act: fn(&Attempt) -> Result<TakeoverFigures, String>,
}

const fn storm(
    name: &'static str,
    about: &'static str,
    short_runs: u32,
    act: fn(&Attempt) -> Result<TakeoverFigures, String>,
) -> Storm {
    Storm { name, about, short_runs, microsoft_only: false, x64_only: false, act }
}

/// All storms.
pub const STORMS: &[Storm] = &[
    storm(
        "load",
        "injected at a random moment into threads that allocate, hand blocks over, start and end",
        24,
        |attempt| moments::under_load(attempt, "storm"),
    ),
    storm(
        "heap-load",
        "the same with a runtime that is linked in, and with DLLs that come and go",
        12,
        |attempt| moments::under_load(attempt, "heap_storm"),
    ),
    storm(
        "together",
        "two injections at once, one of a copy of another name, and one more later",
        6,
        moments::together,
    ),
    // What is done while a thread is suspended must not need a lock that it holds.
    storm("heap-lock", "a thread holds the heap's lock", 6, |attempt| {
        attempt.inject_into("locks", &["heap"])
    }),
    storm(
        "loader-lock",
        "a thread holds the loader's lock: a DLL's initialiser sleeps",
        6,
        |attempt| attempt.inject_into("locks", &["loader"]),
    ),
    storm("stream-lock", "a thread holds the lock of a stream of the C runtime", 4, |attempt| {
        attempt.inject_into("locks", &["stream"])
    }),
    storm("exits", "the program ends in every way while its threads are busy", 24, |attempt| {
        ending::exits(attempt, "exit_paths")
    }),
    storm("exit-race", "the program ends while the module is being injected", 16, |attempt| {
        ending::race(attempt, "exit_paths")
    }),
    storm(
        "heap-exits",
        "the program ends in every way, with a runtime that is linked in",
        8,
        |attempt| ending::exits(attempt, "heap_exit_paths"),
    ),
    storm("heap-exit-race", "the same while the module is being injected", 8, |attempt| {
        ending::race(attempt, "heap_exit_paths")
    }),
    storm(
        "thread-churn",
        "threads start and end by the thousand, and memory stays",
        2,
        system::thread_churn,
    ),
    storm("stays", "the program frees the module again and again", 2, |attempt| {
        attempt.inject_into("stays", &[])
    }),
    storm(
        "fibers-and-pool",
        "fibers on several threads and work items of the thread pool allocate across the takeover",
        4,
        |attempt| attempt.inject_into("fibers_and_pool", &[]),
    ),
    Storm {
        // Wine's own C runtime has no new handler, and returns NULL without an errno.
        microsoft_only: true,
        ..storm("out-of-memory", "memory runs out after the takeover", 2, system::out_of_memory)
    },
    storm(
        "no-memory-to-attach",
        "memory has run out when the module comes",
        2,
        system::no_memory_to_attach,
    ),
    Storm {
        microsoft_only: true,
        // The test programs' 32-bit C++ unwinds by tables, which the untouched 32-bit C runtime
        // does not support either.
        x64_only: true,
        ..storm(
            "unwinding",
            "an exception and a stack walk go through a replaced function",
            2,
            |attempt| attempt.inject_into("unwinding", &[]),
        )
    },
    storm("foreign-hook", "another tool has redirected malloc before", 2, system::foreign_hook),
];
