//! Processes that hold several C runtimes: each is taken over with a table, an `errno` and an old
//! heap of its own.

use allograft_tests::{Launch, Mode, Stage};

/// The older runtimes, which Wine has of its own; on Windows those are tested that are installed.
const OLDER: [&str; 6] =
    ["msvcrt.dll", "msvcr80.dll", "msvcr90.dll", "msvcr100.dll", "msvcr110.dll", "msvcr120.dll"];

#[test]
fn every_c_runtime_of_a_process_is_taken_over() {
    let stage = Stage::load();
    for crt in stage.crts() {
        for mode in [Mode::Plain, Mode::Early, Mode::Injected] {
            let run = stage.program("runtimes").on(crt).mode(mode).run();
            run.expect_code(0);
            if mode == Mode::Plain {
                continue;
            }
            let report = run.expect_taken_over();
            let taken: Vec<String> =
                report.runtimes.iter().map(|runtime| runtime.name.to_lowercase()).collect();
            assert!(taken.contains(&"ucrtbase.dll".to_string()), "{taken:?}");
            for name in OLDER.iter().filter(|name| run.stdout.lines().any(|line| line == **name)) {
                assert!(taken.contains(&(*name).to_string()), "{name} is not among {taken:?}");
            }
        }
    }
}

/// No package carries a debug runtime. It is recognised by its name, which a copy of another one
/// has here.
#[test]
fn a_debug_runtime_is_left_alone_and_named() {
    let stage = Stage::load();
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("debug_runtime.exe");
    std::fs::copy(stage.programs.join("debug_runtime.exe"), &program).unwrap();
    for crt in stage.microsoft_crts() {
        let Some(prefix) = &crt.prefix else { continue };
        let system = prefix.join("drive_c/windows").join(stage.target.system_folder);
        let runtime = system.join("ucrtbase.dll");
        std::fs::copy(runtime, folder.path().join("ucrtbased.dll")).unwrap();
        let run = Launch::new(stage, program.clone()).on(crt).mode(Mode::Early).run();
        run.expect_code(0);
        let message = &run.report.as_ref().expect("a report").message;
        assert!(message.contains("ucrtbased.dll is a debug C runtime"), "{message}");
    }
}
