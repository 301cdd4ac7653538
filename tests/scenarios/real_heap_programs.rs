//! Programs of other projects whose C runtime is linked in, and Rust programs: their `HeapAlloc` is
//! served, and they do the same as without. Those of which there are 32-bit ones too.

use std::path::Path;
use std::time::Duration;

use allograft_tests::{Comparison, Launch, Mode, Stage, inputs};

const LIMIT: Duration = Duration::from_secs(180);

fn launch(program: &Path) -> Launch<'static> {
    Launch::new(Stage::load(), program.to_owned()).input("").limit(LIMIT)
}

fn comparison(launch: &dyn Fn() -> Launch<'static>) -> Comparison<'_> {
    Comparison { launch, file: None, any_order: false }
}

/// The sources of the launcher and the libraries.
fn source_tree() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates")
}

#[test]
fn ninja_plans_a_big_build() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("build.ninja"), inputs::ninja_build(20_000)).unwrap();
    let ninja = || launch(&Stage::load().real.ninja).directory(folder.path()).arg("-n");
    comparison(&ninja).expect_same(0, &[Mode::Early]);
}

#[test]
fn ripgrep_searches_a_source_tree() {
    let tree = source_tree();
    let search = |arguments: &'static [&'static str]| {
        let tree = tree.clone();
        move || launch(&Stage::load().real.ripgrep).args(arguments).path_arg(&tree)
    };
    let in_order = search(&["--sort", "path", "--line-number", "heap|alloc"]);
    comparison(&in_order).expect_same(0, &[Mode::Early]);
    let by_threads = search(&["--threads", "4", "--count-matches", "[a-z]+_[a-z]+"]);
    Comparison { any_order: true, ..comparison(&by_threads) }.expect_same(0, &[Mode::Early]);
}

#[test]
fn typos_finds_mistakes() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..8 {
        let text = inputs::misspelt_source(number, 300);
        std::fs::write(folder.path().join(format!("part{number}.c")), text).unwrap();
    }
    let typos = || {
        launch(&Stage::load().real.typos)
            .args(&["--isolated", "--sort", "--format", "brief"])
            .path_arg(folder.path())
    };
    comparison(&typos).expect_same(2, &[Mode::Early]);
}

/// It is of Visual C++ 2008: its runtime makes a heap of its own.
#[test]
fn a_script_launcher_with_a_private_heap_starts_its_interpreter() {
    let stage = Stage::load();
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("tool.exe");
    std::fs::copy(&stage.real.script_launcher, &program).unwrap();
    let interpreter = stage.windows_path(&stage.programs.join("argv_env.exe"));
    std::fs::write(folder.path().join("tool-script.py"), format!("#!{interpreter}\n")).unwrap();
    let tool = || launch(&program).args(&["one", "two words", ""]).env("ALLOGRAFT_TEST_EXIT", "7");
    let reports = comparison(&tool).expect_same(7, &[Mode::Early]);
    assert_eq!(reports[0].process_heap.private_heaps, 1, "{:?}", reports[0].process_heap);
}

#[test]
fn a_rust_program_does_the_same_early_and_when_its_heap_is_full_of_old_blocks() {
    // It is told by the harness when to go on.
    let program = || Stage::load().program("rust-collections").limit(LIMIT);
    let reports = comparison(&program).expect_same(0, &[Mode::Early, Mode::Injected]);
    let heap = &reports[1].process_heap;
    assert!(heap.freed_blocks > 10_000 && heap.migrated_blocks > 0, "{heap:?}");
}
