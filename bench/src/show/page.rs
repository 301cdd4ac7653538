//! Results as a page.

use allograft_measure::chart::{BarChart, Group, Line, LineChart};
use allograft_measure::page::{Page, Section};
use allograft_measure::statistics::Summary;
use allograft_measure::table::Table;

use super::{tables, text};
use crate::configuration::{LATE, LIMIT, UNTOUCHED};
use crate::results::{Measured, Results};
use crate::{targets, workload};

/// Where the axis of ratios ends at the latest.
const MOST_SHOWN: f64 = 2.0;

/// The page, as HTML that needs nothing beside it.
pub fn page(results: &Results) -> String {
    let time = "time, as a multiple of the limit";
    let memory = "peak of memory, as a multiple of the limit";
    let targets = targets::all(results);
    let sections = [
        section("Time", text::RATIOS, tables::times(results)).with(ratios(
            results,
            time,
            Measured::time_ratio,
        )),
        section("The old heap drains", text::DRAIN, Table::new([])).with(drain(results)),
        section("Memory", text::MEMORY, tables::memory(results)).with(ratios(
            results,
            memory,
            Measured::memory_ratio,
        )),
        section("Real programs", text::REAL, tables::real(results)),
        section("The takeover", text::TAKEOVERS, tables::takeovers(results)),
        section("Instructions", text::ENTRIES, tables::entries(results)),
        section("The workloads", "", tables::legend(results)),
        section("Targets", "", tables::targets(&targets)),
    ];
    let introduction = [&results.machine, text::CONFIGURATIONS, text::WINE, &text::met(&targets)];
    Page {
        title: "allograft, measured".to_owned(),
        introduction: introduction.map(plain).into(),
        sections: sections.into_iter().filter_map(Draft::finished).collect(),
    }
    .html()
}

/// A section that may turn out to be empty.
struct Draft(Section);

fn section(heading: &str, text: &str, table: Table) -> Draft {
    let paragraphs = (!text.is_empty()).then(|| plain(text));
    Draft(Section {
        heading: heading.to_owned(),
        paragraphs: paragraphs.into_iter().collect(),
        charts: Vec::new(),
        table: (!table.is_empty()).then_some(table),
    })
}

impl Draft {
    fn with(mut self, chart: Option<String>) -> Draft {
        self.0.charts.extend(chart);
        self
    }

    fn finished(self) -> Option<Section> {
        (self.0.table.is_some() || !self.0.charts.is_empty()).then_some(self.0)
    }
}

/// A paragraph of Markdown as plain text.
fn plain(text: &str) -> String {
    text.replace('`', "")
}

/// Ratios to the limit in every configuration but the C runtime's own heap, whose bars would leave
/// no room for the others.
fn ratios(
    results: &Results,
    axis: &str,
    ratio_in: impl Fn(&Measured, &str) -> Option<Summary>,
) -> Option<String> {
    let is_shown = |name: &&str| *name != LIMIT && *name != UNTOUCHED;
    let shown: Vec<&str> = results.configurations().into_iter().filter(is_shown).collect();
    let group = |measured: &Measured| Group {
        name: measured.workload.clone(),
        bars: shown.iter().map(|name| ratio_in(measured, name)).collect(),
    };
    let chart = BarChart {
        axis: axis.to_owned(),
        series: shown.iter().map(|name| (*name).to_owned()).collect(),
        groups: tables::own(results).map(group).collect(),
        reference: Some(1.0),
        limit: Some(MOST_SHOWN),
    };
    (!chart.groups.is_empty()).then(|| chart.svg())
}

/// How the old heap drains, if that was measured.
fn drain(results: &Results) -> Option<String> {
    let measured = results.workloads.iter().find(|measured| measured.workload == "drain")?;
    let gone = &measured.of(LATE)?.old_bytes_gone;
    let all = *gone.last().filter(|bytes| **bytes > 0.0)?;
    let operations = workload::named("drain")?.operations as f64;
    let left = |(index, bytes): (usize, &f64)| {
        ((index + 1) as f64 * operations, 100.0 * (1.0 - bytes / all))
    };
    let mut points = vec![(0.0, 100.0)];
    points.extend(gone.iter().enumerate().map(left));
    let chart = LineChart {
        horizontal: "operations".to_owned(),
        vertical: "the old heap's blocks left, % of their bytes".to_owned(),
        lines: vec![Line { name: LATE.to_owned(), points }],
    };
    Some(chart.svg())
}
