//! The differential tests of the contract: the same random sequence of calls on Microsoft's
//! untouched C runtime, or on the untouched heap API, and under the takeover, which comes early or
//! in the middle of the sequence. The transcripts must be equal.
//!
//! The programs `conformance` and `conformance_heap` perform a [`Sequence`].

mod reduce;

use std::io::Write;
use std::time::{Duration, Instant};

use allograft_laboratory::compare;
pub use allograft_laboratory::{Deviation, Sequence, Subject};
use reduce::reduce;

use crate::run::ProgramRun;
use crate::stage::{Crt, Stage};
use allograft_laboratory::Mode;

/// Operations of one run of the program. A larger test is several runs.
const OPERATIONS_OF_A_RUN: usize = 50_000;

/// How long one run may take.
const LIMIT: Duration = Duration::from_secs(120);

/// The most runs that shorten one failing sequence.
const MOST_REDUCTIONS: usize = 150;

/// The result for one C runtime and one mode: a row of the table.
#[derive(Debug)]
pub struct ConformanceRow {
    /// What was compared.
    pub subject: Subject,
    /// Name of the C runtime.
    pub crt: String,
    /// [`Mode::Early`], or [`Mode::Injected`] for the middle of the sequence.
    pub mode: Mode,
    /// Operations performed under the takeover, or around it.
    pub operations: u64,
    /// Calls whose line of the transcript differs.
    pub deviations: u64,
    /// The sequences that deviate.
    pub failures: Vec<DeviatingSequence>,
    /// How long it took.
    pub duration: Duration,
}

/// A sequence with a deviation.
#[derive(Debug)]
pub struct DeviatingSequence {
    /// The sequence, shortened if that was possible.
    pub sequence: Sequence,
    /// What differs, in order.
    pub deviations: Vec<Deviation>,
    /// What the untouched C runtime answers to the shortened sequence.
    pub transcript: Option<String>,
}

/// Performs `operations` operations of `subject` on `crt`, half of them with the module there from
/// the start and half with it injected in the middle, and returns a row for each. The first
/// sequence has the seed `seed`, and the following ones have the following seeds.
///
/// # Panics
///
/// If the programs cannot be run at all.
pub fn run(
    stage: &Stage,
    crt: &Crt,
    subject: Subject,
    seed: u64,
    operations: u64,
) -> [ConformanceRow; 2] {
    [Mode::Early, Mode::Injected]
        .map(|mode| run_mode(stage, crt, subject, mode, seed, operations.div_ceil(2)))
}

/// The C runtimes of `stage` on which `subject` is compared. What the heap API does depends on none
/// of them.
pub fn crts(stage: &Stage, subject: Subject) -> Vec<&Crt> {
    match subject {
        Subject::Runtime => stage.crts().iter().collect(),
        Subject::ExactSizes => stage.microsoft_crts().collect(),
        Subject::HeapApi => vec![stage.newest_crt()],
    }
}

fn run_mode(
    stage: &Stage,
    crt: &Crt,
    subject: Subject,
    mode: Mode,
    seed: u64,
    operations: u64,
) -> ConformanceRow {
    let started = Instant::now();
    let mut row = ConformanceRow {
        subject,
        crt: crt.name.clone(),
        mode,
        operations,
        deviations: 0,
        failures: Vec::new(),
        duration: Duration::ZERO,
    };
    for (seed, start) in (seed..).zip((0..operations).step_by(OPERATIONS_OF_A_RUN)) {
        let count = (operations - start).min(OPERATIONS_OF_A_RUN as u64);
        let sequence = Sequence::new(subject, crt.is_wine(), seed, count, mode);
        let deviations = deviations_of(stage, crt, &sequence);
        row.deviations += deviations.len() as u64;
        if !deviations.is_empty() {
            row.failures.push(shortened(stage, crt, sequence, deviations));
        }
    }
    row.duration = started.elapsed();
    row
}

fn shortened(
    stage: &Stage,
    crt: &Crt,
    sequence: Sequence,
    deviations: Vec<Deviation>,
) -> DeviatingSequence {
    let shorter = shrink(stage, crt, &sequence, &deviations);
    let again = deviations_of(stage, crt, &shorter);
    if again.is_empty() {
        // It does not deviate every time: the first finding is all there is.
        return DeviatingSequence { sequence, deviations, transcript: None };
    }
    let untouched = untouched_run(stage, crt, &shorter);
    DeviatingSequence { sequence: shorter, deviations: again, transcript: Some(untouched.stdout) }
}

/// The differences between the untouched C runtime and the takeover on `crt` over `sequence`.
///
/// Wine's own C runtime deviates without a takeover, so its functions are compared with those of
/// the newest of Microsoft's.
fn deviations_of(stage: &Stage, crt: &Crt, sequence: &Sequence) -> Vec<Deviation> {
    let untouched = untouched_run(stage, crt, sequence);
    let taken_over = perform(sequence, stage, crt, sequence.mode);
    let mut deviations = compare(&untouched.stdout, &taken_over.stdout);
    if !ended_well(&taken_over, sequence.subject) {
        deviations.push(Deviation {
            expected: "exit code 0, and the heap taken over".to_owned(),
            got: taken_over.to_string(),
        });
    }
    deviations
}

fn untouched_run(stage: &Stage, crt: &Crt, sequence: &Sequence) -> ProgramRun {
    let has_measure = !crt.is_wine() || sequence.subject == Subject::HeapApi;
    let measure = if has_measure { crt } else { stage.newest_crt() };
    perform(sequence, stage, measure, Mode::Plain)
}

/// Performs `sequence` on `crt`.
///
/// # Panics
///
/// If the file that names the kept operations cannot be written.
fn perform(sequence: &Sequence, stage: &Stage, crt: &Crt, mode: Mode) -> ProgramRun {
    let program = stage.program(sequence.subject.program());
    let mut launch = program.on(crt).mode(mode).limit(LIMIT);
    for argument in sequence.arguments() {
        launch = launch.arg(argument);
    }
    if let Some((name, value)) = sequence.variable() {
        launch = launch.env(name, value);
    }
    let mut file = tempfile::NamedTempFile::new().expect("a scratch file can be made");
    if let Some(kept) = sequence.kept() {
        file.write_all(kept.as_bytes()).expect("the scratch file can be written");
        launch = launch.path_arg(file.path());
    }
    launch.run()
}

fn ended_well(run: &ProgramRun, subject: Subject) -> bool {
    let is_redirected = |report: &crate::ModuleReport| match subject {
        Subject::Runtime => report.is_active(),
        Subject::ExactSizes => report.is_active() && report.exact_sizes,
        Subject::HeapApi => report.process_heap.is_served(),
    };
    run.code == Some(0) && run.report.as_ref().is_some_and(is_redirected)
}

/// Leaves out of a failing sequence what its failure does not need.
fn shrink(stage: &Stage, crt: &Crt, sequence: &Sequence, deviations: &[Deviation]) -> Sequence {
    let all = match deviations.first().and_then(Deviation::operation) {
        // Nothing after the first deviation is needed for it.
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
