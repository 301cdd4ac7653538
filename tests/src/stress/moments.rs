//! Storms in which the module comes at a random moment, once or several times.

use std::thread;
use std::time::Duration;

use super::attempt::{Attempt, Injection, PATIENCE, demand};
use super::results::TakeoverFigures;

/// Eight busy threads of `program`, and one that starts and ends more.
pub(super) fn under_load(attempt: &Attempt, program: &str) -> Result<TakeoverFigures, String> {
    let go_on = (20 + attempt.random().u64(..80)).to_string();
    let storm = attempt.program(program).arg(attempt.seed.to_string());
    attempt.inject_at_random(storm.arg(go_on))
}

/// Two launchers at once, the second with a copy of the module of another name, and a third one
/// later: one takeover, and nobody fails.
pub(super) fn together(attempt: &Attempt) -> Result<TakeoverFigures, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let copy = folder.path().join("another-name.dll");
    std::fs::copy(attempt.stage.module(), &copy).map_err(|error| error.to_string())?;
    let pause = Duration::from_millis(attempt.random().u64(..40));
    let mut injections: Vec<Injection> = Vec::new();
    let storm = attempt.program("storm").arg(attempt.seed.to_string());
    let run = storm.arg("50").run_meeting(|pid| {
        thread::scope(|scope| {
            let first = scope.spawn(|| attempt.inject(pid));
            thread::sleep(pause);
            let second = scope.spawn(|| attempt.inject_module(pid, Some(&copy), PATIENCE));
            injections.extend(first.join());
            injections.extend(second.join());
        });
        injections.push(attempt.inject(pid));
    });
    demand(run.code == Some(0), "the program failed", &run)?;
    for injection in &injections {
        demand(injection.run.code == Some(0), "an injection failed", &injection.run)?;
    }
    let third = injections.last().ok_or("no injection came about")?;
    demand(
        third.run.stdout.contains("already attached"),
        "the third injection does not say that the module is there",
        &third.run,
    )?;
    let reports = injections.iter().filter_map(|injection| injection.report.as_ref());
    let active: Vec<_> = reports.filter(|report| report.is_active()).collect();
    match active[..] {
        [report] => Ok(TakeoverFigures::from_report(report)),
        _ => Err(format!("{} takeovers were reported\n{run}", active.len())),
    }
}
