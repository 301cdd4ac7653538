//! Programs that end while their threads are busy, with the module or while it comes.

use crate::verify::check::{Context, Finding, Outcome, Shortfall, expect_code, expect_taken_over};
use crate::verify::runner::{Launch, Run};
use allograft_laboratory::{ENDINGS, Ending, Mode};
use std::time::Duration;

/// How long a program may take to end.
const LIMIT: Duration = Duration::from_secs(30);

/// How long the launcher waits for the module while the program ends, in seconds.
const PATIENCE: &str = "15";

/// Of how many programs that end while the module comes Wine may let one hang.
const RACES_PER_HANG: u32 = 8;

const PROGRAMS: [(&str, &str); 2] =
    [("a C runtime", "exit_paths.exe"), ("a C runtime that is linked in", "heap_exit_paths.exe")];

pub fn run(context: &Context<'_>) -> Vec<Finding> {
    PROGRAMS
        .iter()
        .flat_map(|&(subject, program)| {
            [
                Finding::new(format!("{subject}, after the takeover"), ends(context, program)),
                Finding::new(format!("{subject}, during it"), races(context, program)),
            ]
        })
        .collect()
}

/// The module is there, eight threads are busy, and the program ends.
fn ends(context: &Context<'_>, program: &str) -> Result<String, Shortfall> {
    let endings = orderly_endings();
    let count = context.effort.pick(2, endings.len(), 4 * endings.len());
    for number in 0..count {
        let ending = endings[(context.seed as usize + number) % endings.len()];
        let launch = busy(context, program, ending);
        let run = context.run_with_module(launch, Mode::Injected, &[])?;
        if let Some(injection) = &run.meeting {
            expect_code(injection, 0)?;
        }
        expect_taken_over(&run)?;
        expect_ending(&run, ending)?;
    }
    Ok(format!("{count} programs ended as without allograft, in {} ways", count.min(endings.len())))
}

/// The program ends while the launcher works on it. The launcher may succeed or fail, but must end;
/// the program must keep its exit code.
///
/// Wine ends the other threads of a process wherever they are, also while they hold its own locks
/// (Windows takes the heap's lock first). So a program that ends with busy threads sometimes hangs
/// there without the module too.
fn races(context: &Context<'_>, program: &str) -> Result<String, Shortfall> {
    let endings = orderly_endings();
    let count = context.effort.pick(2, 10, 60);
    let mut hangs = 0;
    for number in 0..count {
        let seed = context.seed as usize + number as usize;
        let ending = endings[seed % endings.len()];
        let head_start = Duration::from_millis(seed as u64 * 67 % 250);
        let launch = busy(context, program, ending).head_start(head_start);
        let run = context.run_with_module(launch, Mode::Injected, &["--timeout", PATIENCE])?;
        if run.exit_code.is_none() && context.is_wine && hangs <= number / RACES_PER_HANG {
            hangs += 1;
            continue;
        }
        judge_race(&run, ending)?;
    }
    let left_out = match hangs {
        0 => String::new(),
        _ => format!("; Wine let {hangs} more hang"),
    };
    Ok(format!("{} programs ended as without allograft{left_out}", count - hangs))
}

/// The others may hang without allograft too.
fn orderly_endings() -> Vec<Ending> {
    ENDINGS.iter().copied().filter(|ending| ending.is_orderly).collect()
}

fn busy(context: &Context<'_>, program: &str, ending: Ending) -> Launch {
    Launch::new(context.program(program)).args([ending.name, "busy"]).limit(LIMIT)
}

fn expect_ending(run: &Run, ending: Ending) -> Result<(), Shortfall> {
    let code = run.exit_code.map_or("nothing".to_owned(), |code| format!("{code:#x}"));
    let functions_ran = run.output.contains("exit functions ran");
    match ending.is_seen_in(run.exit_code, &run.output) {
        true => Ok(()),
        false => Err(Outcome::failed_in(
            run,
            format_args!(
                "a program that ends by {} ended with {}, {} its exit functions",
                ending.name,
                code,
                if functions_ran { "after" } else { "without" }
            ),
        )),
    }
}

fn judge_race(run: &Run, ending: Ending) -> Result<(), Shortfall> {
    expect_ending(run, ending)?;
    let code = run.meeting.as_ref().and_then(|injection| injection.exit_code);
    match (code, &run.meeting) {
        (Some(0 | 125), _) => Ok(()),
        (_, Some(injection)) => {
            Err(Outcome::failed_in(injection, "the launcher did not end as it should"))
        }
        (_, None) => Err(Outcome::failed_in(run, "the program was never ready")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn race(exit_code: Option<u32>, launcher: Option<u32>) -> Result<(), Shortfall> {
        let meeting = Run { exit_code: launcher, ..Run::default() };
        let run = Run { exit_code, meeting: Some(Box::new(meeting)), ..Run::default() };
        judge_race(&run, ENDINGS[2])
    }

    #[test]
    fn in_a_race_the_launcher_may_fail_but_both_must_end() {
        assert_eq!(race(Some(7), Some(0)), Ok(()));
        assert_eq!(race(Some(7), Some(125)), Ok(()));
        for (program, launcher) in
            [(Some(7), None), (Some(7), Some(3)), (None, Some(0)), (Some(0xC000_0005), Some(0))]
        {
            assert!(race(program, launcher).unwrap_err().is_failure(), "{program:?} {launcher:?}");
        }
    }

    #[test]
    fn an_ending_that_differs_is_named() {
        let run = Run { exit_code: Some(7), ..Run::default() };
        let failure = expect_ending(&run, ENDINGS[0]).unwrap_err();
        assert!(failure.text().contains("ends by return ended with 0x7, without"), "{failure:?}");
    }
}
