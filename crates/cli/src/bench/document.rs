//! The findings for a program: JSON.

use super::findings::{Finding, Round};
use super::subject::Subject;
use super::verdict::verdict;
use allograft_measure::statistics::Verdict;
use serde::Serialize;

/// Everything that was measured, and what comes of it.
#[derive(Debug, Serialize)]
struct Document<'a> {
    allograft: &'static str,
    program: String,
    arguments: Vec<String>,
    exit_code: u32,
    rounds: &'a [Round],
    findings: Vec<Entry<'a>>,
    verdict: String,
}

#[derive(Debug, Serialize)]
struct Entry<'a> {
    #[serde(flatten)]
    finding: &'a Finding,
    verdict: Verdict,
}

/// The document about runs of `subject`, which all ended with `exit_code`, with a line break at its
/// end.
pub fn json(subject: &Subject, exit_code: u32, rounds: &[Round], findings: &[Finding]) -> String {
    let document = Document {
        allograft: env!("CARGO_PKG_VERSION"),
        program: subject.path.to_string_lossy().into_owned(),
        arguments: subject.argument_texts(),
        exit_code,
        rounds,
        findings: findings.iter().map(Entry::of).collect(),
        verdict: verdict(findings),
    };
    let text = serde_json::to_string_pretty(&document);
    text.expect("numbers and text can be written as JSON") + "\n"
}

impl Entry<'_> {
    fn of(finding: &Finding) -> Entry<'_> {
        Entry { finding, verdict: finding.comparison.verdict() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::findings::{findings, tests::rounds};
    use super::*;
    use serde_json::Value;

    #[test]
    fn rounds_findings_and_verdict_are_in_it() {
        let subject =
            Subject { name: "z3".into(), path: "bin/z3.exe".into(), arguments: vec!["a b".into()] };
        let rounds = rounds(8, 0.5, 1.0);
        let json: Value =
            serde_json::from_str(&json(&subject, 7, &rounds, &findings(&rounds))).unwrap();
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
}
