//! The checks with programs that are made up, on any host: what passes, and what does not.

use super::answer::{About, Answer, INTERRUPTED, Row, verdict};
use super::check::{Check, Context, Effort, Finding, Outcome};
use super::checks::{children, conformance, early, proxy};
use super::runner::{Launch, Run, Runner};
use super::table::CHECKS;
use crate::error::Error;
use allograft_image::Machine;
use allograft_laboratory::PROGRAMS;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The report of a module that has taken over a runtime and the process's heap.
const ACTIVE: &str = r#"{"state": "active", "mimalloc_version": "3", "exact_sizes": false,
    "runtimes": [{"name": "ucrtbase.dll", "functions": 40}],
    "process_heap": {"state": "program", "reason": "", "slots_allocating": 1, "slots_freeing": 1,
        "modules": 1, "exports": 1, "private_heaps": 0, "migrated_blocks": 0, "freed_blocks": 0,
        "escapes": null},
    "foreign": {"migrated_blocks": 0, "migrated_bytes": 0, "freed_blocks": 0, "freed_bytes": 0}}"#;

/// Answers each launch by a function, after writing the report that it asks for.
struct Imagined<'a> {
    report: &'a str,
    answer: &'a dyn Fn(&Launch) -> Result<Run, Error>,
}

impl Runner for Imagined<'_> {
    fn run(&self, launch: &Launch) -> Result<Run, Error> {
        for words in [Some(launch), launch.meeting.as_deref()].into_iter().flatten() {
            let place = words.arguments.iter().position(|word| word == "--report");
            if let Some(place) = place.filter(|_| !self.report.is_empty()) {
                fs::write(&words.arguments[place + 1], self.report).unwrap();
            }
        }
        let run = (self.answer)(launch)?;
        let meeting = launch.meeting.as_deref().map(|one| Box::new(ended(0, "", one)));
        Ok(Run { command: launch.shown(), meeting, ..run })
    }
}

fn ended(code: u32, output: &str, launch: &Launch) -> Run {
    let output = output.to_owned();
    Run { exit_code: Some(code), output, command: launch.shown(), ..Run::default() }
}

