//! The crate `allograft`: a Rust program with a C++ library inside (`examples/rust-and-cpp`).

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
