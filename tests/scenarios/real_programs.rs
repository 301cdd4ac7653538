//! Programs that were not written here do the same with the takeover as without, and their heap was
//! taken over.

use std::path::{Path, PathBuf};
use std::time::Duration;

use allograft_tests::{Launch, Mode, Stage, inputs};

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

/// z3 in a folder with the C++ library that it was built for: Wine's own prints stray bytes on
/// Microsoft's newer C runtimes.
struct Z3 {
    folder: tempfile::TempDir,
}

impl Z3 {
    fn prepare() -> Z3 {
        let real = &Stage::load().real;
        let folder = tempfile::tempdir().unwrap();
        std::fs::copy(&real.z3, folder.path().join("z3.exe")).unwrap();
        for library in ["msvcp140.dll", "vcruntime140.dll", "vcruntime140_1.dll"] {
            std::fs::copy(real.java.with_file_name(library), folder.path().join(library)).unwrap();
        }
        Z3 { folder }
    }

    fn launch(&self) -> Launch<'static> {
        Launch::new(Stage::load(), self.folder.path().join("z3.exe"))
            .native("msvcp140")
            .input("")
            .path_arg(&input("queens.smt2"))
            .limit(LIMIT)
    }
}

#[test]
fn z3_solves_a_problem() {
    let z3 = Z3::prepare();
    does_the_same(|| z3.launch());
}

#[test]
fn z3_is_taken_over_while_it_works() {
    let z3 = Z3::prepare();
    let plain = z3.launch().run();
    assert_eq!(plain.expect_code(0).stdout, "sat\nunsat\n");
    for milliseconds in [20, 100, 300] {
        let late = z3.launch().mode(Mode::Late(milliseconds)).run();
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
fn java_starts_and_tells_its_version() {
    does_the_same(|| java().arg("-version"));
}

#[test]
fn java_lists_its_modules() {
    does_the_same(|| java().arg("--list-modules"));
}