/// What `check` finds where programs answer by `answer`, and the module reports `report`.
fn findings(
    check: fn(&Context<'_>) -> Vec<Finding>,
    report: &str,
    answer: &dyn Fn(&Launch) -> Result<Run, Error>,
) -> Vec<Finding> {
    let scratch = tempfile::tempdir().unwrap();
    for program in PROGRAMS {
        fs::write(scratch.path().join(program), "").unwrap();
    }
    let runner = Imagined { report, answer };
    check(&Context {
        runner: &runner,
        machine: Machine::X64,
        effort: Effort::Quick,
        seed: 1,
        launcher: Path::new("allograft.exe"),
        programs: scratch.path(),
        other_programs: Err("there are none"),
        system: scratch.path(),
        is_wine: false,
        earlier: &[],
        scratch: scratch.path(),
        reports: Cell::new(0),
    })
}

/// Whether a program gets the module from the start.
fn is_early(launch: &Launch) -> bool {
    launch.arguments.first().is_some_and(|word| word == "run")
}

#[track_caller]
fn assert_failed(findings: &[Finding], subject: &str, words: &str) {
    let finding = findings.iter().find(|one| one.subject.starts_with(subject)).unwrap();
    assert!(
        finding.outcome.is_failure() && finding.outcome.text().contains(words),
        "{words:?} is not what failed: {finding:?}"
    );
}

#[test]
fn an_early_start_passes_only_if_the_program_and_the_module_say_so() {
    let passes = |launch: &Launch| Ok(ended(0, "passed\n", launch));
    let found = findings(early::run, ACTIVE, &passes);
    assert_eq!(found[0].outcome.word(), "passed");
    assert!(found[0].outcome.text().starts_with("3 starts"));

    let left_alone = ACTIVE.replace("\"active\"", "\"no-runtime\"");
    assert_failed(&findings(early::run, &left_alone, &passes), "", "stayed on its own heap");
    assert_failed(&findings(early::run, "", &passes), "", "no report");
    let fails = |launch: &Launch| Ok(ended(1, "FAILED line 3: too late\n", launch));
    assert_failed(&findings(early::run, ACTIVE, &fails), "", "1 instead of 0: FAILED line 3");
    let crashes = |launch: &Launch| Ok(ended(0xC000_0005, "", launch));
    assert_failed(&findings(early::run, ACTIVE, &crashes), "", "0xc0000005 instead of 0");
    let hangs = |launch: &Launch| Ok(Run { exit_code: None, ..ended(0, "", launch) });
    assert_failed(&findings(early::run, ACTIVE, &hangs), "", "did not end in time");
    let silent = |launch: &Launch| Ok(ended(0, "", launch));
    assert_failed(&findings(early::run, ACTIVE, &silent), "", "did not say what it saw");
    let blocked = |_: &Launch| Err(Error::new("cannot start early.exe: access denied"));
    assert_failed(&findings(early::run, ACTIVE, &blocked), "", "access denied");
}

#[test]
fn a_failure_shows_the_command_that_it_was_seen_by() {
    let fails = |launch: &Launch| Ok(ended(1, "", launch));
    let Outcome::Failed { command, advice, .. } = &findings(early::run, ACTIVE, &fails)[0].outcome
    else {
        panic!("not failed")
    };
    let command = command.as_deref().unwrap();
    assert!(command.starts_with("allograft.exe run --report "), "{command}");
    assert!(!advice.is_empty());
}

/// A runtime of Microsoft's that is there, unless it is one of the older ones; transcripts as
/// `with` and `without` give them.
fn transcripts(
    maker: &'static str,
    without: &'static str,
    with: &'static str,
) -> impl Fn(&Launch) -> Result<Run, Error> {
    move |launch| {
        let program = launch.program.to_string_lossy().into_owned();
        Ok(if program.contains("maker") {
            match launch.arguments[0] == "ucrtbase.dll" || launch.arguments[0] == "msvcrt.dll" {
                true => ended(0, maker, launch),
                false => ended(3, "error 126", launch),
            }
        } else if is_early(launch) || launch.meeting.is_some() {
            ended(0, with, launch)
        } else {
            ended(0, without, launch)
        })
    }
}

#[test]
fn a_call_that_answers_differently_is_a_deviation_with_its_seed() {
    let same = transcripts("path\nmicrosoft\n", "0 a\n1 b\nheap sound\n", "0 a\n1 b\nheap sound\n");
    let found = findings(conformance::run, ACTIVE, &same);
    assert_eq!(found.len(), 4);
    assert!(found.iter().all(|one| one.outcome.word() == "passed"), "{found:?}");
    assert!(found[0].outcome.text().contains("3,000 random calls"), "{found:?}");

    let other = transcripts("path\nmicrosoft\n", "0 a\n1 b\n", "0 a\n1 NULL\n");
    let found = findings(conformance::run, ACTIVE, &other);
    for subject in ["ucrtbase.dll, early", "ucrtbase.dll, in the middle", "heap API, early"] {
        assert_failed(&found, subject, "`1 b` was expected, and `1 NULL`");
        assert_failed(&found, subject, "seed 1");
    }
    let nothing = transcripts("path\nmicrosoft\n", "", "");
    assert_failed(&findings(conformance::run, ACTIVE, &nothing), "ucrtbase.dll", "nothing");
}

#[test]
fn wines_own_runtime_is_not_compared_and_its_marks_count() {
    let deviates = transcripts("path\nwine\n", "0 other\n", "0 a\n1 b\n");
    let found = findings(conformance::run, ACTIVE, &deviates);
    assert_eq!(found[0].outcome.word(), "passed");
    assert!(found[0].outcome.text().contains("so not compared"), "{found:?}");
    assert_failed(&found, "heap API", "was expected");
    let marks = transcripts("path\nwine\n", "", "0 a\nBROKEN: byte 3\n");
    assert_failed(&findings(conformance::run, ACTIVE, &marks), "ucrtbase.dll", "BROKEN: byte 3");
}

#[test]
fn older_runtimes_that_are_not_there_are_not_tried() {
    let same = transcripts("path\nmicrosoft\n", "0 a\n", "0 a\n");
    let found = findings(conformance::run_older, ACTIVE, &same);
    let words: Vec<_> = found.iter().map(|one| (&*one.subject, one.outcome.word())).collect();
    assert_eq!(
        words[..2],
        [("msvcrt.dll, early", "passed"), ("msvcrt.dll, in the middle", "passed")]
    );
    assert!(words[2..].iter().all(|(_, word)| *word == "not tried"), "{words:?}");
    assert!(words.contains(&("msvcr90.dll", "not tried")), "{words:?}");
}

#[test]
fn a_proxy_passes_only_if_the_program_compared_names() {
    let passes = |launch: &Launch| Ok(ended(0, "17 names\npassed\n", launch));
    let found = findings(proxy::run, ACTIVE, &passes);
    assert!(found.iter().all(|one| one.outcome.word() == "passed"), "{found:?}");
    assert!(found[0].outcome.text().contains("17 names"));
    let silent = |launch: &Launch| Ok(ended(0, "passed\n", launch));
    assert_failed(&findings(proxy::run, ACTIVE, &silent), "version.dll", "compared nothing");
    let absent = |launch: &Launch| {
        let is_proxied = launch.program.ends_with("stand_in.exe");
        Ok(ended(if is_proxied { 3 } else { 0 }, "absent\n", launch))
    };
    let found = findings(proxy::run, ACTIVE, &absent);
    assert_eq!(found[0].outcome.word(), "not tried");
}

#[test]
fn a_child_on_the_old_heap_is_counted() {
    let family = "parent: on mimalloc\nspawn: on mimalloc\nstopped: on the old heap\n\
                  CreateProcess: on mimalloc\n";
    let answer = |launch: &Launch| Ok(ended(0, family, launch));
    let found = findings(children::run, ACTIVE, &answer);
    assert_failed(&found, "same", "2 of 3 children were on mimalloc");
    assert_eq!(found[1].outcome, Outcome::not_tried("there are none"));
    let all = family.replace("the old heap", "mimalloc");
    let answer = |launch: &Launch| Ok(ended(0, &all, launch));
    assert_eq!(findings(children::run, ACTIVE, &answer)[0].outcome.word(), "passed");
}

/// A check of this name.
fn named(name: &str) -> &'static Check {
    CHECKS.iter().find(|check| check.name == name).unwrap()
}

