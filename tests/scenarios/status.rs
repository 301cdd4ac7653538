//! `allograft status`: what it prints about running processes.

use allograft_tests::{Mode, ProgramRun, Stage};
use serde_json::Value;

fn status(arguments: &[&str]) -> ProgramRun {
    Stage::load().launcher().arg("status").args(arguments).run()
}

fn json(run: &ProgramRun) -> Value {
    run.expect_code(0);
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}\n{run}"))
}

#[test]
fn a_counted_heap_is_shown_with_what_is_left_of_it() {
    let launch = Stage::load().program("blocks").mode(Mode::Injected);
    let run = launch.launcher_option("--count").run_meeting(|id| {
        let id = id.to_string();
        let text = status(&["--pid", &id]);
        let words = ["on mimalloc", "ucrtbase.dll", "left", "#####", "committed"];
        text.expect_code(0).expect_output(&words);
        let figures = json(&status(&["--pid", &id, "--json"]));
        assert_eq!(figures["state"], "active");
        assert!(figures["runtimes"][0]["functions"].as_u64() >= Some(20));
        let blocks = |of: &str| figures[of]["blocks"].as_u64().expect(of);
        assert!(blocks("old_heap") >= 8000);
        let left = blocks("old_heap") - blocks("migrated") - blocks("freed");
        assert_eq!(blocks("outstanding"), left);
    });
    run.expect_code(0);
}

#[test]
fn all_processes_with_the_module_are_listed_and_no_others() {
    let stage = Stage::load();
    let run = stage.program("waiting").mode(Mode::Injected).run_meeting(|with| {
        let other = stage.program("waiting").run_meeting(|without| {
            let list = json(&status(&["--all", "--json"]));
            let list = list.as_array().expect("a list");
            let pids: Vec<_> = list.iter().filter_map(|figures| figures["pid"].as_u64()).collect();
            assert!(pids.contains(&with.into()), "{pids:?}");
            assert!(!pids.contains(&without.into()), "{pids:?}");
        });
        other.expect_code(0);
    });
    run.expect_code(0);
}

#[test]
fn a_process_without_the_module_has_no_status() {
    let run = Stage::load().program("waiting").run_meeting(|id| {
        let status = status(&["--pid", &id.to_string()]);
        status.expect_code(125).expect_error_line(&["the module is not in it"]);
    });
    run.expect_code(0);
}

#[test]
fn a_watched_process_is_shown_until_it_ends() {
    let mut watching = None;
    let run = Stage::load().program("waiting").mode(Mode::Early).run_meeting(|id| {
        let id = id.to_string();
        watching = Some(std::thread::spawn(move || status(&["--watch", "--json", "--pid", &id])));
        // Long enough for it to have been seen once, and for a second look at least.
        std::thread::sleep(std::time::Duration::from_millis(2500));
    });
    run.expect_code(0);
    let watched = watching.unwrap().join().unwrap();
    watched.expect_code(0);
    assert!(watched.stdout.lines().count() >= 2, "{watched}");
    assert!(watched.stderr.contains("has ended"), "{watched}");
}
