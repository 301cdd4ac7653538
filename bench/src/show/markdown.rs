//! Results as `BENCHMARKS.md`.

use std::fmt::Write;

use allograft_measure::table::Table;

use super::{tables, text};
use crate::results::Results;
use crate::targets;

/// What a person has to say of the figures; a list.
const REMARKS: &str = include_str!("../../remarks.md");

/// The whole file.
pub fn markdown(results: &Results) -> String {
    let targets = targets::all(results);
    let mut page = String::from("# allograft, measured\n");
    paragraph(&mut page, &results.machine);
    paragraph(&mut page, text::WINE);
    paragraph(&mut page, &text::met(&targets));
    paragraph(
        &mut page,
        "`cargo xtask bench --write` measures all of it again and writes this page; `cargo xtask bench --help` tells what else it can do. \
         Nothing else should run meanwhile.",
    );
    let missed: Vec<_> = targets.iter().filter(|target| !target.is_met()).cloned().collect();
    section(&mut page, "Targets that are not met", &[], &tables::targets(&missed));
    push(&mut page, format_args!("\n## Remarks\n\n{REMARKS}"));
    section(&mut page, "Time", &[text::RATIOS, text::CONFIGURATIONS], &tables::times(results));
    section(&mut page, "Memory", &[text::MEMORY], &tables::memory(results));
    section(&mut page, "Real programs", &[text::REAL], &tables::real(results));
    section(&mut page, "The takeover", &[text::TAKEOVERS], &tables::takeovers(results));
    section(&mut page, "Instructions", &[text::ENTRIES], &tables::entries(results));
    section(&mut page, "The workloads", &[], &tables::legend(results));
    section(&mut page, "All targets", &[], &tables::targets(&targets));
    page
}

fn section(page: &mut String, heading: &str, paragraphs: &[&str], table: &Table) {
    if table.is_empty() {
        return;
    }
    push(page, format_args!("\n## {heading}\n"));
    for text in paragraphs {
        paragraph(page, text);
    }
    push(page, format_args!("\n{}\n", table.markdown()));
}

fn paragraph(page: &mut String, text: &str) {
    push(page, format_args!("\n{text}\n"));
}

fn push(page: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = page.write_fmt(text);
}
