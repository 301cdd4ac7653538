//! The takeover of programs of our own, on every C runtime: early, and while they run.
//!
//! Each test runs one program of `programs/`, which checks one behaviour and ends with the exit
//! code 0 if it holds.

use allograft_tests::{Launch, Mode, ProgramRun, Stage, X86};

/// Runs `program` in `modes` on every C runtime, and demands that it passes and was taken over.
fn passes_in(
    program: &str,
    modes: &[Mode],
    prepare: impl Fn(Launch<'static>) -> Launch<'static>,
) -> Vec<ProgramRun> {
    let stage = Stage::load();
    let mut runs = Vec::new();
    for crt in stage.crts() {
        for &mode in modes {
            let run = prepare(stage.program(program).on(crt).mode(mode)).run();
            run.expect_code(0);
            if mode != Mode::Plain {
                run.expect_taken_over();
            }
            runs.push(run);
        }
    }
    runs
}

/// The plain run shows that the untouched C runtime too does what the program demands.
const EVERY_MODE: [Mode; 3] = [Mode::Plain, Mode::Early, Mode::Injected];

const TAKEOVERS: [Mode; 2] = [Mode::Early, Mode::Injected];

#[test]
fn blocks_of_every_kind_from_before_can_be_read_sized_resized_and_freed() {
    passes_in("blocks", &EVERY_MODE, |launch| launch);
}

#[test]
fn the_report_counts_what_became_of_the_old_blocks() {
    for run in passes_in("blocks", &[Mode::Injected], |launch| launch) {
        let report = run.expect_taken_over();
        let runtime = &report.runtimes[0];
        assert_eq!(runtime.name.to_lowercase(), "ucrtbase.dll");
        assert!(runtime.functions >= 20, "only {} functions were taken over", runtime.functions);
        // The program resizes half of its 8,000 blocks and frees the other half.
        let foreign = &report.foreign;
        assert!(foreign.migrated_blocks >= 4000, "{foreign:?}");
        assert!(foreign.freed_blocks >= 4000, "{foreign:?}");
        assert!(
            foreign.migrated_bytes > 1_000_000 && foreign.freed_bytes > 1_000_000,
            "{foreign:?}"
        );
        assert!(report.attach_microseconds > 0.0);
        assert!(report.message.is_empty(), "{}", report.message);
    }
}

#[test]
fn a_module_that_comes_late_finds_the_program_where_it_is() {
    passes_in("late", &[Mode::Late(300)], |launch| launch);
}

#[test]
fn every_exported_name_of_every_function_works() {
    let runs = passes_in("families", &TAKEOVERS, |launch| launch);
    for run in runs {
        assert!(run.stdout.contains("exported malloc\n"), "{run}");
    }
}

#[test]
fn the_untouched_runtime_exports_the_same_names() {
    let stage = Stage::load();
    for crt in stage.microsoft_crts() {
        let plain = stage.program("families").on(crt).run();
        let early = stage.program("families").on(crt).mode(Mode::Early).run();
        early.expect_code(0).expect_transcript(&plain.expect_code(0).stdout);
    }
}

#[test]
fn memory_that_functions_inside_the_runtime_hand_out_can_be_used_up() {
    passes_in("inner_memory", &EVERY_MODE, |launch| launch);
}

#[test]
fn errno_belongs_to_the_thread_and_is_left_alone_on_success() {
    passes_in("errno_threads", &TAKEOVERS, |launch| launch);
}

#[test]
fn invalid_parameters_go_to_the_handler_of_the_thread_or_of_the_process() {
    let stage = Stage::load();
    for crt in stage.microsoft_crts() {
        for mode in EVERY_MODE {
            stage.program("invalid_parameter").on(crt).mode(mode).run().expect_code(0);
        }
    }
}

#[test]
fn every_form_of_new_and_delete_works_and_exceptions_cross_frames() {
    passes_in("cpp_new", &EVERY_MODE, |launch| launch);
}

#[test]
fn containers_grow_across_the_moment_of_takeover() {
    passes_in("containers", &EVERY_MODE, |launch| launch);
}

#[test]
fn what_the_runtime_itself_allocated_is_freed_across_the_takeover() {
    for run in passes_in("crt_allocations", &EVERY_MODE, |launch| launch) {
        assert!(run.stdout.contains("every exit function was run"), "{run}");
    }
}

#[test]
fn tables_that_the_runtime_grows_by_its_inner_functions_keep_their_contents() {
    passes_in("crt_tables", &EVERY_MODE, |launch| launch);
}

#[test]
fn blocks_of_the_system_heap_can_be_given_to_free() {
    passes_in("heap_blocks", &EVERY_MODE, |launch| launch);
}

#[test]
fn foreign_pointers_from_all_over_the_address_space_are_recognised() {
    passes_in("foreign_pointers", &EVERY_MODE, |launch| launch);
}

#[test]
fn import_tables_lead_straight_to_mimalloc() {
    passes_in("import_tables", &TAKEOVERS, |launch| launch.arg("redirected"));
}

#[test]
fn import_tables_are_left_alone_if_the_user_says_so() {
    passes_in("import_tables", &TAKEOVERS, |launch| {
        launch.env("ALLOGRAFT_IMPORTS", "0").arg("untouched")
    });
}

#[test]
fn a_32_bit_program_has_its_address_space_to_itself() {
    let stage = Stage::load();
    if *stage.target != X86 {
        return;
    }
    for crt in stage.crts() {
        for large in [false, true] {
            let folder = tempfile::tempdir().expect("a scratch folder can be made");
            let program = folder.path().join("address_space.exe");
            let image =
                std::fs::read(stage.programs.join("address_space.exe")).expect("it was built");
            std::fs::write(&program, marked(image, large)).expect("it can be written");
            let launch = Launch::new(stage, program).on(crt).mode(Mode::Injected);
            let argument = if large { "large" } else { "small" };
            let run = launch.arg(argument).run();
            run.expect_code(0).expect_taken_over();
        }
    }
}

/// The PE image, marked as able to use addresses above 2 GB or not.
fn marked(mut image: Vec<u8>, large: bool) -> Vec<u8> {
    const LARGE_ADDRESS_AWARE: u8 = 0x20;
    let headers = u32::from_le_bytes(image[0x3C..0x40].try_into().expect("four bytes")) as usize;
    let characteristics = &mut image[headers + 22];
    *characteristics &= !LARGE_ADDRESS_AWARE;
    if large {
        *characteristics |= LARGE_ADDRESS_AWARE;
    }
    image
}

#[test]
fn threads_at_full_speed_do_not_notice_the_takeover() {
    for seed in 1..=3 {
        passes_in("churn", &TAKEOVERS, |launch| launch.args(&["4", "60000"]).arg(seed.to_string()));
    }
}

#[test]
fn a_runtime_that_is_loaded_later_is_taken_over_then() {
    let stage = Stage::load();
    for crt in stage.crts() {
        for mode in TAKEOVERS {
            let run = stage.program("later_runtime").on(crt).mode(mode).run();
            run.expect_code(0);
            assert!(run.stdout.contains("passed"), "{run}");
        }
    }
}

const WAYS_TO_END: [&str; 9] = [
    "return",
    "exit",
    "_exit",
    "quick_exit",
    "abort",
    "ExitProcess",
    "other-thread",
    "TerminateProcess",
    "exception",
];

/// Demands that the program with `more` arguments ends after the takeover as it does untouched and
/// without them.
#[track_caller]
fn ends_as_the_untouched_program(more: &[&str]) {
    let stage = Stage::load();
    for way in WAYS_TO_END {
        let plain = stage.program("exit_paths").arg(way).run();
        let code = plain.code.unwrap_or_else(|| panic!("{plain}"));
        for mode in TAKEOVERS {
            let run = stage.program("exit_paths").arg(way).args(more).mode(mode).run();
            run.expect_code(code).expect_transcript(&plain.stdout);
        }
    }
}

#[test]
fn every_way_to_end_gives_the_exit_code_of_the_untouched_program() {
    ends_as_the_untouched_program(&[]);
}

/// Not compared with the untouched program that has busy threads: on Wine's heap it can hang.
#[test]
fn busy_threads_do_not_hold_up_the_end() {
    ends_as_the_untouched_program(&["busy"]);
}
