//! `mimalloc-redirect.dll`, `mimalloc-redirect32.dll` for 32-bit programs: the takeover for
//! programs with an unmodified `mimalloc.dll`.

use std::path::Path;

use allograft_tests::{Launch, Stage, inputs};
use tempfile::TempDir;

/// The folders of the stage with an unmodified mimalloc, as its own build has it by default and
/// with other options.
const KITS: [&str; 2] = ["redirected", "redirected-raw"];

/// A folder with the program, mimalloc as its makers build it, and our redirection module.
fn folder_with(program: &str) -> TempDir {
    folder_of_kit(KITS[0], program)
}

fn folder_of_kit(kit: &str, program: &str) -> TempDir {
    let stage = Stage::load();
    let kit = stage.developer_files().join(kit);
    inputs::folder_with(&[
        stage.programs.join(program).with_extension("exe"),
        kit.join("mimalloc.dll"),
        kit.join(stage.target.redirection_module),
    ])
}

fn launch(folder: &Path, program: &str) -> Launch<'static> {
    Launch::new(Stage::load(), folder.join(program).with_extension("exe"))
}

#[test]
fn a_mimalloc_that_is_loaded_late_has_the_heap_redirected_and_old_blocks_moved() {
    let stage = Stage::load();
    for kit in KITS {
        let folder = folder_of_kit(kit, "redirected");
        for crt in stage.microsoft_crts() {
            let launch = launch(folder.path(), "redirected").on(crt).arg("late");
            let run = launch.report_by_variable().run();
            let report = run.expect_code(0).expect_transcript("passed\n").expect_taken_over();
            assert!(report.foreign.migrated_blocks >= 500, "{report:?}\n{run}");
        }
    }
}

/// A `mimalloc.dll` beside it, which is not loaded, must not be taken for it either.
#[test]
fn a_mimalloc_of_another_name_is_the_one_whose_heap_is_used() {
    const NAME: &str = "mimalloc-secure.dll";
    let folder = folder_with("redirected");
    std::fs::copy(folder.path().join("mimalloc.dll"), folder.path().join(NAME)).unwrap();
    let run = launch(folder.path(), "redirected").args(&["late", NAME]).report_by_variable().run();
    let report = run.expect_code(0).expect_transcript("passed\n").expect_taken_over();
    assert!(report.foreign.migrated_blocks >= 500, "{report:?}\n{run}");
}

#[test]
fn the_redirection_can_be_switched_off_and_on_while_blocks_of_both_heaps_live() {
    let stage = Stage::load();
    let folder = folder_with("redirected");
    for crt in stage.microsoft_crts() {
        let run = launch(folder.path(), "redirected").on(crt).arg("switched").run();
        run.expect_code(0).expect_transcript("passed\n");
    }
}

#[test]
fn forcing_the_redirection_is_allowed_and_changes_nothing() {
    let folder = folder_with("redirected");
    let run =
        launch(folder.path(), "redirected").arg("late").env("MIMALLOC_FORCE_REDIRECT", "1").run();
    run.expect_code(0).expect_transcript("passed\n");
}

#[test]
fn a_program_that_imports_mimalloc_comes_up_redirected() {
    let stage = Stage::load();
    for kit in KITS {
        let folder = folder_of_kit(kit, "linked_new");
        for crt in stage.microsoft_crts() {
            let run = launch(folder.path(), "linked_new").on(crt).run();
            run.expect_code(0).expect_transcript("passed\n");
        }
    }
}

#[test]
fn a_disabled_redirection_leaves_the_program_on_its_own_heap() {
    let folder = folder_with("redirected");
    let run = launch(folder.path(), "redirected")
        .arg("untouched")
        .env("MIMALLOC_DISABLE_REDIRECT", "1")
        .run();
    run.expect_code(0).expect_transcript("passed\n");
}

#[test]
fn verbose_mimalloc_prints_what_the_module_says() {
    let folder = folder_with("redirected");
    let run = launch(folder.path(), "redirected").arg("late").env("MIMALLOC_VERBOSE", "1").run();
    run.expect_code(0);
    assert!(run.stderr.contains("heap is redirected to mimalloc"), "{run}");
}
