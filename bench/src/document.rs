//! Results as text for a terminal, as an HTML page, and as `BENCHMARKS.md` with its chart.

use allograft_measure::chart::{BarChart, BarGroup, Curve, LineChart};
use allograft_measure::document::{Chapter, Document};
use allograft_measure::summary::Summary;
use allograft_measure::table::Table;

use crate::configuration::{BASELINE, CRT, EARLY, LATE};
use crate::results::{Results, WorkloadResult};
use crate::targets::{self, PerformanceTarget};
use crate::{tables, workload};

/// The end of the axis of ratios.
const LARGEST_RATIO_SHOWN: f64 = 2.0;

/// The chart of `BENCHMARKS.md`, from the root of the checkout.
pub const CHART_PATH: &str = "bench/chart.svg";

const TITLE: &str = "allograft, measured";

/// The commentary on the figures, a Markdown list.
const REMARKS: &str = include_str!("../remarks.md");

const HOW_TO: &str = "\
    `cargo xtask bench --write` measures everything again and writes this page. `cargo xtask bench \
    --help` lists its options. Nothing else should run meanwhile.";

const WINE: &str = "\
    Everything was measured under Wine. Wine's heap is only a placeholder for that of Windows: the \
    crt column says nothing about Windows. The ratios to the baseline compare mimalloc with \
    mimalloc on the same machine, and do not depend on Wine's heap.";

const RATIOS: &str = "\
    The baseline is mimalloc linked into the workload's program and called directly, compiled from \
    the same sources with the same flags by the same compiler as allograft's. A ratio is a \
    configuration's time divided by the baseline's time in the same round. The tables show the \
    median over all rounds, with the quartiles in parentheses; below 1.00 is faster than the \
    baseline. The configuration by-hand shows how much of late is the cost of the old heap itself.";

const TIME: &str = "\
    The first column of figures is the baseline, in nanoseconds for each operation; the others are \
    ratios to it. The time of a run is that of its fastest repetition, because other load can only \
    slow a repetition down. The shortest loops run in four processes, because their time depends \
    on the physical pages that a process gets. With several threads it is the median of the \
    repetitions.";

const MEMORY: &str = "\
    The peak of the memory that the program has committed, without its images: the baseline's, and \
    ratios to it. Wine commits some of it in every process.";

const REAL: &str = "\
    These programs cannot be linked with mimalloc. The ratios are to the untouched program, on \
    Wine's heap; the memory is the peak of the working set. With allograft, the parent process \
    loads the module into them; the time includes that.";

const TAKEOVERS: &str = "\
    A program with the given numbers of threads and blocks loads the module. \"Redirecting\" is \
    the takeover of the C runtime. \"Suspending alone\" is the time in which the program itself \
    suspends its other threads, reads their registers and resumes them. \"Loading\" is the \
    complete call that loads the module. The memory is what the process has more of afterwards.";

const INSTRUCTIONS: &str = "\
    One call by one thread, from the program's call to the return, jumps included. The processor \
    stops after each instruction to count it, so the number is the same on a busy machine and an \
    idle one. Small blocks are the common case.";

const DRAIN: &str = "\
    The workload drain in the configuration late: the part of the old heap's blocks that is left, \
    as a percentage of the bytes that are freed or moved in the end, by operations done.";

pub fn terminal(results: &Results) -> String {
    let targets = targets::all(results);
    let mut text = format!("{}\n", results.machine);
    for chapter in measured(results).into_iter().chain(all_targets(&targets)) {
        if let Some(table) = chapter.table {
            text += &format!("\n{}\n\n{table}\n", chapter.heading);
        }
    }
    text + &format!("\n{}\n", summary(&targets))
}

/// Everything, as HTML that needs no other file.
pub fn page(results: &Results) -> String {
    let targets = targets::all(results);
    let introduction = [&results.machine, WINE, &summary(&targets)].map(str::to_owned).into();
    let chapters = definitions(results).into_iter().chain(measured(results));
    let chapters = chapters.chain(all_targets(&targets)).collect();
    Document { title: TITLE.to_owned(), introduction, chapters }.html()
}

