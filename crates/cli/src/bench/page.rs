//! The findings as a page with charts.

use super::findings::{Finding, Round, values};
use super::measure::Measure;
use super::order::Side;
use super::subject::Subject;
use super::text::{missing, table};
use super::verdict::verdict;
use allograft_measure::chart::{BarChart, Group, Line, LineChart};
use allograft_measure::page::{Page, Section};
use allograft_measure::statistics::Summary;

/// The page, as HTML.
pub fn html(subject: &Subject, rounds: &[Round], findings: &[Finding]) -> String {
    let page = Page {
        title: format!("{} without and with mimalloc", subject.file_name()),
        introduction: vec![
            sentence(&verdict(findings)),
            format!("{} rounds of: {}", rounds.len(), subject.command()),
        ],
        sections: vec![overview(rounds, findings), course(rounds)],
    };
    page.html()
}

/// All measures in one chart, relative to the median without mimalloc, and as a table.
fn overview(rounds: &[Round], findings: &[Finding]) -> Section {
    let chart = BarChart {
        axis: "relative to the median without mimalloc; less is better".to_owned(),
        series: Side::BOTH.map(|side| side.name().to_owned()).to_vec(),
        groups: findings.iter().map(|finding| group(rounds, finding)).collect(),
        reference: Some(1.0),
        limit: None,
    };
    let mut paragraphs = vec!["Bars are medians, whiskers the quartiles.".to_owned()];
    paragraphs.extend(missing(findings).map(|missing| sentence(&missing)));
    Section {
        heading: "All measures".to_owned(),
        paragraphs,
        charts: vec![chart.svg()],
        table: Some(table(findings)),
    }
}

fn group(rounds: &[Round], finding: &Finding) -> Group {
    let relative = |side| {
        let values = values(finding.measure, rounds, side)?;
        let relative: Vec<f64> =
            values.iter().map(|value| value / finding.without.median).collect();
        Summary::of(&relative)
    };
    Group { name: finding.measure.name().to_owned(), bars: Side::BOTH.map(relative).to_vec() }
}

/// The time of every run, in which a drift or a disturbance shows.
fn course(rounds: &[Round]) -> Section {
    let lines = Side::BOTH.map(|side| Line {
        name: side.name().to_owned(),
        points: (1..)
            .map(f64::from)
            .zip(values(Measure::WallTime, rounds, side).unwrap_or_default())
            .collect(),
    });
    let chart = LineChart {
        horizontal: "round".to_owned(),
        vertical: "wall time, seconds".to_owned(),
        lines: lines.to_vec(),
    };
    Section {
        heading: "Round by round".to_owned(),
        charts: vec![chart.svg()],
        ..Section::default()
    }
}

/// `text` with a capital at its beginning and a full stop at its end.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(letters).chain(['.']).collect()
}

#[cfg(test)]
mod tests {
    use super::super::findings::{findings, tests::rounds};
    use super::*;

    #[test]
    fn the_page_has_the_verdict_the_charts_and_the_table() {
        let subject = Subject {
            name: "z3".into(),
            path: "bin/z3.exe".into(),
            arguments: vec!["<file>".into()],
        };
        let rounds = rounds(8, 0.5, 1.5);
        let html = html(&subject, &rounds, &findings(&rounds));
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
}
