//! The heap of the process: whose calls of `HeapAlloc` mimalloc serves, and blocks of the C runtime
//! that come to the functions of the system's heap.

use allograft_tests::{Mode, Stage};

const TAKEOVERS: [Mode; 2] = [Mode::Early, Mode::Injected];

/// Runs `heap_scope`, which checks that `expected` is who is served, with the setting.
fn check_scope(modes: &[Mode], expected: &str, setting: Option<&str>) {
    let stage = Stage::load();
    for &mode in modes {
        let mut launch = stage.program("heap_scope").mode(mode).arg(expected);
        if let Some(setting) = setting {
            launch = launch.env("ALLOGRAFT_HEAP", setting);
        }
        launch.run().expect_code(0).expect_taken_over();
    }
}

#[test]
fn blocks_of_malloc_can_be_given_to_the_functions_of_the_systems_heap() {
    let stage = Stage::load();
    for crt in stage.microsoft_crts() {
        for mode in [Mode::Plain, Mode::Early, Mode::Injected] {
            stage.program("heap_handed_over").on(crt).mode(mode).run().expect_code(0);
        }
    }
}

#[test]
fn a_program_that_imports_the_heap_api_is_served_and_its_dlls_are_not() {
    check_scope(&TAKEOVERS, "program", None);
    check_scope(&TAKEOVERS, "program", Some("program"));
}

#[test]
fn all_modules_but_the_systems_are_served_if_the_user_says_so() {
    check_scope(&TAKEOVERS, "all", Some("all"));
}

#[test]
fn the_heap_is_left_alone_if_the_user_says_so() {
    check_scope(&TAKEOVERS, "untouched", Some("off"));
    let stage = Stage::load();
    for mode in TAKEOVERS {
        let launch = stage.program("heap_scope").mode(mode).arg("untouched");
        launch.env("ALLOGRAFT_IMPORTS", "0").run().expect_code(0).expect_taken_over();
    }
}

#[test]
fn a_heap_that_the_system_checks_is_left_alone() {
    check_scope(&[Mode::Injected], "flags", None);
}

#[test]
fn a_program_whose_heap_functions_another_tool_has_redirected_is_not_served() {
    check_scope(&[Mode::Injected], "hook", None);
    check_scope(&[Mode::Injected], "hook", Some("program"));
}

#[test]
fn the_import_table_of_a_protected_program_stays_as_it_is() {
    let stage = Stage::load();
    for mode in TAKEOVERS {
        stage.program("heap_protected").mode(mode).run().expect_code(0).expect_taken_over();
    }
}
