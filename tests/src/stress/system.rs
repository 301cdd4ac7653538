//! Storms about the system's limits, and about what other tools did to the program.

use std::time::Duration;

use super::attempt::{Attempt, demand};
use super::results::TakeoverFigures;

/// Bytes that the host lets a program have, where Wine does not enforce the limit of a job.
const HOST_LIMIT: u64 = 700 << 20;

/// Threads in the short and in the long form.
const THREADS: (&str, &str) = ("5000", "100000");

/// Memory does not grow with the number of threads that have ended.
pub(super) fn thread_churn(attempt: &Attempt) -> Result<TakeoverFigures, String> {
    let threads = if attempt.long { THREADS.1 } else { THREADS.0 };
    let program = attempt.program("thread_churn").arg(threads);
    attempt.inject_at_random(program.limit(Duration::from_secs(900)))
}

/// Memory runs out after the takeover.
pub(super) fn out_of_memory(attempt: &Attempt) -> Result<TakeoverFigures, String> {
    let program = attempt.program("exhausted").arg("400");
    attempt.inject_at_random(program.memory_limit(HOST_LIMIT))
}

/// There is no memory when the module comes: it takes over with what little there is, or does not,
/// and the program goes on. The program itself loads the module: the system has no memory for an
/// injector's thread.
pub(super) fn no_memory_to_attach(attempt: &Attempt) -> Result<TakeoverFigures, String> {
    let module = attempt.stage.module();
    let program = attempt.program("exhausted").arg("400").path_arg(&module);
    let run = program.memory_limit(HOST_LIMIT).run();
    demand(run.code == Some(0), "the program failed", &run)?;
    Ok(TakeoverFigures::default())
}

/// Another tool has redirected a function: nothing is changed, and the launcher says why.
pub(super) fn foreign_hook(attempt: &Attempt) -> Result<TakeoverFigures, String> {
    let program = attempt.program("foreign_hook");
    let (run, injection) = attempt.inject_after(Duration::ZERO, program)?;
    demand(run.code == Some(0), "the program failed", &run)?;
    let refused = injection.run.code == Some(125)
        && injection.run.stderr.contains("another tool has already redirected its function malloc");
    demand(refused, "the injection was not refused with its reason", &injection.run)?;
    Ok(TakeoverFigures::default())
}
