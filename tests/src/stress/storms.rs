//! The table of storms.

use super::attempt::Attempt;
use super::outcome::Figures;
use super::{ending, locks, moments, system};

/// One situation that a takeover must survive.
pub struct Storm {
    /// Its name, for the command line and the table.
    pub name: &'static str,
    /// What it is, in words.
    pub about: &'static str,
    /// How many runs the short form has.
    pub short_runs: u32,
    /// Only Microsoft's C runtimes have what it is about.
    pub(super) microsoft_only: bool,
    /// Only 64-bit programs have what it is about.
    pub(super) x64_only: bool,
    pub(super) act: fn(&Attempt) -> Result<Figures, String>,
}

const fn storm(
    name: &'static str,
    about: &'static str,
    short_runs: u32,
    act: fn(&Attempt) -> Result<Figures, String>,
) -> Storm {
    Storm { name, about, short_runs, microsoft_only: false, x64_only: false, act }
}

impl Storm {
    const fn on_microsofts_only(mut self) -> Storm {
        self.microsoft_only = true;
        self
    }

    const fn in_64_bits_only(mut self) -> Storm {
        self.x64_only = true;
        self
    }
}

/// All storms.
pub const STORMS: &[Storm] = &[
    storm(
        "load",
        "injected at a random moment into threads that allocate, hand blocks over, start and end",
        24,
        moments::under_load,
    ),
    storm(
        "together",
        "two injections at once, one of a copy of another name, and one more later",
        6,
        moments::together,
    ),
    storm("heap-lock", "a thread holds the heap's lock", 6, locks::heap),
    storm(
        "loader-lock",
        "a thread holds the loader's lock: a DLL's initialiser sleeps",
        6,
        locks::loader,
    ),
    storm("stream-lock", "a thread holds the lock of a stream of the C runtime", 4, locks::stream),
    storm("exits", "the program ends in every way while its threads are busy", 24, ending::exits),
    storm("exit-race", "the program ends while the module is being injected", 16, ending::race),
    storm(
        "thread-churn",
        "threads start and end by the thousand, and memory stays",
        2,
        system::thread_churn,
    ),
    storm("stays", "the program frees the module again and again", 2, system::stays),
    storm(
        "fibers-and-pool",
        "fibers on several threads and work items of the thread pool allocate across the takeover",
        4,
        system::fibers_and_pool,
    ),
    storm("out-of-memory", "memory runs out after the takeover", 2, system::out_of_memory)
        // Wine's own C runtime has no new handler, and returns NULL without an errno.
        .on_microsofts_only(),
    storm(
        "no-memory-to-attach",
        "memory has run out when the module comes",
        2,
        system::no_memory_to_attach,
    ),
    storm(
        "unwinding",
        "an exception and a stack walk go through a replaced function",
        2,
        system::unwinding,
    )
    .on_microsofts_only()
    // The test programs' 32-bit C++ unwinds by tables, of which the untouched C runtime has none
    // either.
    .in_64_bits_only(),
    storm("foreign-hook", "another tool has redirected malloc before", 2, system::foreign_hook),
];
