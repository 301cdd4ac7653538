//! Paths longer than the 260 characters that programs take which know no long paths: of the program,
//! the module, the log, the report, and of what `patch`, `proxy` and `check` read and write.

use std::fs;
use std::path::{Path, PathBuf};

use allograft_tests::{Launch, Mode, ModuleReport, ProgramRun, Stage};
use tempfile::TempDir;

/// A folder in another whose path alone is longer than that.
fn deep_folder() -> (TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let mut folder = root.path().to_owned();
    while folder.as_os_str().len() < 300 {
        folder.push("a folder with a name of forty characters");
    }
    fs::create_dir_all(&folder).unwrap();
    (root, folder)
}

fn copy(from: &Path, folder: &Path, name: &str) -> PathBuf {
    let copy = folder.join(name);
    fs::copy(from, &copy).unwrap();
    copy
}

fn launcher(command: &str) -> Launch<'static> {
    // Not `Stage::launcher`: the programs wait for a line on standard input.
    let stage = Stage::load();
    Launch::new(stage, stage.bin.join("allograft.exe")).arg(command)
}

#[test]
fn a_program_with_its_module_log_and_report_runs_from_a_deep_folder() {
    let stage = Stage::load();
    let (_root, folder) = deep_folder();
    let program = copy(&stage.programs.join("waiting.exe"), &folder, "waiting.exe");
    let module = copy(&stage.module(), &folder, "module.dll");
    let (log, report) = (folder.join("log.txt"), folder.join("report.json"));
    let run = launcher("run")
        .arg("--module")
        .path_arg(&module)
        .arg("--log")
        .path_arg(&log)
        .arg("--report")
        .path_arg(&report)
        .arg("--")
        .path_arg(&program)
        .arg("7")
        .run();
    run.expect_code(7);
    assert!(ModuleReport::read(&report).unwrap().is_active(), "{run}");
    assert!(fs::read_to_string(&log).unwrap().contains("took over"), "{run}");
}

#[test]
fn a_running_program_gets_a_module_from_a_deep_folder() {
    let stage = Stage::load();
    let (_root, folder) = deep_folder();
    let module = copy(&stage.module(), &folder, "module.dll");
    let run = stage
        .program("waiting")
        .mode(Mode::Injected)
        .launcher_option("--module")
        .launcher_option(stage.windows_path(&module))
        .run();
    run.expect_code(0).expect_taken_over();
}

#[test]
fn the_environment_may_name_a_log_and_a_report_in_a_deep_folder() {
    let stage = Stage::load();
    let (_root, folder) = deep_folder();
    let (log, report) = (folder.join("log.txt"), folder.join("report.json"));
    let run = launcher("run")
        .arg("--")
        .path_arg(&stage.programs.join("waiting.exe"))
        .env("ALLOGRAFT_LOG", stage.windows_path(&log))
        .env("ALLOGRAFT_REPORT", stage.windows_path(&report))
        .run();
    run.expect_code(0);
    assert!(ModuleReport::read(&report).unwrap().is_active(), "{run}");
    assert!(log.exists(), "{run}");
}

#[test]
fn files_in_a_deep_folder_are_checked_patched_restored_and_get_a_proxy() {
    let stage = Stage::load();
    let (_root, folder) = deep_folder();
    let program = copy(&stage.programs.join("waiting.exe"), &folder, "waiting.exe");
    let original = fs::read(&program).unwrap();
    let on_program = |arguments: &[&str]| -> ProgramRun {
        stage.launcher().args(arguments).path_arg(&program).run()
    };
    on_program(&["check"]).expect_code(0).expect_output(&["it will work"]);
    on_program(&["patch", "--inplace"]).expect_code(0).expect_output(&["patched"]);
    assert!(fs::read(&program).unwrap() != original && folder.join("waiting.exe.bak").exists());
    on_program(&["patch", "--undo"]).expect_code(0);
    assert!(fs::read(&program).unwrap() == original);

    let proxy = |options: &[&str]| {
        let launcher = stage.launcher().args(&["proxy", "--as", "version.dll", "--into"]);
        launcher.path_arg(&folder).args(options).run()
    };
    proxy(&[]).expect_code(0);
    assert!(folder.join("version.dll").exists() && folder.join(stage.target.module()).exists());
    proxy(&["--remove"]).expect_code(0);
    assert!(!folder.join("version.dll").exists());
}

#[test]
fn a_report_with_a_path_that_nothing_takes_is_refused_in_one_line() {
    let stage = Stage::load();
    let report = format!("{}.json", "x".repeat(3000));
    let run = stage
        .launcher()
        .args(&["run", "--report", &report, "--"])
        .path_arg(&stage.programs.join("waiting.exe"))
        .run();
    run.expect_code(125).expect_error_line(&["the report file", "is longer than"]);
}
