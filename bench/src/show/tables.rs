//! Results as tables.

use allograft_measure::statistics::Summary;
use allograft_measure::table::{Column, Table};

use crate::configuration::{EARLY, LIMIT, UNTOUCHED};
use crate::results::{Measured, Results};
use crate::targets::{self, Target};
use crate::workload::{self, Workload};

/// The bench's own workloads: the limit's time, and the ratios to it in the other configurations.
pub fn times(results: &Results) -> Table {
    ratios(results, "ns", Measured::time_ratio, |measured| {
        let limit = Summary::of(&measured.of(LIMIT)?.nanoseconds)?;
        Some(format!("{:.2}", limit.median))
    })
}

/// The bench's own workloads: the limit's peak of committed memory, and the ratios to it in the
/// other configurations.
pub fn memory(results: &Results) -> Table {
    ratios(results, "MB", Measured::memory_ratio, |measured| {
        let limit = Summary::of(&measured.of(LIMIT)?.peak_memory)?;
        Some(format!("{:.1}", limit.median / 1e6))
    })
}

fn ratios(
    results: &Results,
    unit: &str,
    ratio_in: impl Fn(&Measured, &str) -> Option<Summary>,
    limit_of: impl Fn(&Measured) -> Option<String>,
) -> Table {
    let others: Vec<&str> =
        results.configurations().into_iter().filter(|name| *name != LIMIT).collect();
    let mut columns = vec![Column::left("workload"), Column::right(format!("{LIMIT}, {unit}"))];
    columns.extend(others.iter().map(|name| Column::right(*name)));
    let mut table = Table::new(columns);
    for measured in own(results) {
        let mut row = vec![measured.workload.clone(), limit_of(measured).unwrap_or_else(none)];
        row.extend(others.iter().map(|name| ratio_in(measured, name).map_or_else(none, ratio)));
        table.row(row);
    }
    table
}

/// Programs that were not written for the bench: seconds and memory without allograft, and the
/// ratios to these with it.
pub fn real(results: &Results) -> Table {
    let mut table = Table::new([
        Column::left("program"),
        Column::right(format!("{UNTOUCHED}, s")),
        Column::right(format!("{EARLY}, time")),
        Column::right(format!("{UNTOUCHED}, MB")),
        Column::right(format!("{EARLY}, memory")),
    ]);
    let real = results.workloads.iter().filter(|measured| !is_own(measured));
    for measured in real {
        let median = |numbers: &[f64]| Summary::of(numbers).map(|summary| summary.median);
        let base = measured.base();
        table.row([
            measured.workload.clone(),
            base.and_then(|base| median(&base.nanoseconds))
                .map_or_else(none, |time| format!("{:.2}", time / 1e9)),
            measured.time_ratio(EARLY).map_or_else(none, ratio),
            base.and_then(|base| median(&base.peak_memory))
                .map_or_else(none, |peak| format!("{:.1}", peak / 1e6)),
            measured.memory_ratio(EARLY).map_or_else(none, ratio),
        ]);
    }
    table
}

/// The takeover itself.
pub fn takeovers(results: &Results) -> Table {
    let mut table = Table::new([
        Column::left("process"),
        Column::right("redirecting, ms"),
        Column::right("stopping alone, ms"),
        Column::right("loading, ms"),
        Column::right("committed, MB"),
        Column::right("resident, KB"),
    ]);
    for takeover in &results.takeovers {
        let cell = |numbers: &[f64], divisor: f64| {
            Summary::of(numbers).map_or_else(none, |summary| {
                let [median, low, high] =
                    [summary.median, summary.lower_quartile, summary.upper_quartile]
                        .map(|number| number / divisor);
                format!("{median:.2} ({low:.2}–{high:.2})")
            })
        };
        table.row([
            targets::process(takeover),
            cell(&takeover.attach_microseconds, 1e3),
            cell(&takeover.stop_microseconds, 1e3),
            cell(&takeover.load_microseconds, 1e3),
            cell(&takeover.committed, 1e6),
            cell(&takeover.resident, 1e3),
        ]);
    }
    table
}

/// Instructions of one call.
pub fn entries(results: &Results) -> Table {
    let mut table = Table::new([
        Column::left("call"),
        Column::right(LIMIT),
        Column::right("allograft"),
        Column::right("more"),
    ]);
    for entry in &results.entries {
        let more = entry.limit.map(|limit| entry.allograft as i64 - limit as i64);
        table.row([
            entry.entry.clone(),
            entry.limit.map_or_else(none, |count| count.to_string()),
            entry.allograft.to_string(),
            more.map_or_else(none, |more| format!("{more:+}")),
        ]);
    }
    table
}

/// What was aimed at.
pub fn targets(targets: &[Target]) -> Table {
    let mut table = Table::new([
        Column::left("target"),
        Column::right("at most"),
        Column::right("measured"),
        Column::left("met"),
    ]);
    for target in targets {
        let with_unit = |number: f64| {
            let digits = if target.unit.is_empty() { 3 } else { 2 };
            format!("{number:.digits$} {}", target.unit).trim_end().to_owned()
        };
        let met = if target.is_met() { "yes" } else { "no" };
        table.row([
            target.what.clone(),
            with_unit(target.most),
            with_unit(target.measured),
            met.to_owned(),
        ]);
    }
    table
}

/// What the workloads do.
pub fn legend(results: &Results) -> Table {
    let mut table = Table::new([Column::left("workload"), Column::left("what it does")]);
    for measured in &results.workloads {
        let what = workload::named(&measured.workload).map_or("", |workload| workload.what);
        table.row([measured.workload.as_str(), what]);
    }
    table
}

/// The workloads that were written for the bench.
pub fn own(results: &Results) -> impl Iterator<Item = &Measured> {
    results.workloads.iter().filter(|measured| is_own(measured))
}

fn is_own(measured: &Measured) -> bool {
    workload::named(&measured.workload).is_none_or(Workload::is_own)
}

/// A ratio with its quartiles.
fn ratio(ratio: Summary) -> String {
    format!("{:.2} ({:.2}–{:.2})", ratio.median, ratio.lower_quartile, ratio.upper_quartile)
}

fn none() -> String {
    "–".to_owned()
}
