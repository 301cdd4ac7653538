//! The findings for a person at a terminal.

use super::findings::Finding;
use super::measure::Measure;
use super::order::Side;
use super::verdict::verdict;
use crate::output::counted;
use allograft_measure::table::{Column, Table};
use std::fmt::Write;

/// Cells of the longest bar.
const BAR: f64 = 40.0;

/// Parts of a cell, from nothing to all of it.
const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// The whole answer: the table, the bars and the verdict.
pub fn text(program: &str, rounds: u32, findings: &[Finding]) -> String {
    let rounds = counted(rounds.into(), "round");
    let mut text = format!("{program}: {rounds}, without and with mimalloc\n\n");
    push(&mut text, format_args!("{}\n\n", table(findings)));
    for finding in findings {
        push_bars(&mut text, finding);
    }
    text.push('\n');
    for line in missing(findings).into_iter().chain([verdict(findings)]) {
        push(&mut text, format_args!("{line}\n"));
    }
    text
}

/// The medians, with half the distance between the quartiles, and how they differ.
pub fn table(findings: &[Finding]) -> Table {
    let mut table = Table::new([
        Column::left("median ± spread"),
        Column::right("without"),
        Column::right("with"),
        Column::right("difference"),
        Column::right("95% sure"),
    ]);
    for finding in findings {
        table.row([
            finding.measure.name().to_owned(),
            spread(finding, Side::Without),
            spread(finding, Side::With),
            signed(finding.comparison.percent),
            finding.comparison.interval.map_or_else(
                || "too few rounds".to_owned(),
                |interval| format!("{} to {}", signed(interval.low), signed(interval.high)),
            ),
        ]);
    }
    table
}

/// About which measures nothing was found, and why; nothing if there are none.
pub fn missing(findings: &[Finding]) -> Option<String> {
    let missing: Vec<&str> = Measure::ALL
        .into_iter()
        .filter(|measure| findings.iter().all(|finding| finding.measure != *measure))
        .map(Measure::name)
        .collect();
    (!missing.is_empty()).then(|| {
        format!("not told by the system, or too little to measure: {}", missing.join(", "))
    })
}

/// `1.23 s ± 0.4%`.
fn spread(finding: &Finding, side: Side) -> String {
    let summary = finding.of(side);
    format!("{} ± {:.1}%", finding.measure.shown(summary.median), 100.0 * summary.spread() / 2.0)
}

/// A difference in percent with its sign; none if it rounds to nothing.
fn signed(percent: f64) -> String {
    let rounded = (percent * 10.0).round() / 10.0;
    if rounded == 0.0 { "0.0%".to_owned() } else { format!("{rounded:+.1}%") }
}

/// Two bars below each other, in proportion.
fn push_bars(text: &mut String, finding: &Finding) {
    let longest = f64::max(finding.without.median, finding.with.median);
    for side in Side::BOTH {
        let median = finding.of(side).median;
        let name = match side {
            Side::Without => finding.measure.name(),
            Side::With => "",
        };
        push(
            text,
            format_args!(
                "{name:<18}{:<9}{} {}\n",
                side.name(),
                bar(median / longest),
                finding.measure.shown(median)
            ),
        );
    }
}

/// A bar of this part of the greatest length.
fn bar(part: f64) -> String {
    let parts = (part.clamp(0.0, 1.0) * BAR * PARTS.len() as f64).round() as usize;
    "█".repeat(parts / PARTS.len()) + PARTS[parts % PARTS.len()]
}

fn push(text: &mut String, more: std::fmt::Arguments<'_>) {
    text.write_fmt(more).expect("a string takes whatever is written to it");
}

#[cfg(test)]
mod tests {
    use super::super::findings::{findings, tests::rounds};
    use super::*;

    #[test]
    fn the_answer_has_a_table_bars_and_a_verdict() {
        let findings = findings(&rounds(9, 0.5, 1.25));
        let text = text("z3.exe", 9, &findings);
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
