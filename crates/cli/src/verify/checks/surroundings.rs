//! Programs that the system restricts: by mitigation policies, by their rights, by an AppContainer.
//! They are taken over, or the launcher says why not; they never crash.

use super::storms::reason_not_to_try;
use crate::verify::check::{Context, Effort, Finding, Outcome, Shortfall, expect_code};
use crate::verify::runner::{Launch, Run};
use allograft_laboratory::Mode;
use std::fs;
use std::path::{Path, PathBuf};

/// The program that starts itself in given surroundings, and allocates there.
const PROGRAM: &str = "surroundings.exe";

/// How long a launcher waits for the module, in seconds.
const PATIENCE: &str = "20";

/// The names that the program knows, and what they mean.
const POLICIES: &[(&str, &str)] = &[
    ("cfg", "Control Flow Guard"),
    ("strict-cfg", "Control Flow Guard, strict"),
    ("export-suppression", "Control Flow Guard with export suppression"),
    ("no-dynamic-code", "no dynamic code"),
    ("microsoft-signed", "modules signed by Microsoft only"),
    ("store-signed", "modules signed by the Store only"),
    ("shadow-stack", "shadow stacks (CET), strict"),
    ("system32-first", "DLLs of System32 first"),
];

/// As [`POLICIES`]. All need a process that the system protects from others.
const ACCOUNTS: &[(&str, &str)] = &[
    ("low-integrity", "low integrity"),
    ("medium-integrity", "medium integrity"),
    ("elevated", "elevated"),
];

const CONTAINER: (&str, &str) = ("container", "AppContainer");

/// Processes with mitigation policies; and one without, which shows that what differs is due to the
/// policy. By itself it proves nothing.
pub fn policies(context: &Context<'_>) -> Vec<Finding> {
    let without = Finding::new("no policy", enter(context, "none"));
    let with = POLICIES.iter().map(|&(name, meaning)| Finding::new(meaning, enter(context, name)));
    let mut findings: Vec<_> = with.collect();
    let is_tried = |one: &Finding| !matches!(one.outcome, Outcome::NotTried { .. });
    if without.outcome.is_failure() || findings.iter().any(is_tried) {
        findings.insert(0, without);
    }
    findings
}

/// Processes with less or more rights than this one.
pub fn sandboxes(context: &Context<'_>) -> Vec<Finding> {
    let accounts = ACCOUNTS.iter();
    let mut findings: Vec<_> =
        accounts.map(|&(name, meaning)| Finding::new(meaning, enter(context, name))).collect();
    findings.push(Finding::new("elevated, from below", reach_from_below(context)));
    findings.push(Finding::new(CONTAINER.1, enter_container(context)));
    findings
}

/// Injects the module into the program in the surroundings `name`; then starts it there with the
/// module, if that is not to be quick.
fn enter(context: &Context<'_>, name: &str) -> Result<String, Shortfall> {
    let inject = context.allograft().args(["inject", "--timeout", PATIENCE, "--pid"]);
    let late = judge(&context.runner.run(&start(&context.program(PROGRAM), name, inject))?)?;
    if context.effort == Effort::Quick {
        return Ok(late);
    }
    let program = Launch::new(context.program(PROGRAM)).arg(name);
    let early = context.run_with_module(program, Mode::Early, &["--follow-children"])?;
    Ok(format!("injected: {late}; started: {}", judge_start(&early)?))
}

fn start(program: &Path, name: &str, inject: Launch) -> Launch {
    Launch { meeting: Some(Box::new(inject)), ..Launch::new(program).arg(name) }
}

/// Has a launcher that is not elevated try to reach an elevated program. It is told what to do.
fn reach_from_below(context: &Context<'_>) -> Result<String, Shortfall> {
    let program = context.program(PROGRAM);
    let inject = Launch::new(&program).arg("medium-integrity").arg(context.launcher);
    let inject = inject.args(["inject", "--timeout", PATIENCE, "--pid"]);
    let run = context.runner.run(&start(&program, "elevated", inject))?;
    let outcome = judge(&run)?;
    match is_taken_over(&run) {
        // The words are those for a program that is out of reach, whoever is to blame for it.
        false if outcome.contains("denied: run allograft as") => {
            Ok("refused: the launcher asks for administrator rights".to_owned())
        }
        false => Ok(outcome),
        true => Err(Outcome::failed_in(&run, "a launcher that is not elevated reached it")),
    }
}

/// As [`enter`], in an AppContainer, with copies of the files in a folder that its processes may read.
fn enter_container(context: &Context<'_>) -> Result<String, Shortfall> {
    let folder = context.scratch.join("container");
    let copied = |file: &Path| -> Result<PathBuf, Shortfall> {
        let copy = folder.join(file.file_name().unwrap_or_default());
        fs::copy(file, &copy)
            .map_err(|error| Outcome::failed(format!("{}: {error}", copy.display())))?;
        Ok(copy)
    };
    fs::create_dir_all(&folder)
        .map_err(|error| Outcome::failed(format!("{}: {error}", folder.display())))?;
    // All packages may read and execute what is in the folder. Where the tool fails there are no
    // AppContainers, which the program finds out itself.
    const ALL_PACKAGES: &str = "*S-1-15-2-1:(OI)(CI)(RX)";
    let _ = context.runner.run(&Launch::new("icacls.exe").arg(&folder).args([
        "/grant",
        ALL_PACKAGES,
        "/q",
    ]));
    let program = copied(&context.program(PROGRAM))?;
    let module = context.machine.module_name().unwrap_or_default();
    let module = copied(&context.launcher.with_file_name(module))?;
    let inject = context.allograft().args(["inject", "--timeout", PATIENCE, "--module"]);
    let inject = inject.arg(module).arg("--pid");
    judge(&context.runner.run(&start(&program, CONTAINER.0, inject))?)
}

