//! Storms: programs whose threads are busy with what is hardest for a takeover when the module
//! comes.

use crate::verify::check::{Context, Finding, Outcome, Shortfall, expect_code, expect_taken_over};
use crate::verify::runner::{Launch, Run};
use allograft_laboratory::Mode;
use std::ffi::OsString;
use std::time::{Duration, Instant};

/// One kind of storm.
struct Storm {
    subject: &'static str,
    program: &'static str,
    /// The arguments of a run: its seed, and how many milliseconds it goes on after the takeover.
    arguments: fn(&Context<'_>, u64, u64) -> Vec<OsString>,
    /// What a run that went well printed, beyond what all do.
    saw: fn(&Run) -> Result<(), Shortfall>,
}

/// How long a launcher waits for the module, in seconds, while threads work at full speed.
const PATIENCE: &str = "40";

const PROGRAM_LIMIT: Duration = Duration::from_secs(100);

/// What a program prints before the reason why it can do nothing here; it ends with 2 then.
pub const NOT_TRIED: &str = "not tried: ";

/// Threads allocate, hand blocks over, start and end; one loads and frees DLLs.
pub fn injected(context: &Context<'_>) -> Vec<Finding> {
    [
        ("a C runtime", "storm.exe"),
        ("a C runtime that is linked in, DLLs that come and go", "heap_storm.exe"),
    ]
    .map(|(subject, program)| {
        let storm = Storm { subject, program, arguments: seed_and_time, saw: |_| Ok(()) };
        storm.run(context)
    })
    .into()
}

/// The same with hooks in ntdll.
pub fn hooked(context: &Context<'_>) -> Vec<Finding> {
    let (subject, program) = ("", "hooked_storm.exe");
    vec![Storm { subject, program, arguments: seed_and_time, saw: hooks_were_called }.run(context)]
}

/// Many threads load and free users of the C runtime.
pub fn libraries(context: &Context<'_>) -> Vec<Finding> {
    let arguments = |context: &Context<'_>, _seed, time: u64| {
        vec![time.to_string().into(), context.scratch.into()]
    };
    let (subject, program) = ("", "library_storm.exe");
    vec![Storm { subject, program, arguments, saw: |_| Ok(()) }.run(context)]
}

fn seed_and_time(_context: &Context<'_>, seed: u64, time: u64) -> Vec<OsString> {
    vec![seed.to_string().into(), time.to_string().into()]
}

impl Storm {
    fn run(&self, context: &Context<'_>) -> Finding {
        Finding::new(self.subject, self.run_often(context))
    }

    /// Runs it again and again, each time with another seed, until it was often enough or the time
    /// is up.
    fn run_often(&self, context: &Context<'_>) -> Result<String, Shortfall> {
        let most = context.effort.pick(2, 10, 100);
        let time = Duration::from_secs(context.effort.pick(4, 20, 240));
        let began = Instant::now();
        let mut figures = Figures::default();
        for number in 0..most {
            if number > 0 && began.elapsed() >= time {
                break;
            }
            let seed = context.seed.wrapping_add(number);
            let launch = Launch::new(context.program(self.program))
                .args((self.arguments)(context, seed, 20 + seed * 37 % 80))
                .pause(Duration::from_millis(seed * 23 % 60))
                .limit(PROGRAM_LIMIT);
            let run = context.run_with_module(launch, Mode::Injected, &["--timeout", PATIENCE])?;
            figures.add(&self.judge(run)?);
        }
        Ok(figures.to_string())
    }

    fn judge(&self, run: Run) -> Result<Run, Shortfall> {
        if let Some(why) = reason_not_to_try(&run) {
            return Err(Outcome::not_tried(why));
        }
        expect_code(&run, 0)?;
        expect_taken_over(&run)?;
        if !run.output.lines().any(|line| line == "passed") {
            return Err(Outcome::failed_in(&run, "the program did not say that it passed"));
        }
        (self.saw)(&run)?;
        Ok(run)
    }
}

/// Why the program of this run could do nothing, if it said so.
pub fn reason_not_to_try(run: &Run) -> Option<&str> {
    run.output.lines().find_map(|line| line.strip_prefix(NOT_TRIED))
}

/// Each of the hooks was called during the takeover.
fn hooks_were_called(run: &Run) -> Result<(), Shortfall> {
    const HOOKS: usize = 5;

    let calls = run.output.lines().filter_map(|line| {
        let (_, calls) = line.strip_prefix("hooked ")?.split_once(": ")?;
        calls.strip_suffix(" calls")?.parse::<u64>().ok()
    });
    match calls.filter(|&calls| calls > 0).count() {
        HOOKS => Ok(()),
        called => Err(Outcome::failed_in(
            run,
            format_args!("the takeover went through {called} of the {HOOKS} hooks"),
        )),
    }
}

/// What was seen of the takeovers.
#[derive(Default)]
struct Figures {
    runs: u32,
    most_threads: u32,
    longest_microseconds: f64,
}

impl Figures {
    fn add(&mut self, run: &Run) {
        let report = run.report.as_ref();
        self.runs += 1;
        self.most_threads = self.most_threads.max(report.map_or(0, |one| one.threads_stopped));
        let microseconds = report.map_or(0.0, |one| one.attach_microseconds);
        self.longest_microseconds = self.longest_microseconds.max(microseconds);
    }
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} {}, up to {} threads suspended, takeovers of up to {:.1} ms",
            self.runs,
            if self.runs == 1 { "run" } else { "runs" },
            self.most_threads,
            self.longest_microseconds / 1000.0
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(output: &str) -> Run {
        Run { exit_code: Some(0), output: output.to_owned(), ..Run::default() }
    }

    const CALLS: &str = "hooked NtA: 1 calls\nhooked NtB: 2 calls\nhooked NtC: 3 calls\n\
                         hooked NtD: 4 calls\nhooked NtE: 5 calls\n";

    #[test]
    fn every_hook_must_have_been_called() {
        assert_eq!(hooks_were_called(&run(CALLS)), Ok(()));
        let without = hooks_were_called(&run(&CALLS.replace("3 calls", "0 calls"))).unwrap_err();
        assert!(without.text().contains("through 4 of the 5 hooks"), "{without:?}");
        assert!(hooks_were_called(&run("passed")).unwrap_err().is_failure());
    }

    #[test]
    fn a_program_that_can_do_nothing_is_not_tried_and_never_passed() {
        let storm =
            Storm { subject: "", program: "storm.exe", arguments: seed_and_time, saw: |_| Ok(()) };
        let run = run("not tried: NtX cannot be hooked\npassed\n");
        assert_eq!(storm.judge(run).unwrap_err(), Outcome::not_tried("NtX cannot be hooked"));
    }

    #[test]
    fn a_run_without_a_takeover_or_a_word_has_failed() {
        let storm =
            Storm { subject: "", program: "storm.exe", arguments: seed_and_time, saw: |_| Ok(()) };
        for output in ["passed\n", ""] {
            assert!(storm.judge(run(output)).unwrap_err().is_failure(), "{output}");
        }
    }
}
