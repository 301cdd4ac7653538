//! Rust programs for the `-msvc` targets: with the crate `allograft` inside, and without it under
//! `allograft run`; with the C runtime as a DLL (`msvc`), and linked in (`msvc-static`).

use allograft_tests::{Comparison, Launch, Mode, Stage};

const DYNAMIC: &str = "msvc";
const LINKED_IN: &str = "msvc-static";

fn program(runtime: &str, name: &str) -> Launch<'static> {
    Stage::load().program(&format!("{runtime}/{name}"))
}

#[test]
fn a_rust_program_and_its_cpp_library_share_one_mimalloc() {
    for crt in Stage::load().microsoft_crts() {
        let run = program(DYNAMIC, "rust-and-cpp").on(crt).run();
        run.expect_code(0).expect_output(&[
            "functions of ucrtbase.dll, and the process's heap",
            "is there 3 times",
            "on mimalloc: Rust true, C++ true",
        ]);
    }
}

#[test]
fn a_cpp_library_with_its_runtime_linked_in_shares_it_too() {
    let run = program(LINKED_IN, "rust-and-cpp").run();
    run.expect_code(0).expect_output(&[
        "and the process's heap",
        "is there 3 times",
        "on mimalloc: Rust true, C++ true",
    ]);
}

#[test]
fn sqlite_gives_the_same_results_from_mimalloc() {
    let run = program(DYNAMIC, "rust-and-sqlite").run();
    run.expect_code(0).expect_output(&[
        "before: 20000 rows, 171132 letters, 5003 words; SQLite on mimalloc: false",
        "functions of ucrtbase.dll",
        "after: the same true; SQLite on mimalloc: true",
    ]);
}

#[test]
fn threads_may_panic_and_end_whenever_the_program_installs() {
    for runtime in [DYNAMIC, LINKED_IN] {
        for moment in ["early", "late", "together"] {
            let run = program(runtime, "rust-threads").arg(moment).run();
            run.expect_code(0).expect_output(&[
                "and the process's heap",
                "all threads ended and freed all: true",
                "Rust's default allocator on mimalloc: true",
            ]);
        }
    }
}

#[test]
fn a_program_that_may_not_install_says_so_and_runs() {
    let run = program(DYNAMIC, "rust-and-cpp").env("MIMALLOC_DISABLE_REDIRECT", "1").run();
    run.expect_code(0).expect_output(&[
        "disabled by MIMALLOC_DISABLE_REDIRECT",
        "on mimalloc: Rust true, C++ false",
    ]);
}

#[test]
fn a_program_with_the_crate_finds_the_module_of_the_launcher() {
    let run = program(DYNAMIC, "rust-and-cpp").mode(Mode::Early).run();
    run.expect_output(&["is in the process already"]).expect_taken_over();
}

#[test]
fn a_rust_program_without_the_crate_does_the_same_under_the_launcher() {
    for runtime in [DYNAMIC, LINKED_IN] {
        let launch = || program(runtime, "rust-collections");
        let comparison = Comparison { launch: &launch, file: None, any_order: false };
        let reports = comparison.expect_same(0, &[Mode::Early, Mode::Injected]);
        let heap = &reports[1].process_heap;
        assert!(heap.freed_blocks > 10_000 && heap.migrated_blocks > 0, "{runtime}: {heap:?}");
    }
}
