//! Showing results: on a terminal, as a page, in Markdown.

mod markdown;
mod page;
mod tables;
mod text;

use allograft_measure::table::Table;

use crate::results::Results;
use crate::targets;

pub use markdown::markdown;
pub use page::page;

/// Everything, for a terminal.
pub fn terminal(results: &Results) -> String {
    let targets = targets::all(results);
    let sections: [(&str, Table); 6] = [
        ("time, ratios to the limit", tables::times(results)),
        ("peak of memory, ratios to the limit", tables::memory(results)),
        ("real programs, ratios to the untouched program", tables::real(results)),
        ("the takeover", tables::takeovers(results)),
        ("instructions of one call", tables::entries(results)),
        ("targets", tables::targets(&targets)),
    ];
    let mut text = format!("{}\n", results.machine);
    for (heading, table) in sections {
        if !table.is_empty() {
            text.push_str(&format!("\n{heading}\n\n{table}\n"));
        }
    }
    text.push_str(&format!("\n{}\n", text::met(&targets)));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::{Entry, Measured, Series, Takeover};

    fn results() -> Results {
        let series = |configuration: &str, nanoseconds: [f64; 3]| Series {
            configuration: configuration.to_owned(),
            nanoseconds: nanoseconds.to_vec(),
            peak_memory: vec![2e6; 3],
            old_bytes_gone: vec![10.0, 40.0],
        };
        let measured = |workload: &str| Measured {
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
            workloads: ["pair", "drain"].map(measured).into(),
            takeovers: vec![Takeover {
                threads: 1,
                load_microseconds: vec![3000.0],
                ..Takeover::default()
            }],
            entries: vec![Entry {
                entry: "malloc, 64 bytes".to_owned(),
                limit: Some(31),
                allograft: 34,
            }],
        }
    }

    #[test]
    fn markdown_has_the_ratios_the_machine_and_what_is_missed() {
        let text = markdown(&results());
        assert!(text.contains("A machine <in words>."));
        let row = text.lines().find(|line| line.starts_with("| pair ")).unwrap();
        assert!(row.contains("5.00") && row.contains("1.22 (1.21–1.26)"), "{row}");
        let missed = text.split("## Time").next().unwrap();
        assert!(missed.contains("pair, early") && !missed.contains("pair, late"), "{missed}");
        assert!(text.contains("| malloc, 64 bytes |"));
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
        assert!(text.contains("time, ratios") && !text.contains("instructions"), "{text}");
    }

    #[test]
    fn results_survive_the_way_through_a_file() {
        let text = serde_json::to_string(&results()).unwrap();
        let read: Results = serde_json::from_str(&text).unwrap();
        assert_eq!(terminal(&read), terminal(&results()));
    }
}
