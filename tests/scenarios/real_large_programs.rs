//! Large programs of other projects whose C runtime is linked in, taken over at their start and
//! while they work. Their packages are fetched for 64 bits only.

use std::path::{Path, PathBuf};
use std::time::Duration;

use allograft_tests::{Comparison, Launch, Mode, Stage};

const LIMIT: Duration = Duration::from_secs(240);

fn input(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("inputs").join(name)
}

fn launch(program: &Path) -> Launch<'static> {
    Launch::new(Stage::load(), program.to_owned()).input("").limit(LIMIT)
}

/// Runs it early, and late: at a moment when it starts or works.
fn early_and_late(comparison: &Comparison<'_>) {
    comparison.expect_same(0, &[Mode::Early, Mode::Late(100), Mode::Late(400)]);
}

#[test]
fn cmake_runs_a_script_that_allocates() {
    let cmake = || launch(&Stage::load().real.cmake).arg("-P").path_arg(&input("lists.cmake"));
    early_and_late(&Comparison { launch: &cmake, file: None, any_order: false });
}

#[test]
fn duckdb_aggregates_generated_rows() {
    let duckdb = || {
        launch(&Stage::load().real.duckdb)
            .args(&["-batch", "-csv", "-init"])
            .path_arg(&input("aggregation.sql"))
            .arg(":memory:")
    };
    early_and_late(&Comparison { launch: &duckdb, file: None, any_order: false });
}

#[test]
fn node_builds_and_sorts_objects() {
    // Under Wine, node cannot write to a pipe.
    let folder = tempfile::tempdir().unwrap();
    let result = folder.path().join("result.txt");
    let node = || {
        launch(&Stage::load().real.node)
            .env("NODE_SKIP_PLATFORM_CHECK", "1")
            .path_arg(&input("objects.js"))
            .path_arg(&result)
    };
    early_and_late(&Comparison { launch: &node, file: Some(&result), any_order: false });
}
