//! The differential test of the contract: the same random sequence of calls on Microsoft's
//! untouched C runtime and under the takeover, early and in the middle of the sequence. The
//! transcripts must be equal.
//!
//! The program `conformance` performs a sequence that is given by its [`Sequence`] alone. Operation
//! number i depends on the seed and on i only, so a sequence is shortened by leaving operations
//! out, which [`shrink`] does for one that fails.

mod compare;
mod reduce;
mod sequence;

use std::time::{Duration, Instant};

pub use compare::{Deviation, compare};
pub use reduce::reduce;
pub use sequence::{Kept, Sequence};

use crate::launch::Mode;
use crate::run::ProgramRun;
use crate::stage::{Crt, Stage};

/// Operations of one run of the program. A larger test is several runs.
const OPERATIONS_OF_A_RUN: u64 = 50_000;

/// Most runs that a failing sequence is shortened with.
const MOST_REDUCTIONS: usize = 150;

/// What to test.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Seed of the first sequence; the following ones have the following seeds.
    pub seed: u64,
    /// Operations in total for each C runtime, half of them early and half injected in the middle.
    pub operations: u64,
    /// Whether failing sequences are shortened.
    pub shrink: bool,
}

/// The outcome for one C runtime and one mode: a row of the table.
#[derive(Debug)]
pub struct Row {
    /// Name of the C runtime.
    pub crt: String,
    /// [`Mode::Early`], or [`Mode::Injected`] for the middle of the sequence.
    pub mode: Mode,
    /// Operations performed under the takeover, or around it.
    pub operations: u64,
    /// Calls whose line of the transcript differs.
    pub deviations: u64,
    /// The sequences that failed.
    pub failures: Vec<Failure>,
    /// How long it took.
    pub duration: Duration,
}

/// A sequence with a deviation.
#[derive(Debug)]
pub struct Failure {
    /// The sequence, shortened if that was asked for.
    pub sequence: Sequence,
    /// What differs, first things first; of the shortened sequence if there is one.
    pub deviations: Vec<Deviation>,
    /// The shortened sequence as the untouched C runtime answers it, if it could be shortened.
    pub transcript: Option<String>,
}

/// Runs `plan` on `crt` and returns a row for each mode. `progress` is told about each sequence
/// that is done.
///
/// # Panics
///
/// If the programs cannot be run at all.
pub fn run(
    stage: &Stage,
    crt: &Crt,
    plan: &Plan,
    progress: &mut dyn FnMut(Mode, &Sequence),
) -> [Row; 2] {
    [Mode::Early, Mode::Injected].map(|mode| run_mode(stage, crt, mode, plan, progress))
}

fn run_mode(
    stage: &Stage,
    crt: &Crt,
    mode: Mode,
    plan: &Plan,
    progress: &mut dyn FnMut(Mode, &Sequence),
) -> Row {
    let started = Instant::now();
    let mut row = Row {
        crt: crt.name.clone(),
        mode,
        operations: 0,
        deviations: 0,
        failures: Vec::new(),
        duration: Duration::ZERO,
    };
    let mut remaining = plan.operations.div_ceil(2);
    let mut seed = plan.seed;
    while remaining > 0 {
        let operations = remaining.min(OPERATIONS_OF_A_RUN);
        let sequence = Sequence::new(seed, operations, mode, crt.is_wine());
        let deviations = deviations_of(stage, crt, &sequence);
        row.operations += operations;
        row.deviations += deviations.len() as u64;
        if !deviations.is_empty() {
            row.failures.push(failure(stage, crt, sequence.clone(), deviations, plan.shrink));
        }
        progress(mode, &sequence);
        remaining -= operations;
        seed += 1;
    }
    row.duration = started.elapsed();
    row
}

fn failure(
    stage: &Stage,
    crt: &Crt,
    sequence: Sequence,
    deviations: Vec<Deviation>,
    shorten: bool,
) -> Failure {
    if !shorten {
        return Failure { sequence, deviations, transcript: None };
    }
    let shorter = shrink(stage, crt, &sequence, &deviations);
    let again = deviations_of(stage, crt, &shorter);
    if again.is_empty() {
        // It does not fail every time: the first finding is all there is.
        return Failure { sequence, deviations, transcript: None };
    }
    let untouched = untouched_run(stage, crt, &shorter);
    Failure { sequence: shorter, deviations: again, transcript: Some(untouched.stdout) }
}

/// The differences between the untouched C runtime and the takeover on `crt` over `sequence`.
///
/// Wine's own C runtime breaks the contract by itself, so what runs on it is compared with the
/// newest of Microsoft's.
pub fn deviations_of(stage: &Stage, crt: &Crt, sequence: &Sequence) -> Vec<Deviation> {
    let untouched = untouched_run(stage, crt, sequence);
    let taken_over = sequence.run(stage, crt, sequence.mode);
    let mut deviations = compare(&untouched.stdout, &taken_over.stdout);
    if !ended_well(&taken_over) {
        deviations.push(Deviation {
            expected: "exit code 0, and the heap taken over".to_owned(),
            got: taken_over.to_string(),
        });
    }
    deviations
}

fn untouched_run(stage: &Stage, crt: &Crt, sequence: &Sequence) -> ProgramRun {
    let measure = if crt.is_wine() { stage.newest_crt() } else { crt };
    sequence.run(stage, measure, Mode::Plain)
}

fn ended_well(run: &ProgramRun) -> bool {
    run.code == Some(0) && run.report.as_ref().is_some_and(crate::ModuleReport::is_active)
}

/// Leaves out of a failing sequence what its failure does not need.
pub fn shrink(stage: &Stage, crt: &Crt, sequence: &Sequence, deviations: &[Deviation]) -> Sequence {
    let all = match deviations.first().and_then(Deviation::operation) {
        // Nothing after the first deviation is needed for it, but the meeting in the middle is.
        Some(last) => (0..=last).collect(),
        None => sequence.numbers(),
    };
    let still_fails = |numbers: &[u64]| {
        let shorter = sequence.keeping(numbers);
        !deviations_of(stage, crt, &shorter).is_empty()
    };
    if !still_fails(&all) {
        return sequence.clone();
    }
    sequence.keeping(&reduce(all, MOST_REDUCTIONS, still_fails))
}
