//! `allograft proxy`: a program that loads the module by itself, because it loads a DLL of its own
//! folder.

use std::path::Path;

use allograft_tests::{Launch, ModuleReport, ProgramRun, Stage};
use tempfile::TempDir;

/// A folder with a copy of the program that imports version.dll.
fn folder_of_program() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let program = Stage::load().programs.join("proxied.exe");
    std::fs::copy(program, folder.path().join("proxied.exe")).unwrap();
    folder
}

fn proxy(folder: &Path, options: &[&str]) -> ProgramRun {
    Stage::load()
        .launcher()
        .args(&["proxy", "--as", "version.dll", "--into"])
        .path_arg(folder)
        .args(options)
        .run()
}

fn program(folder: &Path) -> Launch<'static> {
    Launch::new(Stage::load(), folder.join("proxied.exe")).native("version")
}

#[test]
fn a_program_beside_a_proxy_comes_up_on_mimalloc_and_the_functions_answer_as_the_systems() {
    let stage = Stage::load();
    let folder = folder_of_program();
    proxy(folder.path(), &[]).expect_code(0);
    for crt in stage.microsoft_crts() {
        let report = folder.path().join("report.json");
        let run = program(folder.path())
            .on(crt)
            .arg("with-module")
            .env("ALLOGRAFT_REPORT", stage.windows_path(&report))
            .run();
        run.expect_code(0).expect_transcript("passed\n");
        assert!(ModuleReport::read(&report).unwrap().is_active(), "{run}");
    }
}

#[test]
fn without_the_module_beside_the_proxy_the_program_runs_as_before() {
    let folder = folder_of_program();
    proxy(folder.path(), &[]).expect_code(0);
    let is_module = |name: &str| name.starts_with("allograft") && name.ends_with(".dll");
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let path = file.unwrap().path();
        if is_module(&path.file_name().unwrap().to_string_lossy()) {
            std::fs::remove_file(path).unwrap();
        }
    }
    let run = program(folder.path()).run();
    run.expect_code(0).expect_transcript("passed\n");
}

#[test]
fn a_removed_proxy_leaves_the_program_as_it_was() {
    let folder = folder_of_program();
    proxy(folder.path(), &[]).expect_code(0);
    proxy(folder.path(), &["--remove"]).expect_code(0);
    assert!(!folder.path().join("version.dll").exists());
    let run = program(folder.path()).run();
    run.expect_code(0).expect_transcript("passed\n");
}

#[test]
fn a_dll_of_another_maker_is_refused_in_one_line() {
    let folder = folder_of_program();
    let path = folder.path().join("version.dll");
    std::fs::copy(folder.path().join("proxied.exe"), &path).unwrap();
    for options in [&[][..], &["--remove"]] {
        let run = proxy(folder.path(), options);
        run.expect_code(125);
        assert!(run.stderr.contains("not made by allograft"), "{run}");
        assert_eq!(run.stderr.lines().count(), 1, "{run}");
        assert!(path.exists());
    }
}
