//! The launcher's window, used by the keyboard alone: what it says in each state, and that it does
//! what it says. Pictures of it are left in `target/allograft/pictures`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use allograft_tests::inputs::folder_with;
use allograft_tests::{Mode, ProgramRun, Screen, Stage};
use tempfile::TempDir;

/// One window has the keyboard at a time.
static SCREEN: Mutex<()> = Mutex::new(());

/// A folder with a copy of a test program as `game.exe`.
fn game(program: &str) -> (TempDir, PathBuf) {
    let folder = folder_with(&[Stage::load().programs.join(format!("{program}.exe"))]);
    let path = folder.path().join("game.exe");
    fs::rename(folder.path().join(format!("{program}.exe")), &path).unwrap();
    (folder, path)
}

/// Uses the window for the program at `path`; `meeting` is called at each step `meet`, with the
/// number of the meeting.
fn use_window(
    name: &str,
    path: Option<&Path>,
    steps: &[&str],
    mut meeting: impl FnMut(usize),
) -> ProgramRun {
    let _one = SCREEN.lock().unwrap_or_else(PoisonError::into_inner);
    let stage = Stage::load();
    let screen = Screen::new(stage);
    let program = path.map(|path| stage.windows_path(path));
    let driver = stage.program("window_driver");
    let run = screen.use_window(driver, steps, program.as_deref(), |number| {
        screen.take_picture(&format!("{name}-{number}"));
        meeting(number);
    });
    run.expect_code(0);
    run
}

#[test]
fn a_program_that_works_is_run_on_mimalloc() {
    let (folder, path) = game("windowed");
    let steps = [
        "wait game.exe will work with mimalloc",
        "meet",
        "choose Run it on mimalloc now",
        "wait game.exe is on mimalloc",
        "meet",
        "wait game.exe has ended",
        "meet",
        "choose Back",
        "wait will work",
        "close",
    ];
    let run = use_window("works", Some(&path), &steps, |_| {});
    run.expect_output(&["allograft run -- ", "functions of ucrtbase.dll", "exit code is 7"]);
    assert_eq!(fs::read_to_string(folder.path().join("result.txt")).unwrap(), "on mimalloc");
}

#[test]
fn a_patched_copy_is_written_with_the_module_and_deleted_again() {
    let (folder, path) = game("windowed");
    let copy = folder.path().join("game-allograft.exe");
    let steps = [
        "wait will work",
        "choose Always, by a patched copy",
        "wait copied",
        "meet",
        "choose Back",
        "wait Undo",
        "choose Undo",
        "wait is deleted",
        "meet",
        "close",
    ];
    let mut was_there = Vec::new();
    let run = use_window("patch", Some(&path), &steps, |_| was_there.push(copy.exists()));
    assert_eq!(was_there, [true, false], "{run}");
    assert!(
        fs::read_dir(folder.path())
            .unwrap()
            .flatten()
            .any(|entry| { entry.file_name().to_string_lossy().starts_with("allograft") })
    );
    run.expect_output(&["allograft patch --with-module ", "allograft patch --undo "]);
}

#[test]
fn a_proxy_is_written_and_removed_again() {
    let (folder, path) = game("proxied");
    let proxy = folder.path().join("version.dll");
    let steps = [
        "wait will work",
        "choose Always, however it is started",
        "wait wrote",
        "meet",
        "choose Back",
        "wait loads mimalloc by itself",
        "meet",
        "choose Undo",
        "wait removed",
        "meet",
        "close",
    ];
    let mut was_there = Vec::new();
    let run = use_window("proxy", Some(&path), &steps, |_| was_there.push(proxy.exists()));
    assert_eq!(was_there, [true, true, false], "{run}");
}

