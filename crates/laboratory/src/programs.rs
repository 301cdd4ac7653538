//! The test programs that come with the distribution.

/// The folder beside the launcher that has a folder of programs for each machine.
pub const PROGRAM_FOLDER: &str = "verify";

/// The files in each of them.
pub const PROGRAMS: &[&str] = &[
    "conformance.exe",
    "conformance_heap.exe",
    "early.exe",
    "exit_paths.exe",
    "family.exe",
    "foreign_modules.exe",
    "heap_exit_paths.exe",
    "heap_storm.exe",
    "heap_user.dll",
    "hooked_storm.exe",
    "library_storm.exe",
    "patched.exe",
    "proxied.exe",
    "runtime_maker.exe",
    "runtime_user.dll",
    "security_hooks.dll",
    "stand_in.exe",
    "storm.exe",
    "surroundings.exe",
];
