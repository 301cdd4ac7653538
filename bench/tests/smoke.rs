//! The bench works: every workload does the same in every configuration, and the instructions that
//! allograft adds are few.

use allograft_bench::session::BenchPlan;
use allograft_bench::workload::{self, Workload, WorkloadProgram};
use allograft_bench::{configuration, probes};
use allograft_tests::Stage;

/// Instructions that allograft may add to a `malloc` and its `free` together in the common case:
/// the tests whether the address is one that a program can have and whether the page map knows it,
/// and what it takes to make one branch of two.
const MORE_FOR_A_PAIR: i64 = 5;

#[test]
fn every_workload_does_the_same_in_every_configuration() {
    let stage = Stage::load();
    let is_short = |workload: &&Workload| {
        workload.is_own() || workload.program == WorkloadProgram::ClangFormat
    };
    // A thousandth of the work, to see whether it works.
    let shorten = |workload: &Workload| Workload {
        operations: workload.operations.div_ceil(1000),
        repetitions: 1,
        processes: 1,
        ..*workload
    };
    let workloads: Vec<Workload> = workload::ALL.iter().filter(is_short).map(shorten).collect();
    let plan = BenchPlan {
        stage,
        configurations: &configuration::select(stage, &[], &[]).unwrap(),
        workloads: &workloads,
        rounds: 1,
        with_probes: true,
    };
    // `run` itself compares the checksums, and requires the report of a takeover where there should
    // be one.
    let results = plan.run(|_| ()).unwrap_or_else(|error| panic!("{error:#}"));
    for result in &results.workloads {
        for series in &result.series {
            let of_what = format!("{}, {}", result.workload, series.configuration);
            assert!(series.nanoseconds[0] > 0.0, "{of_what} took no time");
            assert!(series.peak_memory[0] > 0.0, "{of_what} needed no memory");
        }
    }
    assert!(results.takeovers.iter().all(|cost| cost.load_microseconds.len() == 1));
}

#[test]
fn the_common_case_takes_few_instructions_more_than_mimalloc_itself() {
    let counted =
        probes::count_instructions(Stage::load()).unwrap_or_else(|error| panic!("{error:#}"));
    let more = |name: &str| {
        let entry = counted.iter().find(|entry| entry.entry == name).unwrap();
        entry.allograft as i64 - entry.baseline.unwrap() as i64
    };
    let added = more("malloc, 64 bytes") + more("free, 64 bytes");
    assert!(added <= MORE_FOR_A_PAIR, "{added} instructions more: {counted:#?}");
}