#[test]
fn a_program_that_will_not_work_is_explained() {
    let (_folder, path) = game("static_crt");
    let steps = ["wait game.exe will not work with mimalloc", "meet", "close"];
    let run = use_window("will-not-work", Some(&path), &steps, |_| {});
    run.expect_output(&["Choose another program", "allograft check "]);
    assert!(!run.stdout.contains("Run it") && !run.stdout.contains("Always"), "{run}");
}

#[test]
fn a_program_with_anti_cheat_software_is_left_alone() {
    let (folder, path) = game("windowed");
    fs::create_dir(folder.path().join("EasyAntiCheat")).unwrap();
    let steps = ["wait Leave game.exe alone", "meet", "close"];
    let run = use_window("anti-cheat", Some(&path), &steps, |_| {});
    run.expect_output(&["Easy Anti-Cheat", "banned"]);
    assert!(!run.stdout.contains("Run it") && !run.stdout.contains("Always"), "{run}");
}

/// The program is named by an open file of this process: nobody, not even root, can write into the
/// folder of these.
#[cfg(unix)]
#[test]
fn without_rights_to_the_folder_an_administrators_are_asked_for() {
    use std::os::fd::AsRawFd;

    let (_folder, path) = game("windowed");
    let file = fs::File::open(&path).unwrap();
    let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
    let steps = ["wait will work with mimalloc", "meet", "close"];
    let run = use_window("no-rights", Some(Path::new(&path)), &steps, |_| {});
    run.expect_output(&["Continue as administrator", "You may not write to"]);
    assert!(!run.stdout.contains("Always"), "{run}");
}

#[test]
fn a_measurement_shows_its_progress_and_writes_a_page() {
    let (_folder, path) = game("waiting");
    let steps = [
        "wait will work",
        "choose Measure what it brings",
        "wait ound ",
        "meet",
        "wait What mimalloc brings",
        "meet",
        "close",
    ];
    let run = use_window("bench", Some(&path), &steps, |_| {});
    run.expect_output(&["Measuring game.exe", "Show the charts", "wall time without "]);
    run.expect_output(&["allograft bench --progress --html "]);
}

#[test]
fn a_running_program_is_put_on_mimalloc_and_watched() {
    let stage = Stage::load();
    let _one = SCREEN.lock().unwrap_or_else(PoisonError::into_inner);
    let screen = Screen::new(stage);
    let steps = [
        "wait mimalloc for a Windows program",
        "meet",
        "choose Running programs",
        "wait could be put on mimalloc",
        "meet",
        "choose blocks.exe",
        "wait is on its own heap",
        "meet",
        "choose Put it on mimalloc now",
        "wait blocks.exe is on mimalloc",
        "meet",
        "close",
    ];
    let program = screen.on_screen(stage.program("blocks")).mode(Mode::Plain);
    let run = program.run_meeting(|_| {
        let picture = |number| screen.take_picture(&format!("running-{number}"));
        let driver = stage.program("window_driver");
        let window = screen.use_window(driver, &steps, None, picture);
        window.expect_code(0);
        window.expect_output(&["allograft inject --count --pid", "blocks", "left of the old heap"]);
    });
    run.expect_code(0);
}

#[test]
fn long_paths_and_other_scripts_fit_into_the_window() {
    let folder = tempfile::tempdir().unwrap();
    let long = folder.path().join("משחקים").join("long-name-".repeat(10));
    fs::create_dir_all(&long).unwrap();
    let path = long.join("משחק.exe");
    fs::copy(Stage::load().programs.join("proxied.exe"), &path).unwrap();
    let steps = ["wait משחק.exe will work with mimalloc", "choose Details", "meet", "close"];
    let run = use_window("long-path", Some(&path), &steps, |_| {});
    let whole = Stage::load().windows_path(&path);
    run.expect_output(&["…", "Run it on mimalloc now", &format!("allograft check {whole}")]);
}

#[test]
fn a_command_line_never_opens_a_window() {
    let run = Stage::load().launcher().run();
    run.expect_code(125).expect_error_line(&["--help"]);
}
