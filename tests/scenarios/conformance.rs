//! Short runs of the differential tests; `cargo xtask conformance` runs a longer
//! one.

use allograft_tests::Stage;
use allograft_tests::conformance::{self, Subject};

#[track_caller]
fn expect_no_deviation(subject: Subject, operations: u64) {
    let stage = Stage::load();
    let long = std::env::var_os("ALLOGRAFT_LONG").is_some();
    let operations = if long { 5 * operations } else { operations };
    for crt in conformance::crts(stage, subject) {
        for row in conformance::run(stage, crt, subject, 1, operations) {
            assert_eq!(row.deviations, 0, "{:?} on {}: {:#?}", row.mode, row.crt, row.failures);
        }
    }
}

#[test]
fn random_sequences_of_calls_answer_as_on_the_untouched_runtime() {
    expect_no_deviation(Subject::Runtime, 200_000);
}

#[test]
fn with_exact_sizes_every_block_has_the_size_that_was_asked_for() {
    expect_no_deviation(Subject::ExactSizes, 100_000);
}

#[test]
fn random_sequences_of_calls_of_the_heap_api_answer_as_on_the_untouched_heap() {
    expect_no_deviation(Subject::HeapApi, 200_000);
}
