//! A short run of the differential test on every C runtime; `cargo xtask conformance` runs a longer
//! one.

use allograft_tests::{Stage, conformance};

#[test]
fn random_sequences_of_calls_answer_as_on_the_untouched_runtime() {
    let stage = Stage::load();
    for crt in stage.crts() {
        for row in conformance::run(stage, crt, 1, 200_000) {
            assert_eq!(row.deviations, 0, "{:?} on {}: {:#?}", row.mode, row.crt, row.failures);
        }
    }
}