/// Everything, as `BENCHMARKS.md`.
pub fn markdown(results: &Results) -> String {
    let targets = targets::all(results);
    let chart = format!("![Time with allograft, as a ratio to mimalloc linked in]({CHART_PATH})");
    let missed = tables::targets(targets.iter().filter(|target| !target.is_met()));
    let remarks = Chapter {
        heading: "Remarks".to_owned(),
        paragraphs: vec![REMARKS.trim_end().to_owned()],
        ..Chapter::default()
    };
    let chapters = definitions(results)
        .into_iter()
        .chain(chapter("Targets that are not met", "", None, missed))
        .chain([remarks])
        .chain(measured(results))
        .chain(all_targets(&targets))
        .collect();
    let introduction = [&chart, &results.machine, WINE, &summary(&targets), HOW_TO];
    let introduction = introduction.map(str::to_owned).into();
    Document { title: TITLE.to_owned(), introduction, chapters }.markdown()
}

/// The chart of `BENCHMARKS.md`: the times with allograft.
pub fn overview_chart(results: &Results) -> String {
    let axis = "time as a ratio to mimalloc linked in; less is better";
    ratio_chart(results, &[EARLY, LATE], axis, WorkloadResult::time_ratio)
}

fn definitions(results: &Results) -> Vec<Chapter> {
    [
        chapter("Definitions", RATIOS, None, tables::definitions(results)),
        chapter("Workloads", "", None, tables::workloads(results)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn measured(results: &Results) -> Vec<Chapter> {
    // The bars of the C runtime's own heap would leave no room for the others.
    let mut names = results.configurations();
    names.retain(|name| ![BASELINE, CRT].contains(name));
    let chart = |axis, ratio: Ratio| Some(ratio_chart(results, &names, axis, ratio));
    let time = chart("time, as a ratio to the baseline", WorkloadResult::time_ratio);
    let memory = chart("peak of memory, as a ratio to the baseline", WorkloadResult::memory_ratio);
    [
        chapter("Time, as ratios to the baseline", TIME, time, tables::times(results)),
        drain_chart(results).map(|chart| Chapter {
            heading: "The old heap drains".to_owned(),
            paragraphs: vec![DRAIN.to_owned()],
            charts: vec![chart],
            table: None,
        }),
        chapter(
            "Peak of memory, as ratios to the baseline",
            MEMORY,
            memory,
            tables::memory(results),
        ),
        chapter(
            "Real programs, as ratios to the untouched program",
            REAL,
            None,
            tables::real_programs(results),
        ),
        chapter("The takeover", TAKEOVERS, None, tables::takeovers(results)),
        chapter("Instructions", INSTRUCTIONS, None, tables::instructions(results)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn all_targets(targets: &[PerformanceTarget]) -> Option<Chapter> {
    chapter("All targets", "", None, tables::targets(targets))
}

fn summary(targets: &[PerformanceTarget]) -> String {
    let met = targets.iter().filter(|target| target.is_met()).count();
    format!("{met} of {} targets are met.", targets.len())
}

/// A chapter, if its table has rows. The paragraph may be empty.
fn chapter(heading: &str, text: &str, chart: Option<String>, table: Table) -> Option<Chapter> {
    (!table.is_empty()).then(|| Chapter {
        heading: heading.to_owned(),
        paragraphs: text.lines().map(str::to_owned).collect(),
        charts: chart.into_iter().collect(),
        table: Some(table),
    })
}

type Ratio = fn(&WorkloadResult, &str) -> Option<Summary>;

fn ratio_chart(results: &Results, configurations: &[&str], axis: &str, ratio: Ratio) -> String {
    let group = |result: &WorkloadResult| BarGroup {
        name: result.workload.clone(),
        bars: configurations.iter().map(|name| ratio(result, name)).collect(),
    };
    BarChart {
        axis: axis.to_owned(),
        series: configurations.iter().map(|&name| name.to_owned()).collect(),
        groups: results.workloads.iter().filter(|result| result.is_own()).map(group).collect(),
        cut_off: Some(LARGEST_RATIO_SHOWN),
    }
    .svg()
}

/// How the old heap drains, if that was measured.
fn drain_chart(results: &Results) -> Option<String> {
    let result = results.workloads.iter().find(|result| result.workload == "drain")?;
    let gone = &result.in_configuration(LATE)?.old_bytes_gone;
    let all = *gone.last().filter(|bytes| **bytes > 0.0)?;
    let operations = workload::named("drain")?.operations as f64;
    let left =
        |(repetition, bytes): (f64, &f64)| (repetition * operations, 100.0 * (1.0 - bytes / all));
    let points = (0..).map(f64::from).zip([0.0].iter().chain(gone)).map(left).collect();
    let chart = LineChart {
        horizontal: "operations".to_owned(),
        vertical: "the old heap's blocks left, % of their bytes".to_owned(),
        curves: vec![Curve { name: LATE.to_owned(), points }],
    };
    Some(chart.svg())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::{CallCost, Series, TakeoverCost};

    fn results() -> Results {
        let series = |configuration: &str, nanoseconds: [f64; 3]| Series {
            configuration: configuration.to_owned(),
            nanoseconds: nanoseconds.to_vec(),
            peak_memory: vec![2e6; 3],
            old_bytes_gone: vec![10.0, 40.0],
        };
        let result = |workload: &str| WorkloadResult {
            workload: workload.to_owned(),
            series: vec![
                series("crt", [50.0, 51.0, 52.0]),
                series("static", [5.0, 5.0, 5.0]),
                series("early", [6.0, 6.5, 6.1]),
                series("late", [5.0, 5.1, 5.2]),
            ],
        };
        Results {
            machine: "A machine <in words>.".to_owned(),
            rounds: 3,
            workloads: ["pair", "drain"].map(result).into(),
            takeovers: vec![TakeoverCost {
                threads: 1,
                load_microseconds: vec![3000.0],
                ..TakeoverCost::default()
            }],
            entries: vec![CallCost {
                entry: "malloc, 64 bytes".to_owned(),
                baseline: Some(31),
                allograft: 34,
            }],
        }
    }

    #[test]
    fn markdown_begins_with_chart_and_definitions_and_ends_with_all_targets() {
        let text = markdown(&results());
        let headings = ["![", "A machine", "## Definitions", "| early ", "## Workloads", "| pair "];
        let more = ["## Targets that are not met", "## Remarks", "## Time", "## All targets"];
        let places: Vec<_> = headings.iter().chain(&more).map(|words| text.find(words)).collect();
        assert!(places.is_sorted() && places[0].is_some(), "{places:?} in {text}");
        assert!(text.split("## All targets").nth(1).unwrap().matches('#').count() == 0, "{text}");
    }

    #[test]
    fn markdown_has_the_ratios_and_the_missed_targets() {
        let text = markdown(&results());
        let (before, measured) = text.split_once("## Time").unwrap();
        let row = measured.lines().find(|line| line.starts_with("| pair ")).unwrap();
        assert!(row.contains("5.00") && row.contains("1.22 (1.21–1.26)"), "{row}");
        assert!(before.contains("pair, early") && !before.contains("pair, late"), "{before}");
        assert!(text.contains("| malloc, 64 bytes |"));
    }

    #[test]
    fn the_chart_of_the_markdown_has_allograft_only() {
        let svg = overview_chart(&results());
        assert!(svg.contains("\nearly\n") && svg.contains("\n1.22\n"), "{svg}");
        assert!(!svg.contains("\ncrt\n"), "{svg}");
    }

    #[test]
    fn the_page_draws_the_ratios_and_the_drain() {
        let html = page(&results());
        assert_eq!(html.matches("<svg").count(), 3);
        assert!(html.contains("A machine &lt;in words&gt;."));
    }

    #[test]
    fn what_was_not_measured_is_not_shown() {
        let only = Results { takeovers: Vec::new(), entries: Vec::new(), ..results() };
        let text = terminal(&only);
        assert!(text.contains("\nTime, as ratios") && !text.contains("Instructions"), "{text}");
    }

    #[test]
    fn results_survive_being_written_and_read() {
        let text = serde_json::to_string(&results()).unwrap();
        let read: Results = serde_json::from_str(&text).unwrap();
        assert_eq!(terminal(&read), terminal(&results()));
    }
}
