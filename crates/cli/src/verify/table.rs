//! The checks, in the order in which they are run.

use super::check::Check;
use super::checks::{early, exits, security, storms, surroundings};

/// A name for each, for `--only`.
pub const CHECKS: &[Check] = &[
    Check {
        name: "early",
        title: "the module comes before the program's own code, after the runtime's start",
        programs: &["early.exe"],
        run: early::run,
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
