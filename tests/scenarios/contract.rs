//! The C runtime's contract: a program observes the same as on Microsoft's untouched C runtime.
//!
//! The transcripts in `transcripts/` were written by Microsoft's `ucrtbase.dll` 10.0.26100.1742;
//! four older versions answer the same. Wine's own C runtime answers many calls differently: there
//! only the takeover must keep the contract.

use allograft_tests::{Crt, Mode, Stage};

const CONTRACT: &str = include_str!("../transcripts/contract.txt");
const NEW_HANDLER: &str = include_str!("../transcripts/new_handler.txt");
const ENVIRONMENT: &str = include_str!("../transcripts/environment.txt");
const OS_MODE: &str = include_str!("../transcripts/os_mode.txt");

const TAKEOVERS: [Mode; 2] = [Mode::Early, Mode::Injected];

fn untouched(program: &str, transcript: &str) {
    let stage = Stage::load();
    for crt in stage.microsoft_crts() {
        let run = stage.program(program).on(crt).run();
        run.expect_code(0).expect_transcript(transcript);
    }
}

fn taken_over<'a>(program: &str, transcript: &str, crts: impl Iterator<Item = &'a Crt>) {
    let stage = Stage::load();
    for crt in crts {
        for mode in TAKEOVERS {
            let run = stage.program(program).on(crt).mode(mode).run();
            run.expect_taken_over();
            run.expect_code(0).expect_transcript(transcript);
        }
    }
}

#[test]
fn microsofts_runtimes_answer_as_the_transcript_of_the_contract_says() {
    untouched("contract", CONTRACT);
}

#[test]
fn after_the_takeover_every_call_of_the_contract_answers_the_same() {
    taken_over("contract", CONTRACT, Stage::load().microsoft_crts());
}

/// Wine's own C runtime does not keep a new handler, has no `_aligned_offset_recalloc`, and has
/// another layout of such blocks: what the program does with these is left out.
#[test]
fn after_the_takeover_wines_runtime_keeps_the_contract_too() {
    let stage = Stage::load();
    let possible = |transcript: &str| {
        let without_handlers = transcript.split("with new mode 1").next().unwrap_or_default();
        let mut lines: Vec<_> = without_handlers.lines().collect();
        lines.retain(|line| !line.starts_with("old _aligned_offset_recalloc"));
        lines.join("\n")
    };
    for crt in stage.crts().iter().filter(|crt| crt.is_wine()) {
        for mode in TAKEOVERS {
            let mut run = stage.program("contract").on(crt).mode(mode).run();
            run.expect_code(0).expect_taken_over();
            run.stdout = possible(&run.stdout);
            run.expect_transcript(&possible(CONTRACT));
        }
    }
}

#[test]
fn microsofts_runtimes_call_the_new_handler_as_its_transcript_says() {
    untouched("new_handler", NEW_HANDLER);
}

#[test]
fn after_the_takeover_the_new_handler_is_called_the_same() {
    taken_over("new_handler", NEW_HANDLER, Stage::load().microsoft_crts());
}

#[test]
fn microsofts_runtimes_answer_for_the_environment_as_its_transcript_says() {
    untouched("environment", ENVIRONMENT);
}

#[test]
fn after_the_takeover_the_environment_answers_the_same() {
    taken_over("environment", ENVIRONMENT, Stage::load().microsoft_crts());
}

#[test]
fn microsofts_runtimes_keep_the_second_state_as_its_transcript_says() {
    untouched("os_mode", OS_MODE);
}

#[test]
fn after_the_takeover_the_second_state_is_kept_apart_the_same() {
    taken_over("os_mode", OS_MODE, Stage::load().microsoft_crts());
}
