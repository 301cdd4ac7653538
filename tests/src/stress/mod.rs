//! The storms: the worst moments for a takeover, over and over, each with a seed that repeats it.
//!
//! Each [`Storm`] is one situation. A run of it takes a program through that situation, with and
//! against the module, and tells how long the takeover took; or says what went wrong, with
//! everything that is needed to see it again. [`run`] runs storms and gathers an [`Outcome`] for
//! each.

mod attempt;
mod ending;
mod locks;
mod moments;
mod outcome;
mod random;
mod storms;
mod system;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::{Stage, X86};
use attempt::Attempt;
pub use outcome::{Outcome, table};
use random::Random;
pub use storms::{STORMS, Storm};

/// How many programs run at a time: more than there are processors to share would only slow each.
const AT_ONCE: usize = 2;

/// What is to be run.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Runs of each storm; the storm's own short number if nothing is said.
    pub runs: Option<u32>,
    /// Only the storms whose names contain this.
    pub only: Option<String>,
    /// What the seeds of the runs are drawn from.
    pub seed: u64,
    /// Whether storms that have a long form take it.
    pub long: bool,
}

impl Plan {
    /// The storms that are meant.
    pub fn storms(&self) -> impl Iterator<Item = &'static Storm> {
        let only = self.only.clone().unwrap_or_default();
        STORMS.iter().filter(move |storm| storm.name.contains(&only))
    }
}

/// Runs one storm as often as `plan` says, on the C runtimes of the stage in turn.
pub fn run(stage: &'static Stage, storm: &Storm, plan: &Plan) -> Outcome {
    let crts: Vec<_> = stage
        .crts()
        .iter()
        .filter(|crt| !(storm.microsoft_only && crt.is_wine()))
        .filter(|_| !(storm.x64_only && *stage.target == X86))
        .collect();
    let runs = if crts.is_empty() { 0 } else { plan.runs.unwrap_or(storm.short_runs) };
    let outcome = Mutex::new(Outcome::new(storm.name, runs));
    let next = AtomicU32::new(0);
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= runs {
                return;
            }
            let attempt = Attempt {
                stage,
                crt: crts[number as usize % crts.len()],
                seed: Random::of(plan.seed, storm.name, number).next(),
                number,
                long: plan.long,
            };
            let result = (storm.act)(&attempt).map_err(|reason| attempt.failure(&reason));
            outcome.lock().unwrap_or_else(PoisonError::into_inner).add(result);
        }
    };
    thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(runs as usize) {
            scope.spawn(work);
        }
    });
    outcome.into_inner().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_storm_has_a_name_of_its_own_and_a_short_form() {
        for (index, storm) in STORMS.iter().enumerate() {
            assert!(storm.short_runs > 0, "{}", storm.name);
            assert!(STORMS[..index].iter().all(|other| other.name != storm.name), "{}", storm.name);
        }
    }

    #[test]
    fn a_plan_can_name_a_few_storms() {
        let plan = Plan { only: Some("lock".into()), ..Plan::default() };
        let names: Vec<_> = plan.storms().map(|storm| storm.name).collect();
        assert_eq!(names, ["heap-lock", "loader-lock", "stream-lock"]);
        assert_eq!(Plan::default().storms().count(), STORMS.len());
    }
}
