//! The targets of the project, and whether they are met.

use allograft_measure::summary::Summary;

use crate::configuration::{EARLY, LATE};
use crate::results::{Results, TakeoverCost, WorkloadResult};
use crate::workload::Workload;

// Multiples of the baseline's: the peak of memory; and the time of a program, half of whose blocks
// begin in the old heap, until these are gone.
const MEMORY: f64 = 1.03;
const DRAINING: f64 = 1.25;

// Milliseconds: the takeover of a process with one thread and with 64, and the call that loads the
// module.
const ONE_THREAD: f64 = 2.0;
const MANY_THREADS: f64 = 10.0;
const LOADING: f64 = 15.0;

/// MB that the module commits before the program allocates.
const COMMITTED: f64 = 3.0;

/// The resident part of that memory, in KB.
const RESIDENT: f64 = 512.0;

/// A unit's name, and its size in the unit of the measurements.
type Unit = (&'static str, f64);

const RATIO: Unit = ("", 1.0);
const MILLISECONDS: Unit = ("ms", 1e3);
const MEGABYTES: Unit = ("MB", 1e6);
const KILOBYTES: Unit = ("KB", 1e3);

/// An upper bound for a measurement.
#[derive(Debug, Clone, PartialEq)]
pub struct PerformanceTarget {
    pub what: String,
    pub at_most: f64,
    /// The median.
    pub measured: f64,
    /// Of both numbers; empty for ratios.
    pub unit: &'static str,
}

impl PerformanceTarget {
    pub fn is_met(&self) -> bool {
        self.measured <= self.at_most
    }

    fn new(
        what: String,
        at_most: f64,
        (unit, size): Unit,
        measured: Option<Summary>,
    ) -> Option<Self> {
        Some(PerformanceTarget { what, at_most, measured: measured?.median / size, unit })
    }
}

pub fn all(results: &Results) -> Vec<PerformanceTarget> {
    let own = || results.workloads.iter().filter(|result| result.is_own());
    let times = own().flat_map(|result| [EARLY, LATE].map(|name| time_target(result, name)));
    let memory = own().map(|result| {
        let what = format!("{}, {EARLY}: peak of memory", result.workload);
        PerformanceTarget::new(what, MEMORY, RATIO, result.memory_ratio(EARLY))
    });
    let takeovers = results.takeovers.iter().flat_map(takeover_targets);
    times.chain(memory).flatten().chain(takeovers).collect()
}

fn time_target(result: &WorkloadResult, configuration: &str) -> Option<PerformanceTarget> {
    let what = format!("{}, {configuration}", result.workload);
    let at_most = most_time(result.workload()?, configuration);
    PerformanceTarget::new(what, at_most, RATIO, result.time_ratio(configuration))
}

fn most_time(workload: &Workload, configuration: &str) -> f64 {
    if workload.name == "drain" && configuration == LATE { DRAINING } else { workload.target }
}

fn takeover_targets(cost: &TakeoverCost) -> Vec<PerformanceTarget> {
    let process = cost.process();
    let attaching = if cost.threads == 1 { ONE_THREAD } else { MANY_THREADS };
    let mut targets = vec![
        (format!("redirecting, {process}"), attaching, MILLISECONDS, &cost.attach_microseconds),
        (format!("loading the module, {process}"), LOADING, MILLISECONDS, &cost.load_microseconds),
    ];
    if cost.threads == 1 && cost.blocks == 0 {
        let what = |kind: &str| format!("the module's own {kind} memory");
        targets.extend([
            (what("committed"), COMMITTED, MEGABYTES, &cost.committed),
            (what("resident"), RESIDENT, KILOBYTES, &cost.resident),
        ]);
    }
    let targets = targets.into_iter();
    targets
        .filter_map(|(what, at_most, unit, numbers)| {
            PerformanceTarget::new(what, at_most, unit, Summary::new(numbers))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Series;
    use crate::workload;

    fn series(configuration: &str, nanoseconds: f64, peak: f64) -> Series {
        Series {
            configuration: configuration.to_owned(),
            nanoseconds: vec![nanoseconds],
            peak_memory: vec![peak],
            old_bytes_gone: Vec::new(),
        }
    }

    #[test]
    fn times_and_memory_are_compared_to_the_baseline_of_the_same_round() {
        let result = WorkloadResult {
            workload: "pair".to_owned(),
            series: vec![series("static", 5.0, 100.0), series("early", 6.0, 102.0)],
        };
        let results = Results { workloads: vec![result], ..Results::default() };
        let targets = all(&results);
        assert_eq!(targets.len(), 2);
        assert_eq!((targets[0].at_most, targets[0].measured), (1.15, 1.2));
        assert!(!targets[0].is_met());
        assert!(targets[1].is_met());
    }

    #[test]
    fn only_late_may_take_longer_until_the_old_heap_is_drained() {
        let drain = workload::named("drain").unwrap();
        assert_eq!(most_time(drain, LATE), 1.25);
        assert_eq!(most_time(drain, EARLY), 1.10);
        assert_eq!(most_time(workload::named("drained").unwrap(), LATE), 1.10);
    }

    #[test]
    fn the_footprint_is_that_of_the_smallest_process() {
        let takeover = TakeoverCost {
            threads: 1,
            attach_microseconds: vec![1500.0],
            load_microseconds: vec![9000.0],
            committed: vec![2.5e6],
            resident: vec![600e3],
            ..TakeoverCost::default()
        };
        let met: Vec<bool> =
            takeover_targets(&takeover).iter().map(PerformanceTarget::is_met).collect();
        assert_eq!(met, [true, true, true, false]);
        let many = TakeoverCost { threads: 64, ..takeover };
        assert_eq!(takeover_targets(&many).len(), 2);
    }
}
