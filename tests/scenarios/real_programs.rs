//! Programs of other projects do the same with the takeover as without, and their heap is taken
//! over.

use std::path::{Path, PathBuf};
use std::time::Duration;

use allograft_tests::{Launch, Mode, Stage, inputs};
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(180);

/// Runs a program without and with the takeover on every C runtime of Microsoft's and on Wine's
/// own; exit code and output must be equal.
fn does_the_same(launch: impl Fn() -> Launch<'static>) {
    for crt in Stage::load().crts() {
        let plain = launch().on(crt).limit(LIMIT).run();
        plain.expect_code(0);
        assert!(
            !(plain.stdout.is_empty() && plain.stderr.is_empty()),
            "the program says nothing\n{plain}"
        );
        let early = launch().on(crt).limit(LIMIT).mode(Mode::Early).run();
        early.expect_code(0).expect_transcript(&plain.stdout);
        assert_eq!(early.stderr, plain.stderr, "{early}");
        let report = early.expect_taken_over();
        assert_eq!(report.runtimes[0].name.to_lowercase(), "ucrtbase.dll");
    }
}

fn input(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("inputs").join(name)
}

/// A launch of the z3 in `folder`.
fn z3(folder: &TempDir) -> Launch<'static> {
    Launch::new(Stage::load(), folder.path().join("z3.exe"))
        .native("msvcp140")
        .input("")
        .path_arg(&input("queens.smt2"))
        .limit(LIMIT)
}

fn z3_folder() -> TempDir {
    inputs::folder_with(&inputs::z3_files(&Stage::load().real))
}

#[test]
fn z3_solves_a_problem() {
    let folder = z3_folder();
    does_the_same(|| z3(&folder));
}

#[test]
fn z3_is_taken_over_while_it_works() {
    let folder = z3_folder();
    let plain = z3(&folder).run();
    assert_eq!(plain.expect_code(0).stdout, "sat\nunsat\n");
    for milliseconds in [20, 100, 300] {
        let late = z3(&folder).mode(Mode::Late(milliseconds)).run();
        late.expect_code(0).expect_transcript(&plain.stdout);
        late.expect_taken_over();
    }
}

#[test]
fn clang_format_formats_a_long_source() {
    let stage = Stage::load();
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("long.cpp");
    std::fs::write(&source, inputs::badly_formatted_source(600)).unwrap();
    does_the_same(|| {
        Launch::new(stage, stage.real.clang_format.clone())
            .input("")
            .arg("--style=LLVM")
            .path_arg(&source)
    });
}

/// A launch of Java without its warnings, which under Wine come a different number of times in each
/// run.
fn java() -> Launch<'static> {
    let stage = Stage::load();
    Launch::new(stage, stage.real.java.clone()).input("").arg("-XX:-PrintWarnings")
}

#[test]
fn java_starts_and_prints_its_version() {
    does_the_same(|| java().arg("-version"));
}

#[test]
fn java_lists_its_modules() {
    does_the_same(|| java().arg("--list-modules"));
}
