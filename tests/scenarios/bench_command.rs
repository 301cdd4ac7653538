//! `allograft bench`: what it prints and writes about a program without and with mimalloc.

use allograft_tests::{Launch, ProgramRun, Stage};
use serde_json::Value;

/// `allograft bench` of the test program `name`, with these options and arguments.
fn bench(options: &[&str], name: &str, arguments: &[&str]) -> Launch<'static> {
    let stage = Stage::load();
    stage
        .launcher()
        .arg("bench")
        .args(options)
        .arg("--")
        .path_arg(&stage.programs.join(format!("{name}.exe")))
        .args(arguments)
}

/// Expects that there is nothing to compare, and one line with these words that says why.
#[track_caller]
fn expect_refusal(run: &ProgramRun, words: &[&str]) {
    run.expect_code(125).expect_transcript("").expect_error_line(words);
}

#[test]
fn a_program_is_measured_either_way_and_told_as_text_json_and_page() {
    let folder = tempfile::tempdir().unwrap();
    let windows_path = |name| Stage::load().windows_path(&folder.path().join(name));
    let (json, page) = (windows_path("out.json"), windows_path("out.html"));
    let options = ["--runs", "3", "--json", &json, "--html", &page];
    let run = bench(&options, "churn", &["1", "200000", "7"]).run();
    run.expect_code(0).expect_output(&[
        "churn.exe: 3 rounds",
        "wall time",
        "peak commit",
        "without  █",
        "too few rounds",
        "no difference that this run can show: it takes 6 rounds at least",
    ]);

    let json = std::fs::read_to_string(folder.path().join("out.json")).unwrap();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["exit_code"], 0);
    assert_eq!(json["arguments"][2], "7");
    let rounds = json["rounds"].as_array().unwrap();
    assert_eq!(rounds.len(), 3);
    for side in ["without", "with"] {
        for round in rounds {
            assert!(round[side]["wall_seconds"].as_f64() > Some(0.0), "{json}");
            assert!(round[side]["peak_commit_bytes"].as_u64() > Some(0), "{json}");
        }
    }
    assert_eq!(json["findings"][0]["measure"], "wall_seconds");
    assert_eq!(json["findings"][0]["verdict"], "too-few-rounds");

    let page = std::fs::read_to_string(folder.path().join("out.html")).unwrap();
    assert_eq!(page.matches("<svg").count(), 2, "{page}");
}

#[test]
fn every_run_reads_the_input_from_its_beginning_and_may_be_heard() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("input.txt");
    std::fs::write(&input, "the same for all").unwrap();
    let input = Stage::load().windows_path(&input);
    let options = ["--runs", "1", "--show-output", "--input", &input];
    let run = bench(&options, "argv_env", &["--runs"]).run();
    run.expect_code(0);
    // One run of each for warming up, and one that counts.
    for words in ["argument [--runs]", "input [the same for all]"] {
        assert_eq!(run.stdout.matches(words).count(), 4, "{words:?}\n{run}");
    }
    let silent = bench(&["--runs", "1"], "argv_env", &[]).run();
    silent.expect_code(0);
    assert!(!silent.stdout.contains("input ["), "{silent}");
    assert_eq!(silent.stderr, "", "{silent}");
}

#[test]
fn a_program_that_fails_alike_either_way_is_measured() {
    let run = bench(&["--runs", "1"], "exit_paths", &["exit"]).run();
    run.expect_code(0);
}

#[test]
fn a_program_without_a_runtime_has_nothing_to_compare() {
    let run = bench(&["--runs", "1"], "static_crt", &[]).run();
    expect_refusal(&run, &["static_crt.exe", "its own heap", "nothing that could be redirected"]);
}

#[test]
fn a_program_that_crashes_by_itself_is_not_measured() {
    let run = bench(&["--runs", "1"], "exit_paths", &["exception"]).run();
    expect_refusal(&run, &["exit_paths.exe", "without mimalloc", "0xE0000007"]);
}

#[test]
fn a_program_that_is_not_there_is_127() {
    let run = Stage::load().launcher().args(&["bench", "--", "no-such-program.exe"]).run();
    run.expect_code(127);
}
