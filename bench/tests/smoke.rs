//! The bench works: every workload does the same in every configuration, and the instructions that
//! allograft adds are few.

use allograft_bench::run::Amount;
use allograft_bench::session::Session;
use allograft_bench::workload::{self, Program, Workload};
use allograft_bench::{configuration, entries};
use allograft_tests::Stage;

/// Instructions that allograft may add to a `malloc` and its `free` together, both of the common
/// case: the test whether the page map knows the block, and what it takes more to make one branch
/// of two.
const MORE_FOR_A_PAIR: i64 = 4;

#[test]
fn every_workload_does_the_same_in_every_configuration() {
    let stage = Stage::load();
    let is_short =
        |workload: &&Workload| workload.is_own() || workload.program == Program::ClangFormat;
    let workloads: Vec<Workload> = workload::ALL.iter().filter(is_short).copied().collect();
    let session = Session {
        stage,
        configurations: &configuration::chosen(stage, &[], &[]).unwrap(),
        workloads: &workloads,
        rounds: 1,
        amount: Amount::Tiny,
        with_module: true,
    };
    // The session itself compares the checksums, and demands a report of a takeover where there
    // should be one.
    let results = session.run(|_| ()).unwrap_or_else(|error| panic!("{error:#}"));
    for measured in &results.workloads {
        for series in &measured.series {
            let of_what = format!("{}, {}", measured.workload, series.configuration);
            assert!(series.nanoseconds[0] > 0.0, "{of_what} took no time");
            assert!(series.peak_memory[0] > 0.0, "{of_what} needed no memory");
        }
    }
    assert!(results.takeovers.iter().all(|takeover| takeover.load_microseconds.len() == 1));
}

#[test]
fn the_common_case_takes_few_instructions_more_than_mimalloc_itself() {
    let counted = entries::count(Stage::load()).unwrap_or_else(|error| panic!("{error:#}"));
    let more = |name: &str| {
        let entry = counted.iter().find(|entry| entry.entry == name).unwrap();
        entry.allograft as i64 - entry.limit.unwrap() as i64
    };
    let added = more("malloc, 64 bytes") + more("free, 64 bytes");
    assert!(added <= MORE_FOR_A_PAIR, "{added} instructions more: {counted:#?}");
}
