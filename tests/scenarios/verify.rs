//! `allograft verify`: it passes where allograft works, and each of its checks says so where a
//! fault was put in on purpose. What it runs is a copy of what a user unpacks, without a checkout.

use std::fs;
use std::path::Path;
use std::time::Duration;

use allograft_image::known_names;
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

/// Puts a program in the place of one of the distribution's that does what `told` says.
fn replace_by_impostor(distribution: &TempDir, name: &str, told: &str) {
    let place = format!("verify/x86-64/{name}");
    replace(distribution, &place, "impostor.exe");
    fs::write(distribution.path().join(place).with_extension("txt"), told).unwrap();
}

/// The distribution with programs for one machine only, which takes half the time.
fn distribution_for(machine: &str) -> TempDir {
    let distribution = distribution();
    let other = if machine == "x86" { "x86-64" } else { "x86" };
    let _ = fs::remove_dir_all(distribution.path().join("verify").join(other));
    distribution
}

fn verify<'a>(distribution: &TempDir, crt: &'a Crt, checks: &[&str]) -> Launch<'a> {
    let mut launch = Launch::new(Stage::load(), distribution.path().join("allograft.exe"))
        .on(crt)
        .input("")
        .limit(Duration::from_secs(600))
        .args(&["verify", "--quick"]);
    // Wine takes the DLLs beside a program only if told so.
    for dll in known_names() {
        launch = launch.native(dll.trim_end_matches(".dll"));
    }
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
            let words = [&one["what"], &one["why"]].map(text).concat();
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
    run.expect_code(1).expect_output(&["allograft does not work as it should on this Wine"]);
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
            for check in ["storms", "hooks", "exits", "libraries"] {
                let name = format!("{check} {machine}");
                let of_it = found.iter().filter(|one| one.0 == name);
                let outcomes: Vec<_> = of_it.map(|one| &*one.2).collect();
                assert!(
                    checks != all || outcomes.iter().all(|one| *one == "passed"),
                    "{name}: {outcomes:?}"
                );
            }
        }
        let page = fs::read_to_string(&html).unwrap();
        assert!(page.contains("Wine 8") && page.contains("ucrtbase.dll"), "{page}");
        assert!(leftovers(crt).is_empty(), "{:?}", leftovers(crt));
        let is_good = |line: &str| line.ends_with(": passed") || line.ends_with(": not tried");
        // Wine itself writes there too.
        let mut progress = run.stderr.lines().filter(|line| line.starts_with("allograft: "));
        assert!(progress.all(is_good), "{run}");
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
        ("storms x86-64", "no module of allograft"),
        ("hooks x86-64", "no module of allograft"),
        ("policies x86-64", "no module of allograft"),
        ("exits x86-64", "no module of allograft"),
        ("libraries x86-64", "no module of allograft"),
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

#[test]
fn storms_that_lose_a_block_or_crash_fail() {
    let distribution = distribution_for("x86-64");
    let told = "meet\nprint FAILED line 7: block 3 changed\nexit 1\n";
    replace_by_impostor(&distribution, "storm.exe", told);
    replace_by_impostor(&distribution, "library_storm.exe", "meet\ncrash\n");
    // Hooks that are not called prove nothing.
    let told = format!("meet\nprint passed\n{}", "print hooked NtX: 5 calls\n".repeat(4));
    replace_by_impostor(&distribution, "hooked_storm.exe", &told);
    let expected = [
        ("storms x86-64", "1 instead of 0: FAILED line 7: block 3 changed"),
        ("libraries x86-64", "0xc0000005 instead of 0"),
        ("hooks x86-64", "through 4 of the 5 hooks"),
    ];
    fails(&distribution, &["storms", "libraries", "hooks"], &expected);
}

#[test]
fn crashes_and_refusals_without_a_reason_in_restricted_surroundings_fail() {
    let distribution = distribution_for("x86-64");
    let told = "print confirmed: here\nmeet\ncrash\n";
    replace_by_impostor(&distribution, "surroundings.exe", told);
    let words = "0xc0000005 instead of 0";
    let expected = [("policies x86-64", words), ("sandboxes x86-64", words)];
    fails(&distribution, &["policies", "sandboxes"], &expected);
    // The launcher reports a takeover of which the program knows nothing.
    let told = "print confirmed: here\nmeet\nprint on its own heap\nprint passed\n";
    replace_by_impostor(&distribution, "surroundings.exe", told);
    let words = "did not say that the program is on its own heap";
    fails(&distribution, &["policies"], &[("policies x86-64", words)]);
}

#[test]
fn another_exit_code_fails() {
    let distribution = distribution_for("x86-64");
    let told = "meet\nprint exit functions ran\nexit 9\n";
    replace_by_impostor(&distribution, "exit_paths.exe", told);
    let words = "ended with 0x9, after its exit functions";
    let run = fails(&distribution, &["exits"], &[("exits x86-64", words)]);
    run.expect_output(&["seen by: "]);
}

/// A damaged module is refused by the system, as one that a scanner blocks is.
#[test]
fn a_module_that_the_system_refuses_fails_the_check_of_security_software() {
    for (machine, module) in [("x86-64", "allograft.dll"), ("x86", "allograft32.dll")] {
        let distribution = distribution_for(machine);
        fs::write(distribution.path().join(module), "MZ").unwrap();
        let run = verify(&distribution, Stage::load().newest_crt(), &["security"]).run();
        run.expect_code(1).expect_output(&["Windows did not load", "the file is damaged"]);
    }
}

#[test]
fn a_program_that_can_do_nothing_here_is_not_tried() {
    let distribution = distribution_for("x86-64");
    let told = "print not tried: no room for hooks\nexit 2\n";
    replace_by_impostor(&distribution, "hooked_storm.exe", told);
    let run = verify(&distribution, Stage::load().newest_crt(), &["hooks"]).run();
    run.expect_code(125).expect_output(&["not tried", "no room for hooks"]);
}
