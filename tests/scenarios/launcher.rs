//! `allograft run` and `allograft inject` as a user sees them: what they keep, print and return.

use allograft_tests::{Mode, Stage};

#[test]
fn arguments_variables_directory_streams_and_exit_code_are_the_programs_own() {
    let stage = Stage::load();
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["plain", "two words", "", "a\"quote", "trailing\\", "back\\\\slash\\\"es"];
    let launch = |mode| {
        stage
            .program("argv_env")
            .mode(mode)
            .args(&arguments)
            .args(&["%PATH%", "ä€", "--help", "*"])
            .env("ALLOGRAFT_TEST_VALUE", "a value of the environment")
            .env("ALLOGRAFT_TEST_EXIT", "77")
            .directory(folder.path())
            .input("first line\nsecond line\n")
            .run()
    };
    let plain = launch(Mode::Plain);
    let early = launch(Mode::Early);
    plain.expect_code(77);
    plain.expect_output(&["argument [two words]", "variable [a value of the environment]"]);
    early.expect_code(77).expect_transcript(&plain.stdout);
    assert_eq!(early.stderr, plain.stderr, "{early}");
    early.expect_taken_over();
}

#[test]
fn a_program_that_is_not_there_is_127() {
    let run = Stage::load().launcher().args(&["run", "--", "no-such-program.exe"]).run();
    run.expect_code(127).expect_error_line(&["no-such-program.exe"]);
}

#[test]
fn a_file_that_is_no_program_is_126() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("text.exe");
    std::fs::write(&file, "not a program").unwrap();
    let run = Stage::load().launcher().args(&["run", "--"]).path_arg(&file).run();
    run.expect_code(126).expect_error_line(&["text.exe"]);
}

#[test]
fn a_process_that_does_not_exist_is_125() {
    let run = Stage::load().launcher().args(&["inject", "--pid", "4000000000"]).run();
    run.expect_code(125).expect_error_line(&["4000000000"]);
    let run = Stage::load().launcher().args(&["inject", "--name", "no-such-program.exe"]).run();
    run.expect_code(125).expect_error_line(&["no-such-program.exe"]);
}

#[test]
fn a_program_without_a_runtime_runs_on_and_is_diagnosed() {
    let stage = Stage::load();
    let run = stage.program("static_crt").mode(Mode::Early).run();
    run.expect_code(42);
    assert!(run.stdout.contains("passed"), "{run}");
    let reason = "nothing that could be redirected";
    assert!(run.stderr.contains(reason), "the launcher does not say why\n{run}");

    let run = stage.program("static_crt").mode(Mode::Injected).run();
    run.expect_code(42);
    let injection = run.injection.as_ref().unwrap();
    injection.expect_code(125).expect_error_line(&[reason]);
}

#[test]
fn an_injection_says_what_was_taken_over() {
    let run = Stage::load().program("waiting").mode(Mode::Injected).arg("9").run();
    run.expect_code(9);
    let functions = run.expect_taken_over().runtimes[0].functions;
    let injection = run.injection.as_ref().unwrap();
    injection.expect_output(&["ucrtbase.dll", &functions.to_string()]);
}

#[test]
fn a_second_injection_says_that_the_module_is_there_already() {
    let stage = Stage::load();
    for mode in [Mode::Early, Mode::Injected] {
        let run = stage.program("waiting").mode(mode).run_meeting(|id| {
            let second = stage.launcher().args(&["inject", "--pid", &id.to_string()]).run();
            second.expect_code(0);
            let said = format!("{}{}", second.stdout, second.stderr);
            assert!(said.contains("already"), "{second}");
        });
        run.expect_code(0);
    }
}

#[test]
fn a_program_is_found_by_its_name() {
    let stage = Stage::load();
    // A copy under a name of its own: other tests run the same program at the same time.
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("found-by-name.exe");
    std::fs::copy(stage.programs.join("waiting.exe"), &copy).unwrap();
    let run = allograft_tests::Launch::new(stage, copy).run_meeting(|_| {
        let injection = stage.launcher().args(&["inject", "--name", "found-by-name.exe"]).run();
        injection.expect_code(0);
        assert!(injection.stdout.contains("ucrtbase.dll"), "{injection}");
    });
    run.expect_code(0);
}

#[test]
fn a_program_that_ended_before_the_late_moment_keeps_its_exit_code() {
    let run = Stage::load().program("waiting").arg("6").mode(Mode::Late(20_000)).run();
    run.expect_code(6);
}

#[test]
fn what_is_waited_for_is_shown_after_a_second_and_on_a_terminal_only() {
    let stage = Stage::load();
    let program = || stage.program("slow_start").mode(Mode::Early);
    let run = program().run();
    run.expect_code(0).expect_transcript("begun\n").expect_taken_over();
    assert_eq!(run.stderr, "", "{run}");
    // Only on a host with Wine is there a terminal to be had.
    if stage.wine.is_some() {
        let run = program().on_terminal().run();
        run.expect_code(0).expect_output(&["waiting for slow_start.exe", "begun"]);
    }
}

#[test]
fn a_module_that_is_not_there_is_125() {
    let stage = Stage::load();
    let run = stage
        .launcher()
        .args(&["run", "--module", "no-such-module.dll", "--"])
        .path_arg(&stage.programs.join("waiting.exe"))
        .run();
    run.expect_code(125).expect_error_line(&["no-such-module.dll"]);
}

#[test]
fn help_is_a_manual_and_the_version_names_mimallocs() {
    let stage = Stage::load();
    let pages: [(&[&str], &[&str]); 3] = [
        (&["--help"], &["run", "inject", "Examples"]),
        (&["run", "--help"], &["--late", "125", "126", "127"]),
        (&["inject", "--help"], &["--pid", "--name", "125"]),
    ];
    for (arguments, words) in pages {
        let help = stage.launcher().args(arguments).run();
        help.expect_code(0).expect_output(words);
    }
    let version = stage.launcher().arg("--version").run();
    version.expect_code(0).expect_output(&[env!("CARGO_PKG_VERSION"), "mimalloc 3."]);
}
