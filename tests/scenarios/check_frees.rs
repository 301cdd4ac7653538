//! `--check-frees`: mimalloc's own checks find mistakes of a program's, and disturb no other.

use allograft_tests::{Mode, ProgramRun, Stage};

fn run(mistake: &str, checked: bool) -> ProgramRun {
    let launch = Stage::load().program("double_free").mode(Mode::Early).arg(mistake);
    let launch = if checked { launch.launcher_option("--check-frees") } else { launch };
    launch.run()
}

#[test]
fn a_block_that_is_freed_twice_is_named_and_the_program_goes_on() {
    let found = run("twice", true);
    found.expect_code(0).expect_transcript("passed\n");
    let report = found.expect_taken_over();
    assert_eq!(report.mistakes, Some(1), "{found}");
    let lines: Vec<_> = found.stderr.lines().filter(|line| !line.is_empty()).collect();
    let is_it = |line: &str| line.starts_with("allograft: mimalloc: double free detected of block");
    assert!(matches!(*lines, [line] if is_it(line)), "{found}");
}

#[test]
fn a_byte_too_many_is_found_when_the_block_is_freed() {
    let found = run("overrun", true);
    found.expect_code(0).expect_transcript("passed\n");
    assert_eq!(found.expect_taken_over().mistakes, Some(1), "{found}");
    assert!(found.stderr.contains("mimalloc: buffer overflow in theap block"), "{found}");
}

#[test]
fn programs_without_mistakes_run_as_ever() {
    let stage = Stage::load();
    for crt in stage.microsoft_crts() {
        for name in ["blocks", "families", "containers"] {
            let checked = stage.program(name).on(crt).mode(Mode::Early);
            let run = checked.launcher_option("--check-frees").run();
            run.expect_code(0);
            assert_eq!(run.expect_taken_over().mistakes, Some(0), "{run}");
            assert!(!run.stderr.contains("mimalloc:"), "{run}");
        }
    }
    run("right", true).expect_code(0).expect_transcript("passed\n");
}

#[test]
fn without_it_nothing_is_checked() {
    let unchecked = run("right", false);
    unchecked.expect_code(0).expect_transcript("passed\n");
    assert_eq!(unchecked.expect_taken_over().mistakes, None, "{unchecked}");
}
