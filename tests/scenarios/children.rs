//! `--follow-children`: programs that the program starts are on mimalloc from the start, or left
//! alone.

use allograft_tests::{Launch, Mode, ProgramRun, Stage};

/// A program that starts children in three ways, each of which does the same.
fn family(mode: Mode) -> Launch<'static> {
    Stage::load().program("family").mode(mode).arg("2")
}

const CHILDREN_AND_GRANDCHILDREN: usize = 3 + 9;

#[track_caller]
fn expect(run: &ProgramRun, heap: &str) {
    run.expect_code(0);
    run.expect_taken_over();
    let lines = run.stdout.lines().filter(|line| !line.starts_with("parent"));
    let on_it = lines.filter(|line| line.ends_with(heap)).count();
    assert_eq!(on_it, CHILDREN_AND_GRANDCHILDREN, "{run}");
}

#[test]
fn children_and_their_children_are_followed_on_every_runtime() {
    for crt in Stage::load().crts() {
        for mode in [Mode::Early, Mode::Injected] {
            let launch = family(mode).on(crt);
            expect(&launch.launcher_option("--follow-children").run(), "on mimalloc");
        }
    }
}

#[test]
fn the_environment_can_ask_for_it_too() {
    let launch = family(Mode::Early).env("ALLOGRAFT_FOLLOW_CHILDREN", "1");
    expect(&launch.run(), "on mimalloc");
}

#[test]
fn children_are_left_alone_if_nobody_asks() {
    expect(&family(Mode::Early).run(), "on the old heap");
}

#[test]
fn each_child_writes_a_report_and_a_line_in_the_log_of_its_own() {
    let stage = Stage::load();
    let folder = tempfile::tempdir().unwrap();
    let run = stage
        .launcher()
        .args(&["run", "--follow-children", "--report"])
        .path_arg(&folder.path().join("report.json"))
        .arg("--log")
        .path_arg(&folder.path().join("log.txt"))
        .arg("--")
        .path_arg(&stage.programs.join("family.exe"))
        .arg("1")
        .run();
    run.expect_code(0);
    let names = std::fs::read_dir(folder.path()).unwrap();
    let names: Vec<_> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("report.") && name.ends_with(".json"))
        .collect();
    assert_eq!(names.len(), 1 + 3, "{names:?}");
    let log = std::fs::read_to_string(folder.path().join("log.txt")).unwrap();
    assert_eq!(log.matches("took over").count(), 1 + 3, "{log}");
}
