//! `allograft verify`: it passes where allograft works, and each of its checks says so where a
//! fault was put in on purpose. What it runs is a copy of what a user unpacks, without a checkout.

use std::fs;
use std::path::Path;
use std::time::Duration;

use allograft_tests::{Crt, Launch, ProgramRun, Stage};
use serde_json::Value;
use tempfile::TempDir;

/// The launchers, the modules and the folder of programs, as they lie beside each other.
fn distribution() -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    let bin = &Stage::load().bin;
    for entry in fs::read_dir(bin).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    for machine in fs::read_dir(bin.join("verify")).unwrap() {
        let machine = machine.unwrap().path();
        let folder = copy.path().join("verify").join(machine.file_name().unwrap());
        fs::create_dir_all(&folder).unwrap();
        for program in fs::read_dir(&machine).unwrap() {
            let program = program.unwrap().path();
            fs::copy(&program, folder.join(program.file_name().unwrap())).unwrap();
        }
    }
    copy
}

/// Puts the test program or DLL `name` in the place of a file of the distribution.
fn replace(distribution: &TempDir, place: &str, name: &str) {
    fs::copy(Stage::load().programs.join(name), distribution.path().join(place)).unwrap();
}

fn verify<'a>(distribution: &TempDir, crt: &'a Crt, checks: &[&str]) -> Launch<'a> {
    let mut launch = Launch::new(Stage::load(), distribution.path().join("allograft.exe"))
        .on(crt)
        .input("")
        .limit(Duration::from_secs(600))
        .args(&["verify", "--quick"]);
    for check in checks {
        launch = launch.args(&["--only", check]);
    }
    launch
}

/// What was found, by the check's name, its machine and its subject: the outcome and the words.
fn found(json: &Path) -> Vec<(String, String, String, String)> {
    let answer: Value = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let rows = answer["checks"].as_array().unwrap().iter();
    rows.flat_map(|row| {
        let check = format!("{} {}", text(&row["check"]), text(&row["machine"]));
        let findings = row["findings"].as_array().unwrap().clone();
        findings.into_iter().map(move |one| {
            let words = [&one["what"], &one["why"]].map(|words| text(words)).concat();
            (check.clone(), text(&one["subject"]), text(&one["outcome"]), words)
        })
    })
    .collect()
}

/// Runs `checks` and demands that one of `expected` (check with machine, words) failed for each.
#[track_caller]
fn fails(distribution: &TempDir, checks: &[&str], expected: &[(&str, &str)]) -> ProgramRun {
    let stage = Stage::load();
    let json = distribution.path().join("found.json");
    let launch = verify(distribution, stage.newest_crt(), checks);
    let run = launch.arg("--json").path_arg(&json).run();
    run.expect_code(1)
        .expect_output(&["allograft does not work as it should on this Wine", "seen by: "]);
    let found = found(&json);
    for (check, words) in expected {
        let is_expected = |(name, _, outcome, what): &&(String, String, String, String)| {
            name == check && outcome == "failed" && what.contains(words)
        };
        assert!(
            found.iter().any(|one| is_expected(&one)),
            "{check} did not fail with {words:?}: {found:#?}\n{run}"
        );
    }
    run
}

#[test]
fn every_check_passes_or_says_why_it_was_not_tried() {
    let stage = Stage::load();
    let distribution = distribution();
    // Wine's own runtime, on which the checks compare less, and the newest of Microsoft's.
    let wine = stage.crts().iter().find(|crt| crt.is_wine());
    let all: &[&str] = &[];
    let cases = [(stage.newest_crt(), all)]
        .into_iter()
        .chain(wine.map(|crt| (crt, &["early", "conformance"][..])));
    for (crt, checks) in cases {
        let [json, html] = ["found.json", "found.html"].map(|name| distribution.path().join(name));
        let launch = verify(&distribution, crt, checks).arg("--json").path_arg(&json);
        let run = launch.arg("--html").path_arg(&html).run();
        run.expect_code(0)
            .expect_output(&["allograft works on this Wine (which is not Windows): "]);
        let found = found(&json);
        let failed: Vec<_> = found.iter().filter(|one| one.2 == "failed").collect();
        assert!(failed.is_empty(), "{failed:?}");
        let machines: &[&str] = if stage.x86.is_some() { &["x86-64", "x86"] } else { &["x86-64"] };
        for machine in machines {
            let early = format!("early {machine}");
            let has_passed = |one: &(String, String, String, String)| {
                one.0 == early && one.2 == "passed" && one.3.contains("3 starts")
            };
            assert!(found.iter().any(has_passed), "{early}: {found:#?}");
        }
        let page = fs::read_to_string(&html).unwrap();
        assert!(page.contains("Wine 8") && page.contains("ucrtbase.dll"), "{page}");
        assert!(leftovers(crt).is_empty(), "{:?}", leftovers(crt));
        assert_eq!(run.stderr.matches("programs: passed").count(), run.stderr.lines().count());
    }
}

