//! The answer: text for a terminal, JSON, and a page with charts.

use super::findings::{Finding, findings, verdict};
use super::rounds::{Metric, Round, Side};
use crate::output::counted;
use allograft_measure::chart::{BarChart, BarGroup, Curve, LineChart};
use allograft_measure::document::{Chapter, Document};
use allograft_measure::summary::Summary;
use allograft_measure::table::Table;
use serde::Serialize;
use std::ffi::OsString;
use std::path::PathBuf;

/// Cells of the longest bar.
const BAR: f64 = 40.0;

/// Parts of a cell, in eighths.
const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

#[derive(Debug)]
pub struct Subject {
    /// As the user wrote it.
    pub name: OsString,
    pub path: PathBuf,
    pub arguments: Vec<OsString>,
}

/// Everything that was measured, with what follows from it. Serialised, it is the JSON that the
/// README documents.
#[derive(Debug, Serialize)]
pub struct Answer<'a> {
    allograft: &'static str,
    program: String,
    arguments: Vec<String>,
    exit_code: u32,
    rounds: &'a [Round],
    findings: Vec<Finding>,
    verdict: String,
    #[serde(skip)]
    subject: &'a Subject,
}

impl Subject {
    pub fn file_name(&self) -> String {
        let name = self.path.file_name().unwrap_or(self.path.as_os_str());
        name.to_string_lossy().into_owned()
    }
}

impl<'a> Answer<'a> {
    /// The answer about runs of `subject`, which all ended with `exit_code`.
    pub fn new(subject: &'a Subject, exit_code: u32, rounds: &'a [Round]) -> Answer<'a> {
        let findings = findings(rounds);
        let arguments = subject.arguments.iter();
        Answer {
            allograft: env!("CARGO_PKG_VERSION"),
            program: subject.path.to_string_lossy().into_owned(),
            arguments: arguments.map(|argument| argument.to_string_lossy().into_owned()).collect(),
            exit_code,
            rounds,
            verdict: verdict(&findings),
            findings,
            subject,
        }
    }

    pub fn text(&self) -> String {
        let program = self.subject.file_name();
        let rounds = counted(self.rounds.len() as u64, "round");
        let bars: String = self.findings.iter().map(bars).collect();
        let missing = self.missing().map_or_else(String::new, |missing| missing + "\n");
        format!(
            "{program}: {rounds}, without and with mimalloc\n\n{}\n\n{bars}\n{missing}{}\n",
            self.table(),
            self.verdict
        )
    }

    pub fn html(&self) -> String {
        let mut command = vec![self.subject.name.to_string_lossy().into_owned()];
        command.extend_from_slice(&self.arguments);
        let document = Document {
            title: format!("{} without and with mimalloc", self.subject.file_name()),
            introduction: vec![
                sentence(&self.verdict),
                format!("{} rounds of: {}", self.rounds.len(), command.join(" ")),
            ],
            chapters: vec![self.overview(), self.round_by_round()],
        };
        document.html()
    }

    /// The medians, with half the distance between the quartiles, and how they differ.
    fn table(&self) -> Table {
        let mut table =
            Table::numeric(["median ± spread", "without", "with", "difference", "95% sure"]);
        for finding in &self.findings {
            let median = |side| {
                let summary = finding.summaries.get(side);
                let spread = 100.0 * summary.spread() / 2.0;
                format!("{} ± {spread:.1}%", finding.metric.format(summary.median))
            };
            table.row([
                finding.metric.name().to_owned(),
                median(Side::Without),
                median(Side::With),
                signed(finding.comparison.percent),
                finding.comparison.interval.map_or_else(
                    || "too few rounds".to_owned(),
                    |interval| format!("{} to {}", signed(interval.low), signed(interval.high)),
                ),
            ]);
        }
        table
    }

    /// The metrics without a finding, if any.
    fn missing(&self) -> Option<String> {
        let is_missing =
            |metric: &Metric| self.findings.iter().all(|finding| finding.metric != *metric);
        let missing: Vec<&str> =
            Metric::ALL.into_iter().filter(is_missing).map(Metric::name).collect();
        (!missing.is_empty()).then(|| {
            format!("not told by the system, or too little to measure: {}", missing.join(", "))
        })
    }

    /// All metrics, relative to the median without mimalloc, and the table.
    fn overview(&self) -> Chapter {
        let group = |finding: &Finding| BarGroup {
            name: finding.metric.name().to_owned(),
            bars: Side::BOTH
                .map(|side| {
                    let values = finding.metric.values(self.rounds, side)?;
                    let median = finding.summaries.without.median;
                    Summary::new(&values.iter().map(|value| value / median).collect::<Vec<_>>())
                })
                .to_vec(),
        };
        let chart = BarChart {
            axis: "relative to the median without mimalloc; less is better".to_owned(),
            series: Side::BOTH.map(|side| side.name().to_owned()).to_vec(),
            groups: self.findings.iter().map(group).collect(),
            cut_off: None,
        };
        let mut paragraphs = vec!["Bars are medians, whiskers the quartiles.".to_owned()];
        paragraphs.extend(self.missing().map(|missing| sentence(&missing)));
        Chapter {
            heading: "All measures".to_owned(),
            paragraphs,
            charts: vec![chart.svg()],
            table: Some(self.table()),
        }
    }

    /// The time of every run, which shows drift and disturbances.
    fn round_by_round(&self) -> Chapter {
        let curve = |side: Side| {
            let times = Metric::WallTime.values(self.rounds, side).unwrap_or_default();
            let points = (1..).map(f64::from).zip(times).collect();
            Curve { name: side.name().to_owned(), points }
        };
        let chart = LineChart {
            horizontal: "round".to_owned(),
            vertical: "wall time, seconds".to_owned(),
            curves: Side::BOTH.map(curve).to_vec(),
        };
        Chapter {
            heading: "Round by round".to_owned(),
            charts: vec![chart.svg()],
            ..Chapter::default()
        }
    }
}

