//! The storms in their short form: `cargo xtask stress` runs them longer.

use allograft_tests::Stage;
use allograft_tests::stress::{self, Plan};

#[test]
fn every_storm_passes_without_a_failure() {
    let plan = Plan {
        seed: 1,
        long: std::env::var_os("ALLOGRAFT_LONG").is_some(),
        ..Plan::default()
    };
    let outcomes: Vec<_> = plan
        .storms()
        .map(|storm| stress::run(Stage::load(), storm, &plan))
        .collect();
    println!("{}", stress::table(&outcomes));
    let failures: Vec<_> = outcomes
        .iter()
        .flat_map(|outcome| &outcome.failures)
        .map(String::as_str)
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
