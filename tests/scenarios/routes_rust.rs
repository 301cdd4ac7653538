//! The crate `allograft`: Rust programs with a library in C++ inside (`examples/rust-and-cpp`), and
//! with one in C (`examples/rust-and-sqlite`). Those of Rust's `-msvc` targets are in
//! `routes_msvc.rs`.

use allograft_tests::{Mode, Stage};

#[test]
fn a_rust_program_and_its_cpp_library_share_one_mimalloc() {
    let stage = Stage::load();
    for crt in stage.microsoft_crts() {
        let run = stage.program("rust-and-cpp").on(crt).run();
        run.expect_code(0).expect_output(&[
            "functions of msvcrt.dll",
            "is there 3 times",
            "on mimalloc: Rust true, C++ true",
        ]);
    }
}

#[test]
fn a_rust_program_that_may_not_install_says_so_and_runs() {
    let run = Stage::load().program("rust-and-cpp").env("MIMALLOC_DISABLE_REDIRECT", "1").run();
    run.expect_code(0).expect_output(&[
        "disabled by MIMALLOC_DISABLE_REDIRECT",
        "on mimalloc: Rust true, C++ false",
    ]);
}

#[test]
fn a_rust_program_under_the_launcher_finds_that_the_module_is_there() {
    let run = Stage::load().program("rust-and-cpp").mode(Mode::Early).run();
    run.expect_output(&["is in the process already"]).expect_taken_over();
}

#[test]
fn sqlite_gives_the_same_results_from_mimalloc() {
    let run = Stage::load().program("rust-and-sqlite").run();
    run.expect_code(0).expect_output(&[
        "before: 20000 rows, 171132 letters, 5003 words; SQLite on mimalloc: false",
        "functions of msvcrt.dll",
        "after: the same true; SQLite on mimalloc: true",
    ]);
}
