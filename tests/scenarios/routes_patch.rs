//! `allograft patch`: a program whose import table names the module first.

use std::path::{Path, PathBuf};
use std::time::Duration;

use allograft_tests::{Launch, ProgramRun, Stage, inputs};
use tempfile::TempDir;

/// A folder with a copy of `program` and the modules beside it.
fn folder_with(program: &Path) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("program.exe");
    std::fs::copy(program, &copy).unwrap();
    put_modules_into(folder.path());
    (folder, copy)
}

/// Copies the modules for both bitnesses, as far as there are any: not all real programs are of the
/// stage's own.
fn put_modules_into(folder: &Path) {
    for name in ["allograft.dll", "allograft32.dll"] {
        let module = Stage::load().bin.join(name);
        if module.exists() {
            std::fs::copy(module, folder.join(name)).unwrap();
        }
    }
}

fn patch(image: &Path, options: &[&str]) -> ProgramRun {
    Stage::load().launcher().arg("patch").args(options).path_arg(image).run()
}

/// Patches `program` in `folder` and demands that the result, launched `with` the same, answers the
/// same, from mimalloc.
fn answers_the_same_on_mimalloc(
    folder: &Path,
    program: &Path,
    with: impl Fn(Launch<'static>) -> Launch<'static>,
) {
    let stage = Stage::load();
    patch(program, &[]).expect_code(0);
    let patched = folder.join("program-allograft.exe");
    for crt in stage.microsoft_crts() {
        let launch =
            |program: &Path| with(Launch::new(stage, program.to_owned()).on(crt).input(""));
        let plain = launch(program).run();
        let run = launch(&patched).report_by_variable().run();
        run.expect_code(0).expect_transcript(&plain.stdout);
        assert!(run.expect_taken_over().message.is_empty(), "{run}");
    }
}

#[test]
fn a_patched_clang_format_comes_up_on_mimalloc_and_answers_the_same() {
    let (folder, program) = folder_with(&Stage::load().real.clang_format);
    answers_the_same_on_mimalloc(folder.path(), &program, |launch| launch.arg("--dump-config"));
}

#[test]
fn a_patched_solver_comes_up_on_mimalloc_and_answers_the_same() {
    let stage = Stage::load();
    let folder = inputs::folder_with(&inputs::z3_files(&stage.real));
    put_modules_into(folder.path());
    let program = folder.path().join("program.exe");
    std::fs::rename(folder.path().join("z3.exe"), &program).unwrap();
    let problem = Path::new(env!("CARGO_MANIFEST_DIR")).join("inputs/queens.smt2");
    answers_the_same_on_mimalloc(folder.path(), &program, |launch| {
        launch.native("msvcp140").path_arg(&problem).limit(Duration::from_secs(300))
    });
}

// Java finds the rest of itself by where its program lies.
#[cfg(unix)]
#[test]
fn a_patched_java_comes_up_on_mimalloc_and_answers_the_same() {
    let stage = Stage::load();
    let bin = stage.real.java.parent().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let copied = folder.path().join("bin");
    std::fs::create_dir(&copied).unwrap();
    let link = |from: &Path, to: &Path| {
        for entry in std::fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            if path != bin && path != stage.real.java {
                std::os::unix::fs::symlink(&path, to.join(path.file_name().unwrap())).unwrap();
            }
        }
    };
    link(bin, &copied);
    link(bin.parent().unwrap(), folder.path());
    let program = copied.join("program.exe");
    std::fs::copy(&stage.real.java, &program).unwrap();
    put_modules_into(&copied);
    // Its warnings come a different number of times in each run under Wine.
    answers_the_same_on_mimalloc(&copied, &program, |launch| {
        launch.args(&["-XX:-PrintWarnings", "--list-modules"])
    });
}

#[test]
fn patching_in_place_can_be_undone_to_the_last_byte() {
    let stage = Stage::load();
    let (_folder, program) = folder_with(&stage.programs.join("families.exe"));
    let original = std::fs::read(&program).unwrap();
    patch(&program, &["--inplace"]).expect_code(0);
    assert_ne!(std::fs::read(&program).unwrap(), original);
    patch(&program, &["--undo", "--inplace"]).expect_code(0);
    assert_eq!(std::fs::read(&program).unwrap(), original);
}

#[test]
fn a_program_that_runs_is_not_patched_in_place_and_goes_on() {
    let stage = Stage::load();
    let (folder, program) = folder_with(&stage.programs.join("waiting.exe"));
    let original = std::fs::read(&program).unwrap();
    let files = std::fs::read_dir(folder.path()).unwrap().count();
    let run = Launch::new(stage, program.clone()).run_meeting(|_| {
        let refused = patch(&program, &["--inplace"]);
        refused.expect_code(125).expect_error_line(&["is in use: end the program"]);
    });
    run.expect_code(0);
    assert_eq!(std::fs::read(&program).unwrap(), original);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), files);
}
