//! `allograft patch`: a program whose import table names the module first.

use std::path::{Path, PathBuf};

use allograft_tests::{Launch, Report, Run, Stage};
use tempfile::TempDir;

/// A folder with a copy of `program` and the module beside it.
fn folder_with(program: &Path) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("program.exe");
    std::fs::copy(program, &copy).unwrap();
    let module = Stage::load().bin.join("allograft.dll");
    std::fs::copy(module, folder.path().join("allograft.dll")).unwrap();
    (folder, copy)
}

fn patch(image: &Path, options: &[&str]) -> Run {
    Stage::load()
        .launcher()
        .arg("patch")
        .args(options)
        .path_arg(image)
        .run()
}

#[test]
fn a_patched_program_comes_up_on_mimalloc_and_answers_the_same() {
    let stage = Stage::load();
    let (folder, program) = folder_with(&stage.real.clang_format);
    patch(&program, &[]).expect_code(0);
    let patched = folder.path().join("program-allograft.exe");
    for crt in stage.microsoft_crts() {
        let plain = Launch::new(stage, program.clone())
            .on(crt)
            .arg("--dump-config")
            .run();
        let report = folder.path().join("report.json");
        let run = Launch::new(stage, patched.clone())
            .on(crt)
            .arg("--dump-config")
            .env("ALLOGRAFT_REPORT", stage.windows_path(&report))
            .run();
        run.expect_code(0);
        assert_eq!(run.stdout, plain.stdout);
        let report = Report::read(&report).unwrap();
        assert!(report.is_active() && report.message.is_empty(), "{run}");
    }
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
