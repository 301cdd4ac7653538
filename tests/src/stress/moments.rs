//! Storms in which the module comes at a random moment, once or several times.

use std::thread;
use std::time::Duration;

use super::attempt::{Attempt, Injection, demand};
use super::results::TakeoverFigures;

/// Eight busy threads, and one that starts and ends more.
pub(super) fn under_load(attempt: &Attempt) -> Result<TakeoverFigures, String> {
    let go_on = (20 + attempt.random().below(80)).to_string();
    let storm = attempt.program("storm").arg(attempt.seed.to_string());
    attempt.inject_at_random(storm.arg(go_on))
}

/// Two launchers at once, the second with a copy of the module of another name, and a third one
/// later: one takeover, and nobody fails.
pub(super) fn together(attempt: &Attempt) -> Result<TakeoverFigures, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let injector = attempt.injector();
    let copy = injector.copy_of_module(folder.path(), "another-name.dll");
    let pause = Duration::from_millis(attempt.random().below(40));
    let mut injections: Vec<Injection> = Vec::new();
    let storm = attempt.program("storm").arg(attempt.seed.to_string());
    let run = storm.arg("50").run_meeting(|pid| {
        thread::scope(|scope| {
            let first = scope.spawn(|| injector.inject(pid, None));
            thread::sleep(pause);
            let second = scope.spawn(|| injector.inject(pid, Some(&copy)));
            injections.extend(first.join());
            injections.extend(second.join());
        });
        injections.push(injector.inject(pid, None));
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
        [report] => Ok(TakeoverFigures {
            milliseconds: report.attach_microseconds / 1000.0,
            threads_stopped: report.threads_stopped,
        }),
        _ => Err(format!("{} takeovers were reported\n{run}", active.len())),
    }
}
