//! Results as tables.

use allograft_measure::summary::Summary;
use allograft_measure::table::Table;

use crate::configuration::{BASELINE, BUILT_IN, EARLY};
use crate::results::{Results, Series, WorkloadResult};
use crate::targets::PerformanceTarget;

pub fn definitions(results: &Results) -> Table {
    let names = results.configurations();
    let mut table = Table::text(["configuration", "what it is"]);
    for (name, _, what) in BUILT_IN {
        if names.contains(&name) {
            table.row([name, what]);
        }
    }
    table
}

pub fn workloads(results: &Results) -> Table {
    let mut table = Table::text(["workload", "what it does"]);
    for result in &results.workloads {
        let what = result.workload().map_or("", |workload| workload.what);
        table.row([result.workload.as_str(), what]);
    }
    table
}

/// Times of the bench's own workloads: the baseline's, and the ratios of the others.
pub fn times(results: &Results) -> Table {
    ratios(results, "ns", WorkloadResult::time_ratio, |series| median(&series.nanoseconds, 1.0))
}

/// Peaks of memory of the bench's own workloads, likewise.
pub fn memory(results: &Results) -> Table {
    ratios(results, "MB", WorkloadResult::memory_ratio, megabytes)
}

fn ratios(
    results: &Results,
    unit: &str,
    ratio: impl Fn(&WorkloadResult, &str) -> Option<Summary>,
    value: impl Fn(&Series) -> Option<String>,
) -> Table {
    let mut names = results.configurations();
    names.retain(|name| *name != BASELINE);
    let mut headings = vec!["workload".to_owned(), format!("{BASELINE}, {unit}")];
    headings.extend(names.iter().map(|name| (*name).to_owned()));
    let mut table = Table::numeric(headings);
    for result in results.workloads.iter().filter(|result| result.is_own()) {
        let baseline = result.in_configuration(BASELINE).and_then(&value);
        let mut row = vec![result.workload.clone(), or_dash(baseline)];
        row.extend(names.iter().map(|name| median_and_quartiles(ratio(result, name))));
        table.row(row);
    }
    table
}

/// Real programs: seconds and memory on the C runtime's heap, and the ratios with allograft.
pub fn real_programs(results: &Results) -> Table {
    let mut table =
        Table::numeric(["program", "crt, s", "early, time", "crt, MB", "early, memory"]);
    for result in results.workloads.iter().filter(|result| !result.is_own()) {
        table.row([
            result.workload.clone(),
            or_dash(result.base().and_then(|series| median(&series.nanoseconds, 1e9))),
            median_and_quartiles(result.time_ratio(EARLY)),
            or_dash(result.base().and_then(megabytes)),
            median_and_quartiles(result.memory_ratio(EARLY)),
        ]);
    }
    table
}

pub fn takeovers(results: &Results) -> Table {
    let mut table = Table::numeric([
        "process",
        "redirecting, ms",
        "suspending alone, ms",
        "loading, ms",
        "committed, MB",
        "resident, KB",
    ]);
    for cost in &results.takeovers {
        let cell = |numbers: &[f64], unit: f64| {
            let numbers: Vec<f64> = numbers.iter().map(|number| number / unit).collect();
            median_and_quartiles(Summary::new(&numbers))
        };
        table.row([
            cost.process(),
            cell(&cost.attach_microseconds, 1e3),
            cell(&cost.stop_microseconds, 1e3),
            cell(&cost.load_microseconds, 1e3),
            cell(&cost.committed, 1e6),
            cell(&cost.resident, 1e3),
        ]);
    }
    table
}

pub fn instructions(results: &Results) -> Table {
    let mut table = Table::numeric(["call", BASELINE, "allograft", "more"]);
    for call in &results.entries {
        let more = call.baseline.map(|count| call.allograft as i64 - count as i64);
        table.row([
            call.entry.clone(),
            or_dash(call.baseline.map(|count| count.to_string())),
            call.allograft.to_string(),
            or_dash(more.map(|more| format!("{more:+}"))),
        ]);
    }
    table
}

pub fn targets<'a>(targets: impl IntoIterator<Item = &'a PerformanceTarget>) -> Table {
    let mut table = Table::numeric(["target", "at most", "measured", "met"]);
    for target in targets {
        let with_unit = |number: f64| match target.unit {
            "" => format!("{number:.3}"),
            unit => format!("{number:.2} {unit}"),
        };
        table.row([
            target.what.clone(),
            with_unit(target.at_most),
            with_unit(target.measured),
            if target.is_met() { "yes" } else { "no" }.to_owned(),
        ]);
    }
    table
}

fn median(numbers: &[f64], unit: f64) -> Option<String> {
    Some(format!("{:.2}", Summary::new(numbers)?.median / unit))
}

fn megabytes(series: &Series) -> Option<String> {
    Some(format!("{:.1}", Summary::new(&series.peak_memory)?.median / 1e6))
}

fn median_and_quartiles(summary: Option<Summary>) -> String {
    or_dash(summary.map(|summary| {
        format!(
            "{:.2} ({:.2}–{:.2})",
            summary.median, summary.lower_quartile, summary.upper_quartile
        )
    }))
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "–".to_owned())
}