/// A difference in percent with its sign, or without one if it rounds to nothing.
fn signed(percent: f64) -> String {
    let rounded = (percent * 10.0).round() / 10.0;
    if rounded == 0.0 { "0.0%".to_owned() } else { format!("{rounded:+.1}%") }
}

/// Two bars below each other, in proportion.
fn bars(finding: &Finding) -> String {
    let longest = f64::max(finding.summaries.without.median, finding.summaries.with.median);
    let bar = |name: &str, side: Side| {
        let median = finding.summaries.get(side).median;
        let (bar, value) = (bar(median / longest), finding.metric.format(median));
        format!("{name:<18}{:<9}{bar} {value}\n", side.name())
    };
    bar(finding.metric.name(), Side::Without) + &bar("", Side::With)
}

/// A bar of this part of the greatest length.
fn bar(part: f64) -> String {
    let parts = (part.clamp(0.0, 1.0) * BAR * PARTS.len() as f64).round() as usize;
    "█".repeat(parts / PARTS.len()) + PARTS[parts % PARTS.len()]
}

/// `text` with a capital at its beginning and a full stop at its end.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(letters).chain(['.']).collect()
}

#[cfg(test)]
mod tests {
    use super::super::rounds::tests::rounds;
    use super::*;
    use serde_json::Value;

    fn z3(argument: &str) -> Subject {
        Subject { name: "z3".into(), path: "bin/z3.exe".into(), arguments: vec![argument.into()] }
    }

    #[test]
    fn the_text_has_a_table_bars_and_a_verdict() {
        let text = Answer::new(&z3(""), 0, &rounds(9, 0.5, 1.25)).text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "z3.exe: 9 rounds, without and with mimalloc");
        assert!(lines[4].starts_with("wall time"), "{text}");
        assert!(lines[4].contains("-50.0%"), "{text}");
        assert!(lines[5].contains("8.0 MiB"), "{text}");
        assert!(lines[5].contains("+25.0%  +25.0% to +25.0%"), "{text}");
        let whole = format!("wall time         without  {} 1.00 s", "█".repeat(40));
        assert_eq!(lines[8], whole, "{text}");
        let half = format!("                  with     {} 500.5 ms", "█".repeat(20));
        assert_eq!(lines[9], half, "{text}");
        assert!(
            text.ends_with(
                "not told by the system, or too little to measure: CPU time\n\
                 50% faster, 25% more memory; the differences are larger than the noise\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn the_json_has_rounds_findings_and_verdict() {
        let json = serde_json::to_value(Answer::new(&z3("a b"), 7, &rounds(8, 0.5, 1.0))).unwrap();
        assert_eq!(json["program"], "bin/z3.exe");
        assert_eq!(json["arguments"][0], "a b");
        assert_eq!(json["exit_code"], 7);
        assert_eq!(json["rounds"][0]["without"]["wall_seconds"], 1.0);
        assert_eq!(json["rounds"][0]["with"]["peak_commit_bytes"], 8 << 20);
        assert_eq!(json["rounds"][7]["with"]["cpu_seconds"], Value::Null);
        let time = &json["findings"][0];
        assert_eq!(time["measure"], "wall_seconds");
        assert_eq!(time["without"]["count"], 8);
        assert_eq!(time["verdict"], "lower");
        assert!(time["comparison"]["interval"]["high"].as_f64() < Some(0.0));
        assert!(json["verdict"].as_str().unwrap().starts_with("50% faster"));
    }

    #[test]
    fn the_page_has_the_verdict_the_charts_and_the_table() {
        let html = Answer::new(&z3("<file>"), 0, &rounds(8, 0.5, 1.5)).html();
        for words in [
            "<h1>z3.exe without and with mimalloc</h1>",
            "<p>50% faster, 50% more memory; the differences are larger than the noise.</p>",
            "<p>8 rounds of: z3 &lt;file&gt;</p>",
            "\npeak commit\n",
            "wall time, seconds",
            "<td>wall time</td>",
        ] {
            assert!(html.contains(words), "{words} is not in {html}");
        }
        assert_eq!(html.matches("<svg").count(), 2);
    }

    #[test]
    fn bars_are_drawn_to_an_eighth_of_a_cell() {
        assert_eq!(bar(1.0), "█".repeat(40));
        assert_eq!(bar(1.0 / 320.0), "▏");
        assert_eq!(bar(0.5 + 4.0 / 320.0), "█".repeat(20) + "▌");
        assert_eq!(bar(0.0), "");
    }

    #[test]
    fn a_difference_that_rounds_to_nothing_has_no_sign() {
        assert_eq!([-0.04, 0.04, -0.06].map(signed), ["0.0%", "0.0%", "-0.1%"]);
    }
}
