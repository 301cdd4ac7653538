//! The stress test: takes programs over at the worst moments, again and again, each time with a
//! seed that repeats it.
//!
//! Each [`Storm`] is one situation. One run of it takes a program through the situation and returns
//! the figures of the takeover, or what went wrong and everything that is needed to see it again.

mod attempt;
mod ending;
mod moments;
mod results;
mod storms;
mod system;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::{Stage, X86};
use attempt::Attempt;
pub use results::{StormResults, table};
pub use storms::{STORMS, Storm};

/// How many programs run at a time. More would only slow each other down on two processors.
const AT_ONCE: usize = 2;

/// Which storms are run, and how.
#[derive(Clone, Debug, Default)]
pub struct StressOptions {
    /// How often each storm is run; if not given, as often as its short form says.
    pub runs: Option<u32>,
    /// Only storms whose names contain this.
    pub only: Option<String>,
    /// What the seeds of the runs are derived from.
    pub seed: u64,
    /// Whether storms that have a long form run in it.
    pub long: bool,
}

impl StressOptions {
    /// The storms that are run.
    pub fn storms(&self) -> impl Iterator<Item = &'static Storm> {
        let only = self.only.clone().unwrap_or_default();
        STORMS.iter().filter(move |storm| storm.name.contains(&only))
    }
}

/// Runs one storm, on each C runtime of the stage in turn.
pub fn run(stage: &'static Stage, storm: &Storm, options: &StressOptions) -> StormResults {
    let crts: Vec<_> = stage
        .crts()
        .iter()
        .filter(|crt| !(storm.microsoft_only && crt.is_wine()))
        .filter(|_| !(storm.x64_only && *stage.target == X86))
        .collect();
    let runs = if crts.is_empty() { 0 } else { options.runs.unwrap_or(storm.short_runs) };
    let results = Mutex::new(StormResults::new(storm.name, runs));
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
                seed: seed_of_run(options.seed, storm.name, number),
                number,
                long: options.long,
            };
            let result = (storm.act)(&attempt).map_err(|reason| attempt.failure(&reason));
            results.lock().unwrap_or_else(PoisonError::into_inner).add(result);
        }
    };
    thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(runs as usize) {
            scope.spawn(work);
        }
    });
    results.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn seed_of_run(seed: u64, storm: &str, run: u32) -> u64 {
    let mix = |mixed: u64, byte| (mixed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
    fastrand::Rng::with_seed(storm.bytes().fold(seed, mix) ^ u64::from(run) << 32).u64(..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_numbers_and_runs_differ() {
        assert_eq!(seed_of_run(1, "load", 3), seed_of_run(1, "load", 3));
        assert_ne!(seed_of_run(1, "load", 3), seed_of_run(1, "load", 4));
        assert_ne!(seed_of_run(1, "load", 3), seed_of_run(1, "exits", 3));
    }

    #[test]
    fn every_storm_has_a_name_of_its_own_and_a_short_form() {
        for (index, storm) in STORMS.iter().enumerate() {
            assert!(storm.short_runs > 0, "{}", storm.name);
            assert!(STORMS[..index].iter().all(|other| other.name != storm.name), "{}", storm.name);
        }
    }

    #[test]
    fn a_few_storms_can_be_named() {
        let options = StressOptions { only: Some("lock".into()), ..StressOptions::default() };
        let names: Vec<_> = options.storms().map(|storm| storm.name).collect();
        assert_eq!(names, ["heap-lock", "loader-lock", "stream-lock"]);
        assert_eq!(StressOptions::default().storms().count(), STORMS.len());
    }
}
