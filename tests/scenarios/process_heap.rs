//! Blocks of the process's heap: what programs do with them across the takeover, whoever takes
//! them, and that none of mimalloc's reaches the system's own heap. `cargo xtask test` runs this
//! scenario with the debug variant of the module too, which counts those that do.

use allograft_tests::{Launch, Mode, ProgramRun, Stage};

const EVERY_MODE: [Mode; 3] = [Mode::Plain, Mode::Early, Mode::Injected];

/// Runs `program` in `modes`, and demands that it passes and that its calls of HeapAlloc are
/// served.
fn passes_in(
    program: &str,
    modes: &[Mode],
    prepare: impl Fn(Launch<'static>) -> Launch<'static>,
) -> Vec<ProgramRun> {
    let run = |mode: &Mode| prepare(Stage::load().program(program).mode(*mode)).run();
    let runs: Vec<_> = modes.iter().map(run).collect();
    for (run, mode) in runs.iter().zip(modes) {
        run.expect_code(0);
        if *mode != Mode::Plain {
            let report = run.expect_taken_over();
            assert!(report.process_heap.is_served(), "{report:?}\n{run}");
        }
    }
    runs
}

#[test]
fn a_runtime_that_is_linked_in_keeps_its_contract() {
    passes_in("linked_runtime", &EVERY_MODE, |launch| launch);
}

#[test]
fn a_linked_in_runtime_with_a_heap_of_its_own_is_served_and_destroys_it() {
    for run in &passes_in("linked_runtime_own_heap", &EVERY_MODE, |launch| launch)[1..] {
        let heap = &run.expect_taken_over().process_heap;
        assert_eq!(heap.private_heaps, 1, "{heap:?}\n{run}");
    }
}

#[test]
fn every_function_of_the_system_that_takes_a_block_takes_those_of_mimalloc() {
    for crt in Stage::load().crts() {
        passes_in("heap_frees", &EVERY_MODE, |launch| launch.on(crt));
    }
}

#[test]
fn modules_come_and_go_while_threads_use_the_heap() {
    for seed in 1..=3 {
        passes_in("heap_storm", &EVERY_MODE, |launch| launch.arg(seed.to_string()).arg("300"));
    }
}

#[test]
fn delay_loaded_imports_are_redirected_in_their_tables_or_when_they_are_resolved() {
    passes_in("heap_delayed", &[Mode::Plain, Mode::Injected], |launch| launch);
}

#[test]
fn every_way_to_end_gives_the_exit_code_of_the_untouched_program() {
    let stage = Stage::load();
    let ways = ["return", "exit", "_exit", "quick_exit", "ExitProcess", "other-thread"];
    for way in ways.into_iter().chain(["TerminateProcess", "exception"]) {
        let program = || stage.program("heap_exit_paths").arg(way);
        let plain = program().run();
        let code = plain.code.unwrap_or_else(|| panic!("{plain}"));
        for mode in [Mode::Early, Mode::Injected] {
            program().mode(mode).run().expect_code(code).expect_transcript(&plain.stdout);
            program().arg("busy").mode(mode).run().expect_code(code);
        }
    }
}

/// Only the debug variant counts. That it does so shows that the zeros elsewhere mean something.
#[test]
fn blocks_that_reach_the_systems_own_functions_are_counted() {
    let stage = Stage::load();
    let counts = stage.bin.ends_with("bin-debug");
    for escapes in [0, 3] {
        let launch = stage.program("heap_escape").mode(Mode::Injected).arg(escapes.to_string());
        let run = launch.escapes(escapes).run();
        run.expect_code(0);
        let counted = run.expect_taken_over().process_heap.escapes;
        assert_eq!(counted, counts.then_some(escapes), "{run}");
    }
}
