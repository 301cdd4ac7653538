//! `allograft proxy`: a program that loads the module by itself, because it loads a DLL of its own
//! folder.

use std::path::Path;

use allograft_tests::inputs::folder_with;
use allograft_tests::{Launch, ProgramRun, Stage};
use tempfile::TempDir;

/// A folder with a copy of the program that imports version.dll.
fn folder_of_program() -> TempDir {
    folder_with(&[Stage::load().programs.join("proxied.exe")])
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
        let run = program(folder.path()).on(crt).arg("with-module").report_by_variable().run();
        run.expect_code(0).expect_transcript("passed\n").expect_taken_over();
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
        run.expect_code(125).expect_error_line(&["not made by allograft"]);
        assert!(path.exists());
    }
}
