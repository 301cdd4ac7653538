//! The checks, in the order in which they are run.

use super::check::Check;
use super::checks::{
    children, conformance, early, exits, patch, proxy, scan, security, storms, surroundings,
};

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
        name: "storms",
        title: "busy threads keep all their blocks when the module comes",
        programs: &["storm.exe", "heap_storm.exe", "heap_user.dll"],
        run: storms::injected,
    },
    Check {
        name: "hooks",
        title: "the same where functions of the system are hooked, as security software does",
        programs: &["hooked_storm.exe", "security_hooks.dll"],
        run: storms::hooked,
    },
    Check {
        name: "policies",
        title: "programs that the system restricts are taken over, or the launcher says why not",
        programs: &["surroundings.exe"],
        run: surroundings::policies,
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
    Check {
        name: "exits",
        title: "programs end as without allograft, also while the module comes",
        programs: &["exit_paths.exe", "heap_exit_paths.exe"],
        run: exits::run,
    },
    Check {
        name: "libraries",
        title: "threads load and free DLLs that use the C runtime while the module comes",
        programs: &["library_storm.exe", "runtime_user.dll"],
        run: storms::libraries,
    },
    Check {
        name: "sandboxes",
        title: "programs with fewer or more rights are taken over, or the launcher says why not",
        programs: &["surroundings.exe"],
        run: surroundings::sandboxes,
    },
    Check {
        name: "security",
        title: "no security software has blocked a step of the checks before this one",
        programs: &["foreign_modules.exe"],
        run: security::run,
    },
];
