//! The process's heap on each route into a program whose C runtime is linked in, and what the
//! launcher says of it. The crate for Rust programs has tests of its own.

use std::path::Path;

use allograft_tests::inputs::folder_with;
use allograft_tests::{Launch, Mode, ProgramRun, Stage};
use serde_json::Value;

/// Programs with a C runtime that is linked in, on the process's heap and on a heap of its own.
const PROGRAMS: [&str; 2] = ["linked_runtime", "linked_runtime_own_heap"];

fn program_in(folder: &Path, name: &str) -> Launch<'static> {
    Launch::new(Stage::load(), folder.join(name).with_extension("exe")).report_by_variable()
}

#[track_caller]
fn expect_served(run: &ProgramRun) {
    run.expect_code(0).expect_transcript("passed\n");
    let report = run.expect_taken_over();
    let heap = &report.process_heap;
    assert!(heap.is_served() && heap.slots_freeing > 0 && heap.exports > 0, "{report:?}\n{run}");
}

/// What the launcher prints to those who ask for it, with `text` or with `injection`.
fn status(arguments: &[&str]) -> ProgramRun {
    Stage::load().launcher().arg("status").args(arguments).run()
}

#[test]
fn the_launcher_has_a_linked_in_runtime_served_and_says_so() {
    let stage = Stage::load();
    for name in PROGRAMS {
        let early = stage.program(name).mode(Mode::Early).run();
        expect_served(&early);
        assert_eq!(early.stderr, "", "{early}");
        let injected = stage.program(name).mode(Mode::Injected).run();
        expect_served(&injected);
        let heap = &injected.report.as_ref().unwrap().process_heap;
        assert!(heap.migrated_blocks > 0 && heap.freed_blocks > 0, "{heap:?}");
        let injection = injected.injection.as_ref().unwrap();
        injection.expect_output(&["took over", "the process's heap (for the program)"]);
    }
}

#[test]
fn the_status_shows_what_was_redirected() {
    let run = Stage::load().program("linked_runtime").mode(Mode::Injected).run_meeting(|id| {
        let id = id.to_string();
        let words = ["on mimalloc", "the process's, for the program", "import slot", "exports"];
        status(&["--pid", &id]).expect_code(0).expect_output(&words);
        let json = status(&["--pid", &id, "--json"]);
        json.expect_code(0);
        let figures: Value = serde_json::from_str(&json.stdout).expect("JSON");
        let heap = &figures["process_heap"];
        assert_eq!((&figures["state"], &heap["state"]), (&"active".into(), &"program".into()));
        let count = |name: &str| heap[name].as_u64().expect(name);
        assert!(count("slots_allocating") >= 1 && count("slots_freeing") > 4, "{heap}");
        assert!(count("modules") > 1 && count("exports") > 4, "{heap}");
    });
    expect_served(&run);
}

#[test]
fn a_program_whose_heap_is_to_be_left_alone_runs_as_before_and_the_launcher_says_so() {
    let stage = Stage::load();
    let launch = stage.program("linked_runtime").mode(Mode::Early);
    let run = launch.launcher_option("--heap").launcher_option("off").run();
    run.expect_code(0).expect_transcript("passed\n");
    assert!(run.stderr.contains("its own heap: ") && run.stderr.contains("--heap off"), "{run}");
    let report = run.report.as_ref().unwrap();
    assert_eq!(report.process_heap.state, "off", "{run}");
}

#[test]
fn the_launchers_heap_goes_before_the_environments() {
    let launch = Stage::load().program("linked_runtime").mode(Mode::Early);
    let launch = launch.env("ALLOGRAFT_HEAP", "off").launcher_option("--heap");
    let run = launch.launcher_option("all").run();
    expect_served(&run);
    assert_eq!(run.report.as_ref().unwrap().process_heap.state, "all");
}

#[test]
fn a_word_that_is_no_scope_is_reported_and_counts_as_not_set() {
    let launch = Stage::load().program("linked_runtime").mode(Mode::Early);
    let run = launch.env("ALLOGRAFT_HEAP", "everything").run();
    expect_served(&run);
    let report = run.report.as_ref().unwrap();
    assert!(report.message.contains("ALLOGRAFT_HEAP is \"everything\""), "{report:?}");
    let launch = Stage::load().launcher().args(&["run", "--heap", "everything", "--"]);
    launch.arg("game.exe").run().expect_code(125).expect_error_line(&["everything", "--heap"]);
}

#[test]
fn children_get_the_settings_of_the_heap_too() {
    let stage = Stage::load();
    let folder = tempfile::tempdir().unwrap();
    let run = stage
        .launcher()
        .args(&["run", "--follow-children", "--heap", "off", "--exact-sizes", "--report"])
        .path_arg(&folder.path().join("report.json"))
        .arg("--")
        .path_arg(&stage.programs.join("family.exe"))
        .arg("1")
        .run();
    run.expect_code(0);
    let mut reports = 0;
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let report: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(report["process_heap"]["state"], "off", "{text}");
        assert_eq!(report["exact_sizes"], true, "{text}");
        reports += 1;
    }
    assert_eq!(reports, 1 + 3);
}

#[test]
fn a_patched_program_is_served() {
    let stage = Stage::load();
    for name in PROGRAMS {
        let module = stage.bin.join(stage.target.module());
        let folder = folder_with(&[stage.programs.join(name).with_extension("exe"), module]);
        let program = folder.path().join(name).with_extension("exe");
        stage.launcher().args(&["patch", "--inplace"]).path_arg(&program).run().expect_code(0);
        expect_served(&program_in(folder.path(), name).run());
        // As the output of `patch` says, the settings are in the file beside the module.
        let settings = "[allograft]\r\nheap = off\r\n";
        std::fs::write(folder.path().join("allograft.ini"), settings).unwrap();
        let run = program_in(folder.path(), name).run();
        run.expect_code(0).expect_transcript("passed\n");
        assert_eq!(run.report.as_ref().unwrap().process_heap.state, "off", "{run}");
    }
}

#[test]
fn a_program_beside_a_proxy_is_served() {
    let stage = Stage::load();
    let folder = folder_with(&[stage.programs.join("proxied_heap.exe")]);
    let proxy = stage.launcher().args(&["proxy", "--as", "version.dll", "--into"]);
    proxy.path_arg(folder.path()).run().expect_code(0);
    expect_served(&program_in(folder.path(), "proxied_heap").native("version").run());
}

#[test]
fn a_program_that_links_with_mimalloc_is_served() {
    expect_served(&Stage::load().program("linked_heap").report_by_variable().run());
}

#[test]
fn a_program_with_an_unmodified_mimalloc_and_our_redirection_is_served() {
    let stage = Stage::load();
    for kit in ["redirected", "redirected-raw"] {
        let kit = stage.developer_files().join(kit);
        let folder = folder_with(&[
            stage.programs.join("linked_heap.exe"),
            kit.join("mimalloc.dll"),
            kit.join(stage.target.redirection_module),
        ]);
        expect_served(&program_in(folder.path(), "linked_heap").run());
    }
}
