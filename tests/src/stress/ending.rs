//! Storms in which the program ends, with the module or while it is injected.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use super::attempt::{Attempt, demand};
use super::results::TakeoverFigures;

/// The exit code of the programs; under Wine the lowest byte of its exception's is the same.
const EXIT_CODE: i32 = 7;

/// How long a program may take to end while the module comes: much less than other programs get, as
/// Wine makes some hang.
const RACE_LIMIT: Duration = Duration::from_secs(30);

/// How long the launcher waits for the module then.
const RACE_PATIENCE: Duration = Duration::from_secs(15);

/// The ways to end, and whether exit functions run.
const WAYS: [(&str, bool); 8] = [
    ("return", true),
    ("exit", true),
    ("_exit", false),
    ("ExitProcess", false),
    ("other-thread", false),
    ("TerminateProcess", false),
    ("exception", false),
    ("terminated-threads", true),
];

/// All but the last: a thread that is terminated inside the old heap holds its lock for ever, on
/// Windows too, and no block of it can be freed again.
const WITHOUT_TERMINATED_THREADS: usize = WAYS.len() - 1;

/// The module is there, eight threads are busy, and `program` ends.
pub(super) fn exits(attempt: &Attempt, program: &str) -> Result<TakeoverFigures, String> {
    let (way, runs_exit_functions) = WAYS[attempt.number as usize % WAYS.len()];
    let program = attempt.program(program).args(&[way, "busy"]);
    let (run, injection) = attempt.inject_after(Duration::ZERO, program)?;
    demand(ended_well(run.code), &format!("{way}: another exit code"), &run)?;
    demand(
        run.stdout.contains("exit functions ran") || !runs_exit_functions,
        &format!("{way}: the exit functions were not run"),
        &run,
    )?;
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
    let (way, _) = WAYS[random.usize(..WITHOUT_TERMINATED_THREADS)];
    let head_start = Duration::from_millis(random.u64(..250));
    let injector = *attempt;
    let mut injecting = None;
    let program = attempt.program(program).args(&[way, "busy"]).limit(RACE_LIMIT);
    let run = program.run_meeting(|pid| {
        injecting = Some(thread::spawn(move || injector.inject_module(pid, None, RACE_PATIENCE)));
        thread::sleep(head_start);
    });
    let injection =
        injecting.and_then(|thread| thread.join().ok()).ok_or("the injection came to no end")?;
    if run.code.is_none() && attempt.stage.wine.is_some() && is_one_of_few_hangs(attempt) {
        return Ok(TakeoverFigures::default());
    }
    demand(ended_well(run.code), &format!("{way}: another exit code"), &run)?;
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

fn ended_well(code: Option<i32>) -> bool {
    code.is_some_and(|code| code & 0xFF == EXIT_CODE)
}
