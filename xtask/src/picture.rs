//! The chart of the front page: real programs without and with allograft, by the table of them in
//! BENCHMARKS.md.

use std::path::PathBuf;

use allograft_measure::chart::{BarChart, BarGroup};
use allograft_measure::summary::Summary;
use anyhow::{Context, Result};

use crate::files::{read, write};
use crate::layout;

/// The title of the chapter that has the table.
const CHAPTER: &str = "\n## Real programs, ";

/// Draws the chart. `cargo xtask docs` does, so that it is never older than the table.
pub fn draw() -> Result<()> {
    write(&file(), &picture()?)
}

fn file() -> PathBuf {
    layout::root().join("docs/programs.svg")
}

fn picture() -> Result<String> {
    let results = read(&layout::root().join("BENCHMARKS.md"))?;
    let groups = groups(&results).context("BENCHMARKS.md has no table of real programs")?;
    let chart = BarChart {
        axis: "without allograft = 1; less is better".to_owned(),
        series: ["without", "with allograft"].map(str::to_owned).into(),
        groups,
        cut_off: None,
    };
    Ok(chart.svg())
}

/// Two groups of bars for each program: its time and its memory.
fn groups(results: &str) -> Option<Vec<BarGroup>> {
    let (_, chapter) = results.split_once(CHAPTER)?;
    let table = chapter.lines().skip_while(|line| !line.starts_with('|'));
    // Below the headings and the line under them.
    let rows = table.take_while(|line| line.starts_with('|')).skip(2);
    let mut groups = Vec::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [program, _, time, _, memory] = cells[..] else { return None };
        for (what, ratio) in [("time", time), ("memory", memory)] {
            groups.push(BarGroup {
                name: format!("{program}, {what}"),
                bars: vec![Some(of_quartiles(1.0, 1.0, 1.0)), Some(ratio_of(ratio)?)],
            });
        }
    }
    (!groups.is_empty()).then_some(groups)
}

/// A ratio as the table writes it, with its quartiles: `0.67 (0.64–0.68)`.
fn ratio_of(cell: &str) -> Option<Summary> {
    let (median, quartiles) = cell.strip_suffix(')')?.split_once(" (")?;
    let (lower, upper) = quartiles.split_once('–')?;
    let number = |text: &str| text.parse().ok();
    Some(of_quartiles(number(lower)?, number(median)?, number(upper)?))
}

fn of_quartiles(lower_quartile: f64, median: f64, upper_quartile: f64) -> Summary {
    Summary {
        median,
        lower_quartile,
        upper_quartile,
        minimum: lower_quartile,
        maximum: upper_quartile,
        count: 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_shows_the_results() {
        let drawn = read(&file()).unwrap();
        assert!(drawn == picture().unwrap(), "docs/programs.svg is old: run `cargo xtask docs`");
    }

    #[test]
    fn a_row_of_the_table_is_two_groups_of_bars() {
        let results = "\n## Real programs, as\n\nText.\n\n| program | crt, s | early |\n|--|--|--|\n| z3 | 1.09 | 0.98 (0.97–1.02) | 50.0 | 1.04 (1.04–1.05) |\n";
        let groups = groups(results).unwrap();
        assert_eq!((groups[0].name.as_str(), groups[1].name.as_str()), ("z3, time", "z3, memory"));
        let with = groups[0].bars[1].unwrap();
        assert_eq!((with.lower_quartile, with.median, with.upper_quartile), (0.97, 0.98, 1.02));
        assert!(super::groups("## Real programs").is_none());
    }
}
