//! The checks, in the order in which they are run.

use super::check::Check;
use super::checks::{children, conformance, early, patch, proxy, scan};

pub const CHECKS: &[Check] = &[
    Check {
        name: "scan",
        title: "no C runtime that is installed can give a block of mimalloc's to the system's heap",
        programs: &[],
        run: scan::run,
    },
    Check {
        name: "early",
        title: "the module comes before the program's own code, and its runtime's first blocks live on",
        programs: &["early.exe"],
        run: early::run,
    },
    Check {
        name: "conformance",
        title: "random calls of the Universal CRT and the heap API answer as without mimalloc",
        programs: &["conformance.exe", "conformance_heap.exe", "runtime_maker.exe"],
        run: conformance::run,
    },
    Check {
        name: "old-runtimes",
        title: "random calls of msvcrt and each msvcr* answer as without mimalloc",
        programs: &["conformance.exe", "runtime_maker.exe"],
        run: conformance::run_older,
    },
    Check {
        name: "patch",
        title: "patched programs come up on mimalloc, or are refused, whatever DependentLoadFlags say",
        programs: &["patched.exe"],
        run: patch::run,
    },
    Check {
        name: "proxy",
        title: "each proxy is loaded beside a program, brings the module, and passes calls on",
        programs: &["stand_in.exe", "proxied.exe"],
        run: proxy::run,
    },
    Check {
        name: "children",
        title: "programs that a program starts are on mimalloc, of either bitness",
        programs: &["family.exe"],
        run: children::run,
    },
];