fn row(check: &'static Check, outcomes: impl IntoIterator<Item = Outcome>) -> Row {
    let findings = outcomes.into_iter().map(|outcome| Finding { subject: String::new(), outcome });
    Row { check, machine: Machine::X64, seconds: 0.5, findings: findings.collect() }
}

fn passed() -> Outcome {
    Outcome::Passed { what: "seen".to_owned() }
}

#[test]
fn what_was_not_tried_never_counts_as_passed() {
    let untried = || Outcome::not_tried("this Windows is too old");
    let (first, second) = (named("early"), named("patch"));
    for (rows, words) in [
        (vec![row(first, [passed()])], "allograft works on this machine: 1 check passed"),
        (
            vec![row(first, [passed(), untried()]), row(second, [untried()])],
            "allograft works on this machine: 1 check passed, 2 checks not or partly tried",
        ),
        (vec![row(first, [untried()])], "nothing could be tried on this machine"),
        (vec![row(first, [])], "nothing could be tried on this machine"),
        (vec![], "nothing could be tried on this machine"),
        (
            vec![row(first, [passed()]), row(second, [Outcome::not_tried(INTERRUPTED)])],
            "interrupted on this machine: 1 check passed until then",
        ),
        (
            vec![row(first, [passed(), Outcome::failed("it crashed")]), row(second, [passed()])],
            "allograft does not work as it should on this machine: early, x86-64; report it",
        ),
    ] {
        let line = verdict(&rows, false);
        assert!(line.starts_with(words), "{line}");
    }
    assert!(verdict(&[row(first, [passed()])], true).contains("Wine (which is not Windows)"));
}

#[test]
fn the_answer_names_the_machine_and_every_failure_in_full() {
    let failure = Outcome::Failed {
        what: "it ended with 1".to_owned(),
        advice: "report it".to_owned(),
        command: Some("allograft.exe run -- early.exe".to_owned()),
    };
    let about = About {
        system: "Windows 10.0.26100.1742 (24H2)".to_owned(),
        processor: "A <fast> one".to_owned(),
        processors: 8,
        runtimes: vec!["ucrtbase.dll 10.0.26100.1742 (x86-64)".to_owned()],
        ..About::default()
    };
    let answer = Answer::new(about, Effort::Quick, 7, vec![row(named("early"), [failure])]);
    assert!(answer.has_failed() && answer.has_tried());
    let text = answer.text();
    let last = text.lines().last().unwrap();
    assert!(last.starts_with("allograft does not work as it should on this machine"), "{text}");
    assert!(text.contains("seen by: allograft.exe run -- early.exe"), "{text}");
    let html = answer.html();
    for words in ["26100.1742 (24H2)", "A &lt;fast&gt; one", "seen by", "ucrtbase.dll 10.0"] {
        assert!(html.contains(words), "{words}: {html}");
    }
    let json: serde_json::Value =
        serde_json::from_str(&serde_json::to_string(&answer).unwrap()).unwrap();
    assert_eq!(json["checks"][0]["check"], "early");
    assert_eq!(json["checks"][0]["findings"][0]["outcome"], "failed");
    assert_eq!((&json["effort"], &json["seed"]), (&"quick".into(), &7.into()));
    assert_eq!(json["about"]["system"], "Windows 10.0.26100.1742 (24H2)");
}

#[test]
fn every_check_has_a_name_of_its_own_and_programs_that_are_laid_out() {
    let names: BTreeSet<_> = CHECKS.iter().map(|check| check.name).collect();
    assert_eq!(names.len(), CHECKS.len());
    let used: BTreeSet<_> =
        CHECKS.iter().flat_map(|check| check.programs).copied().chain([super::PROBE]).collect();
    assert_eq!(used, PROGRAMS.iter().copied().collect());
}
