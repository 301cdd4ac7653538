//! The answer: a table and a verdict for a terminal, JSON, and a page for a bug report.

use super::check::{Check, Effort, Finding, Outcome};
use crate::output::counted;
use allograft_image::Machine;
use allograft_measure::document::{Chapter, Document};
use allograft_measure::table::Table;
use serde::{Serialize, Serializer};

/// Why a check was not tried, if the user did not want to wait.
pub const INTERRUPTED: &str = "interrupted";

/// The machine that was checked.
#[derive(Debug, Clone, Default, Serialize)]
pub struct About {
    /// Windows' version and build, or Wine's.
    pub system: String,
    pub is_wine: bool,
    pub processor: String,
    pub processors: u32,
    /// The C runtimes in the system's folders, with their versions.
    pub runtimes: Vec<String>,
}

/// What one check has found, for programs of one machine.
#[derive(Debug, Serialize)]
pub struct Row {
    #[serde(rename = "check", serialize_with = "name_of")]
    pub check: &'static Check,
    #[serde(serialize_with = "as_text")]
    pub machine: Machine,
    pub seconds: f64,
    pub findings: Vec<Finding>,
}

/// Everything that was found. Serialised, it is the JSON that the documents describe.
#[derive(Debug, Serialize)]
pub struct Answer {
    pub allograft: &'static str,
    pub commit: &'static str,
    pub about: About,
    pub effort: Effort,
    pub seed: u64,
    pub checks: Vec<Row>,
    pub verdict: String,
}

fn name_of<S: Serializer>(check: &&'static Check, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(check.name)
}

fn as_text<S: Serializer>(machine: &Machine, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(machine)
}

impl Row {
    fn was_interrupted(&self) -> bool {
        self.findings.iter().any(|one| one.outcome == Outcome::not_tried(INTERRUPTED))
    }

    /// Whether one of the subjects was not tried.
    fn is_partial(&self) -> bool {
        self.findings.iter().any(|one| matches!(one.outcome, Outcome::NotTried { .. }))
    }

    /// The worst that was found; "not tried" only if nothing was.
    pub fn word(&self) -> &'static str {
        let has = |word: &str| self.findings.iter().any(|finding| finding.outcome.word() == word);
        let words = ["FAILED", "passed", "not tried"];
        words.into_iter().find(|word| has(word)).unwrap_or("not tried")
    }

    fn name(&self) -> String {
        format!("{}, {}", self.check.name, self.machine)
    }
}

impl Answer {
    pub fn new(about: About, effort: Effort, seed: u64, checks: Vec<Row>) -> Answer {
        let (allograft, commit) = (env!("CARGO_PKG_VERSION"), env!("ALLOGRAFT_COMMIT"));
        let verdict = verdict(&checks, about.is_wine);
        Answer { allograft, commit, about, effort, seed, checks, verdict }
    }

    fn findings(&self) -> impl Iterator<Item = (&Row, &Finding)> {
        self.checks.iter().flat_map(|row| row.findings.iter().map(move |one| (row, one)))
    }

    pub fn has_failed(&self) -> bool {
        self.findings().any(|(_, finding)| finding.outcome.is_failure())
    }

    /// Whether anything was tried at all.
    pub fn has_tried(&self) -> bool {
        self.findings().any(|(_, one)| !matches!(one.outcome, Outcome::NotTried { .. }))
    }

    fn table(&self) -> Table {
        let mut table = Table::text(["check", "programs", "subject", "outcome", "what was seen"]);
        for (row, finding) in self.findings() {
            let machine = row.machine.to_string();
            let Finding { subject, outcome } = finding;
            table.row([row.check.name, &machine, subject, outcome.word(), outcome.text()]);
        }
        table
    }

    pub fn text(&self) -> String {
        let failures: String = self.failures().iter().map(|line| format!("{line}\n")).collect();
        let gap = if failures.is_empty() { "" } else { "\n" };
        format!("{}\n\n{failures}{gap}{}\n", self.table(), self.verdict)
    }

    /// Each failure in full, with the command that shows it.
    fn failures(&self) -> Vec<String> {
        let shown = |(row, finding): (&Row, &Finding)| match &finding.outcome {
            Outcome::Failed { what, advice, command } => {
                let command = command.as_ref().map(|one| format!("; seen by: {one}"));
                let subject = match &*finding.subject {
                    "" => row.name(),
                    subject => format!("{}, {subject}", row.name()),
                };
                Some(format!("{subject}: {what}; {advice}{}", command.unwrap_or_default()))
            }
            _ => None,
        };
        self.findings().filter_map(shown).collect()
    }

    pub fn html(&self) -> String {
        let About { system, processor, processors, runtimes, .. } = &self.about;
        let chapter = |heading: &str, paragraphs: Vec<String>, table| Chapter {
            heading: heading.to_owned(),
            paragraphs,
            charts: Vec::new(),
            table,
        };
        let mut meanings = Table::text(["check", "what holds if it passes"]);
        for row in &self.checks {
            meanings.row([row.check.name, row.check.title]);
        }
        let mut chapters = vec![chapter("Checks", Vec::new(), Some(self.table()))];
        if self.has_failed() {
            chapters.insert(0, chapter("What has failed", self.failures(), None));
        }
        chapters.push(chapter("What the checks mean", Vec::new(), Some(meanings)));
        chapters.push(chapter("C runtimes of the system", runtimes.clone(), None));
        let document = Document {
            title: "allograft verify".to_owned(),
            introduction: vec![
                self.verdict.clone(),
                format!("allograft {} (commit {})", self.allograft, self.commit),
                format!("{system}; {processor}, {processors} processors"),
                format!("Effort: {:?}; first seed: {}", self.effort, self.seed),
            ],
            chapters,
        };
        document.html()
    }
}

/// Whether allograft works on this machine, in one line.
pub fn verdict(rows: &[Row], is_wine: bool) -> String {
    let count = |word: &str| rows.iter().filter(|row| row.word() == word).count();
    let (failed, passed) = (count("FAILED"), count("passed"));
    let untried = rows.iter().filter(|row| row.is_partial()).count();
    let machine = if is_wine { "this Wine (which is not Windows)" } else { "this machine" };
    if failed > 0 {
        let names: Vec<String> =
            rows.iter().filter(|row| row.word() == "FAILED").map(Row::name).collect();
        return format!(
            "allograft does not work as it should on {machine}: {}; {}",
            names.join("; "),
            super::check::REPORT_IT
        );
    }
    if rows.iter().any(Row::was_interrupted) {
        let passed = counted(passed as u64, "check");
        return format!("interrupted on {machine}: {passed} passed until then");
    }
    if passed == 0 {
        return format!("nothing could be tried on {machine}: nothing is proved");
    }
    let rest = match untried {
        0 => String::new(),
        count => format!(", {} not or partly tried", counted(count as u64, "check")),
    };
    format!("allograft works on {machine}: {} passed{rest}", counted(passed as u64, "check"))
}
