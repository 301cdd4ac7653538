//! What is aimed at, and whether it was reached.

use allograft_measure::statistics::Summary;

use crate::configuration::{EARLY, LATE};
use crate::results::{Results, Takeover};
use crate::workload::{self, Workload};

/// The most memory that a program may have with allograft, as a multiple of the limit's.
const MEMORY: f64 = 1.03;

/// The most that a program whose blocks are half the old heap's may take until these are gone, as a
/// multiple of the limit.
const DRAINING: f64 = 1.25;

/// The longest takeover of a process with one thread, in milliseconds.
const ONE_THREAD: f64 = 2.0;

/// The longest takeover of a process with 64 threads, in milliseconds.
const MANY_THREADS: f64 = 10.0;

/// The longest time from the call that loads the module to its return, in milliseconds.
const LOADING: f64 = 15.0;

/// The most that the module may commit before the program allocates, in MB.
const COMMITTED: f64 = 3.0;

/// The most of it that may be resident, in KB.
const RESIDENT: f64 = 512.0;

/// One thing that is aimed at.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// What was measured, and where.
    pub what: String,
    /// The most that it may be.
    pub most: f64,
    /// What it was, its median.
    pub measured: f64,
    /// The unit of both; empty for multiples of the limit.
    pub unit: &'static str,
}

impl Target {
    /// Whether it was reached.
    pub fn is_met(&self) -> bool {
        self.measured <= self.most
    }

    fn of(
        what: String,
        most: f64,
        measured: Option<Summary>,
        unit: &'static str,
        divisor: f64,
    ) -> Option<Target> {
        let measured = measured?.median / divisor;
        Some(Target { what, most, measured, unit })
    }
}

/// All targets that `results` say something of.
pub fn all(results: &Results) -> Vec<Target> {
    let mut targets: Vec<Target> = of_times(results);
    targets.extend(of_memory(results));
    targets.extend(results.takeovers.iter().flat_map(of_takeover));
    targets
}

fn of_times(results: &Results) -> Vec<Target> {
    let mut targets = Vec::new();
    for measured in &results.workloads {
        let Some(workload) = workload::named(&measured.workload).filter(|one| one.is_own()) else {
            continue;
        };
        for configuration in [EARLY, LATE] {
            let what = format!("{}, {configuration}", workload.name);
            let most = most_time(workload, configuration);
            targets.extend(Target::of(what, most, measured.time_ratio(configuration), "", 1.0));
        }
    }
    targets
}

fn most_time(workload: &Workload, configuration: &str) -> f64 {
    if workload.name == "drain" && configuration == LATE { DRAINING } else { workload.target }
}

fn of_memory(results: &Results) -> Vec<Target> {
    let own = |name: &str| workload::named(name).is_some_and(Workload::is_own);
    let measured = results.workloads.iter().filter(|measured| own(&measured.workload));
    measured
        .filter_map(|measured| {
            let what = format!("{}, {EARLY}: peak of memory", measured.workload);
            Target::of(what, MEMORY, measured.memory_ratio(EARLY), "", 1.0)
        })
        .collect()
}

fn of_takeover(takeover: &Takeover) -> Vec<Target> {
    let process = process(takeover);
    let most = if takeover.threads == 1 { ONE_THREAD } else { MANY_THREADS };
    let summary = |numbers: &[f64]| Summary::of(numbers);
    let mut targets = vec![
        Target::of(
            format!("redirecting, {process}"),
            most,
            summary(&takeover.attach_microseconds),
            "ms",
            1e3,
        ),
        Target::of(
            format!("loading the module, {process}"),
            LOADING,
            summary(&takeover.load_microseconds),
            "ms",
            1e3,
        ),
    ];
    if takeover.threads == 1 && takeover.blocks == 0 {
        targets.push(Target::of(
            "the module's own committed memory".to_owned(),
            COMMITTED,
            summary(&takeover.committed),
            "MB",
            1e6,
        ));
        targets.push(Target::of(
            "the module's own resident memory".to_owned(),
            RESIDENT,
            summary(&takeover.resident),
            "KB",
            1e3,
        ));
    }
    targets.into_iter().flatten().collect()
}

/// A process that is taken over, in words.
pub fn process(takeover: &Takeover) -> String {
    let threads = match takeover.threads {
        1 => "1 thread".to_owned(),
        count => format!("{count} threads"),
    };
    match takeover.blocks {
        0 => threads,
        blocks => format!("{threads} and {blocks} blocks"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::{Measured, Series};

    fn series(configuration: &str, nanoseconds: f64, peak: f64) -> Series {
        Series {
            configuration: configuration.to_owned(),
            nanoseconds: vec![nanoseconds],
            peak_memory: vec![peak],
            old_bytes_gone: Vec::new(),
        }
    }

    #[test]
    fn times_and_memory_are_held_against_the_limit_in_the_same_round() {
        let measured = Measured {
            workload: "pair".to_owned(),
            series: vec![series("static", 5.0, 100.0), series("early", 6.0, 102.0)],
        };
        let results = Results { workloads: vec![measured], ..Results::default() };
        let targets = all(&results);
        assert_eq!(targets.len(), 2);
        assert_eq!((targets[0].most, targets[0].measured), (1.15, 1.2));
        assert!(!targets[0].is_met());
        assert!(targets[1].is_met());
    }

    #[test]
    fn only_what_comes_late_may_take_longer_until_the_old_heap_is_drained() {
        let drain = workload::named("drain").unwrap();
        assert_eq!(most_time(drain, LATE), 1.25);
        assert_eq!(most_time(drain, EARLY), 1.10);
        assert_eq!(most_time(workload::named("drained").unwrap(), LATE), 1.10);
    }

    #[test]
    fn the_footprint_is_that_of_the_smallest_process() {
        let takeover = Takeover {
            threads: 1,
            attach_microseconds: vec![1500.0],
            load_microseconds: vec![9000.0],
            committed: vec![2.5e6],
            resident: vec![600e3],
            ..Takeover::default()
        };
        let met: Vec<bool> = of_takeover(&takeover).iter().map(Target::is_met).collect();
        assert_eq!(met, [true, true, true, false]);
        let many = Takeover { threads: 64, ..takeover };
        assert_eq!(of_takeover(&many).len(), 2);
    }
}