/// What came of an injection into the program. It has asked the system where it is before.
fn judge(run: &Run) -> Result<String, Shortfall> {
    if let Some(why) = reason_not_to_try(run) {
        return Err(Outcome::not_tried(why));
    }
    if !run.output.lines().any(|line| line.starts_with("confirmed: ")) {
        // The module had no part in this.
        let code = run.exit_code.map_or("no exit code".to_owned(), |code| format!("{code:#x}"));
        return Err(Outcome::not_tried(format!("a program does not start so here ({code})")));
    }
    let Some(injection) = &run.meeting else {
        return Err(Outcome::failed_in(run, "the program ended before the module came"));
    };
    let alone = Run { meeting: None, ..run.clone() };
    expect_code(&alone, 0)?;
    if is_taken_over(run) {
        expect_code(injection, 0)?;
        return Ok("taken over".to_owned());
    }
    match (injection.exit_code, refusal(injection)) {
        (Some(125), Some(words)) => Ok(format!("refused: {words}")),
        (Some(125), None) => {
            Err(Outcome::failed_in(injection, "it was refused, and the reason is not known"))
        }
        _ => Err(Outcome::failed_in(
            injection,
            "the launcher did not say that the program is on its own heap",
        )),
    }
}

/// What came of a start with the module, in surroundings in which an injection was judged already.
fn judge_start(run: &Run) -> Result<&'static str, Shortfall> {
    expect_code(run, 0)?;
    Ok(if is_taken_over(run) { "taken over" } else { "on its own heap, unharmed" })
}

/// Whether the program says so.
fn is_taken_over(run: &Run) -> bool {
    run.output.lines().any(|line| line == "taken over")
}

/// The launcher's reason; none if it names none of which the user learns what is the matter.
fn refusal(injection: &Run) -> Option<&str> {
    const VAGUE: [&str; 2] = ["or that is no module of allograft", "the module gave no reason"];

    let line = injection.errors.lines().find_map(|line| line.strip_prefix("allograft: "))?;
    let reason = line.split_once("keeps running untouched: ").map_or(line, |(_, reason)| reason);
    let is_vague = VAGUE.iter().any(|words| reason.contains(words));
    (!is_vague && !reason.is_empty()).then_some(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(exit_code: Option<u32>, output: &str, injection: (u32, &str)) -> Run {
        let meeting =
            Run { exit_code: Some(injection.0), errors: injection.1.to_owned(), ..Run::default() };
        Run {
            exit_code,
            output: output.to_owned(),
            meeting: Some(Box::new(meeting)),
            ..Run::default()
        }
    }

    #[test]
    fn a_takeover_and_a_refusal_in_words_pass() {
        let taken = run(Some(0), "confirmed: cfg\ntaken over\npassed\n", (0, ""));
        assert_eq!(judge(&taken), Ok("taken over".to_owned()));
        let line = "allograft: a.exe (process 4) was not taken over and keeps running untouched: \
                    it admits modules signed by Microsoft or the Store only\n";
        let refused = run(Some(0), "confirmed: x\non its own heap\npassed\n", (125, line));
        let words = "refused: it admits modules signed by Microsoft or the Store only";
        assert_eq!(judge(&refused), Ok(words.to_owned()));
    }

    #[test]
    fn a_crash_a_hang_and_a_refusal_without_words_fail() {
        const OWN: &str = "confirmed: x\non its own heap\npassed\n";
        const VAGUE: &str = "allograft: a.exe keeps running untouched: Windows did not load it (a \
                             policy or security software may forbid it), or that is no module of \
                             allograft\n";
        for failed in [
            run(Some(0xC000_0005), "confirmed: x\n", (0, "")),
            run(None, "confirmed: x\n", (0, "")),
            run(Some(0), OWN, (125, "")),
            run(Some(0), OWN, (125, VAGUE)),
            run(Some(0), OWN, (0, "")),
            run(Some(0), "confirmed: x\ntaken over\n", (125, "allograft: no\n")),
            Run { meeting: None, ..run(Some(0), "confirmed: x\n", (0, "")) },
        ] {
            assert!(judge(&failed).unwrap_err().is_failure(), "{failed:?}");
        }
    }

    #[test]
    fn what_the_system_does_not_do_is_not_tried() {
        let without = run(Some(2), "not tried: no such policy\n", (0, ""));
        assert_eq!(judge(&without), Err(Outcome::not_tried("no such policy")));
        let does_not_start = run(Some(0xC000_0142), "", (0, ""));
        let why = judge(&does_not_start).unwrap_err();
        assert!(!why.is_failure() && why.text().contains("0xc0000142"), "{why:?}");
    }

    #[test]
    fn a_start_with_the_module_may_leave_the_program_on_its_own_heap_but_not_harm_it() {
        let run = |code, output: &str| Run {
            exit_code: Some(code),
            output: output.to_owned(),
            ..Run::default()
        };
        assert_eq!(judge_start(&run(0, "taken over\n")), Ok("taken over"));
        assert_eq!(judge_start(&run(0, "on its own heap\n")), Ok("on its own heap, unharmed"));
        assert!(judge_start(&run(1, "taken over\n")).unwrap_err().is_failure());
    }
}
