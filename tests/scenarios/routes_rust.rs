//! The crate `allograft`: a Rust program with a C++ library inside (`examples/rust-and-cpp`).

use allograft_tests::Stage;

#[test]
fn a_rust_program_and_its_cpp_library_share_one_mimalloc() {
    let stage = Stage::load();
    for crt in stage.microsoft_crts() {
        let run = stage.program("rust-and-cpp").on(crt).run();
        run.expect_code(0);
        for words in
            ["functions of msvcrt.dll", "is there 3 times", "on mimalloc: Rust true, C++ true"]
        {
            assert!(run.stdout.contains(words), "{words:?} is not there\n{run}");
        }
    }
}

#[test]
fn a_rust_program_that_may_not_install_says_so_and_runs() {
    let run = Stage::load().program("rust-and-cpp").env("MIMALLOC_DISABLE_REDIRECT", "1").run();
    run.expect_code(0);
    assert!(run.stdout.contains("disabled by MIMALLOC_DISABLE_REDIRECT"), "{run}");
    assert!(run.stdout.contains("on mimalloc: Rust true, C++ false"), "{run}");
}

#[test]
fn a_rust_program_under_the_launcher_is_told_that_the_module_is_there() {
    use allograft_tests::Mode;
    let run = Stage::load().program("rust-and-cpp").mode(Mode::Early).run();
    assert!(run.stdout.contains("is in the process already"), "{run}");
    run.expect_taken_over();
}
