//! Storms in which the program ends, with the module or while it is injected.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use allograft_laboratory::{ENDINGS, Ending};

use super::attempt::{Attempt, demand};
use super::results::TakeoverFigures;
use crate::ProgramRun;

/// How long a program may take to end while the module comes: much less than other programs get, as
/// Wine makes some hang.
const RACE_LIMIT: Duration = Duration::from_secs(30);

/// How long the launcher waits for the module then.
const RACE_PATIENCE: Duration = Duration::from_secs(15);

/// The module is there, eight threads are busy, and `program` ends.
pub(super) fn exits(attempt: &Attempt, program: &str) -> Result<TakeoverFigures, String> {
    let ending = ENDINGS[attempt.number as usize % ENDINGS.len()];
    let program = attempt.program(program).args(&[ending.name, "busy"]);
    let (run, injection) = attempt.inject_after(Duration::ZERO, program)?;
    demand_ending(ending, &run)?;
    injection.taken_over()
}

/// `program` ends while a launcher works on it. The launcher may succeed or fail, but must end;
/// the program must keep its exit code.
///
/// Wine ends the other threads of a process wherever they are, also while they hold its own locks
/// (Windows takes the heap's lock first). So a program that ends with busy threads sometimes hangs
/// without the module too: 6 of 120 runs of the untouched program, on Wine's C runtime and on
/// Microsoft's. Under Wine a few such runs are therefore no failure; more are.
pub(super) fn race(attempt: &Attempt, program: &str) -> Result<TakeoverFigures, String> {
    let mut random = attempt.random();
    let orderly: Vec<_> = ENDINGS.iter().filter(|ending| ending.is_orderly).collect();
    let ending = *orderly[random.usize(..orderly.len())];
    let head_start = Duration::from_millis(random.u64(..250));
    let injector = *attempt;
    let mut injecting = None;
    let program = attempt.program(program).args(&[ending.name, "busy"]).limit(RACE_LIMIT);
    let run = program.run_meeting(|pid| {
        injecting = Some(thread::spawn(move || injector.inject_module(pid, None, RACE_PATIENCE)));
        thread::sleep(head_start);
    });
    let injection =
        injecting.and_then(|thread| thread.join().ok()).ok_or("the injection came to no end")?;
    if run.code.is_none() && attempt.stage.wine.is_some() && is_one_of_few_hangs(attempt) {
        return Ok(TakeoverFigures::default());
    }
    demand_ending(ending, &run)?;
    demand(
        matches!(injection.run.code, Some(0 | 125)),
        "the launcher did not end as it should",
        &injection.run,
    )?;
    Ok(injection.taken_over().unwrap_or_default())
}

/// Counts a hang. Returns whether there were at most four so far, plus one in eight runs.
fn is_one_of_few_hangs(attempt: &Attempt) -> bool {
    static HANGS: AtomicU64 = AtomicU64::new(0);
    let hangs = HANGS.fetch_add(1, Ordering::Relaxed) + 1;
    hangs <= 4 + u64::from(attempt.number) / 8
}

fn demand_ending(ending: Ending, run: &ProgramRun) -> Result<(), String> {
    let code = run.code.map(i32::cast_unsigned);
    let complaint = format!("{}: another exit code, or no exit functions", ending.name);
    demand(ending.is_seen_in(code, &run.stdout), &complaint, run)
}
