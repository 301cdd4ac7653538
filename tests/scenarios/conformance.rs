//! A short run of the differential test on every C runtime; `cargo xtask conformance` runs a longer
//! one.

use allograft_tests::Stage;
use allograft_tests::conformance::{self, Plan};

#[test]
fn random_sequences_of_calls_answer_as_on_the_untouched_runtime() {
    let stage = Stage::load();
    let plan = Plan { seed: 1, operations: 200_000, shrink: true };
    for crt in stage.crts() {
        for row in conformance::run(stage, crt, &plan, &mut |_, _| ()) {
            assert_eq!(row.deviations, 0, "{:?} on {}: {:#?}", row.mode, row.crt, row.failures);
        }
    }
}