/// The temporary folders of `verify` that are still there.
fn leftovers(crt: &Crt) -> Vec<String> {
    let Some(prefix) = &crt.prefix else { return Vec::new() };
    let users = fs::read_dir(prefix.join("drive_c/users")).unwrap();
    let places = users
        .flatten()
        .flat_map(|user| ["Temp", "AppData/Local/Temp"].map(|folder| user.path().join(folder)));
    let entries = places.filter_map(|place| fs::read_dir(place).ok()).flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("allograft-verify-")).collect()
}

#[test]
fn a_module_without_effect_fails_every_check() {
    let distribution = distribution();
    replace(&distribution, "allograft.dll", "heap_scope_dll.dll");
    fs::remove_dir_all(distribution.path().join("verify/x86")).unwrap();
    let expected = [
        ("early x86-64", "1 instead of 0"),
        ("conformance x86-64", "no report"),
        ("old-runtimes x86-64", "125 instead of 0"),
        ("patch x86-64", "not on mimalloc"),
        ("proxy x86-64", "1 instead of 0"),
        ("children x86-64", "no report"),
    ];
    let run = fails(&distribution, &[], &expected);
    assert!(run.stderr.contains("early, x86 programs: not tried"), "{run}");
    assert!(run.stdout.contains("this copy of allograft has no programs for x86"), "{run}");
}

#[test]
fn a_call_that_answers_differently_with_the_module_fails_the_comparison() {
    let distribution = distribution();
    replace(&distribution, "verify/x86-64/conformance.exe", "deviating.exe");
    let words = "`0 malloc(1, 64) -> block` was expected, and `0 malloc(1, 64) -> NULL`";
    fails(&distribution, &["conformance"], &[("conformance x86-64", words)]);
}

#[test]
fn a_program_without_a_load_configuration_fails_the_check_of_patch() {
    let distribution = distribution();
    replace(&distribution, "verify/x86-64/patched.exe", "waiting.exe");
    let words = "has no DependentLoadFlags to set";
    fails(&distribution, &["patch"], &[("patch x86-64", words)]);
}

#[test]
fn a_missing_launcher_for_32_bit_programs_fails_what_needs_it() {
    let stage = Stage::load();
    if stage.x86.is_none() {
        return;
    }
    let distribution = distribution();
    fs::remove_file(distribution.path().join("allograft32.exe")).unwrap();
    let expected = [("early x86", "1 instead of 0"), ("children x86-64", "0 of 3 children")];
    fails(&distribution, &["early", "children"], &expected);
}

#[test]
fn an_incomplete_download_and_an_unknown_check_are_refused_in_one_line() {
    let stage = Stage::load();
    let distribution = distribution();
    let run = verify(&distribution, stage.newest_crt(), &["no-such-check"]).run();
    run.expect_code(125).expect_error_line(&["no-such-check"]);
    fs::remove_file(distribution.path().join("verify/x86-64/early.exe")).unwrap();
    let run = verify(&distribution, stage.newest_crt(), &["early"]).run();
    run.expect_code(125).expect_error_line(&["early.exe", "unpack the download again"]);
    fs::remove_dir_all(distribution.path().join("verify")).unwrap();
    let run = verify(&distribution, stage.newest_crt(), &[]).run();
    run.expect_code(125).expect_error_line(&["no folder", "unpack the download again"]);
}
