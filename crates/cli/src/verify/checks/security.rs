//! Security software: whether it has blocked a step of the checks before this one, and who it is.

use crate::diagnosis::why_nobody_loads;
use crate::verify::check::{Context, Finding, Outcome, Shortfall, expect_code};
use crate::verify::runner::{Launch, Run};

/// The system's errors by which a blocked step is known: a virus, one that was removed, a file
/// without a signature, a policy, and Smart App Control.
const BLOCKING: [u32; 5] = [225, 226, 577, 1260, 4551];

/// What those errors are called where the launcher has words for them.
const WORDS: [&str; 3] = ["virus scanner", "AppLocker", "Smart App Control"];

/// What the system itself refuses to nobody who starts a program and injects into it. Where it
/// restricts the program, a check has passed with such words.
const DENIALS: [&str; 2] = ["denied: run allograft as", "(os error 5)"];

const ADVICE: &str = "allow the folder of allograft in your security software, or ask whoever runs \
                      it; its page on security says why scanners suspect such programs";

pub fn run(context: &Context<'_>) -> Vec<Finding> {
    vec![Finding::new("", look(context))]
}

fn look(context: &Context<'_>) -> Result<String, Shortfall> {
    let module = context.machine.module_name().unwrap_or_default();
    let module = context.launcher.with_file_name(module);
    let unloadable = why_nobody_loads(&module);
    let met = context.earlier.iter().filter(|finding| is_blocked(&finding.outcome));
    let met = met.map(|finding| finding.outcome.text().to_owned());
    let steps: Vec<String> = unloadable.into_iter().chain(met).collect();
    if let Some(first) = steps.first() {
        let what = match steps.len() {
            1 => first.clone(),
            count => format!("{first}; and {} more", count - 1),
        };
        return Err(Outcome::Failed { what, advice: ADVICE.to_owned(), command: None });
    }
    let run = context.runner.run(&Launch::new(context.program("foreign_modules.exe")))?;
    expect_code(&run, 0)?;
    judge(&run, virus_scanner())
}

/// What a machine is like on which nothing was blocked, by a program's view of its own process.
fn judge(run: &Run, virus_scanner: Option<&str>) -> Result<String, Shortfall> {
    let after = |mark| run.output.lines().filter_map(move |line| line.strip_prefix(mark));
    let modules: Vec<&str> = after("module: ").collect();
    let hooked: Vec<&str> = after("hooked: ").collect();
    if virus_scanner.is_none() && modules.is_empty() && hooked.is_empty() {
        return Err(Outcome::not_tried("this machine shows no security software"));
    }
    let mut seen = vec!["no step was blocked".to_owned()];
    seen.extend(virus_scanner.map(str::to_owned));
    if !modules.is_empty() {
        seen.push(format!("others' DLLs in our programs: {}", modules.join(", ")));
    }
    if !hooked.is_empty() {
        seen.push(format!("functions hooked by others: {}", hooked.join(", ")));
    }
    Ok(seen.join("; "))
}

/// Whether what a check has found says that a step was blocked.
fn is_blocked(outcome: &Outcome) -> bool {
    let text = outcome.text();
    let has_code = |code| {
        [format!("(os error {code})"), format!("(error {code})"), format!("system error {code}")]
            .iter()
            .any(|words| text.contains(words.as_str()))
    };
    let has_passed = matches!(outcome, Outcome::Passed { .. });
    WORDS.iter().any(|words| text.contains(words))
        || BLOCKING.into_iter().any(has_code)
        || !has_passed && DENIALS.iter().any(|words| text.contains(words))
}

/// What the system says of its virus scanner.
fn virus_scanner() -> Option<&'static str> {
    #[cfg(windows)]
    return crate::windows::security_center::virus_scanner();
    #[cfg(not(windows))]
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blocked_step_is_known_by_the_systems_error_or_the_launchers_words() {
        for blocked in [
            "cannot start storm.exe: the file contains a virus (os error 225)",
            "refused: Windows did not load allograft.dll: a policy of this machine admits signed \
             modules only (error 577): allow the file in the policy, or sign it",
            "Smart App Control or an App Control policy blocks it (error 4551)",
            "access to storm.exe denied: run allograft as the same user or as administrator",
            "cannot write to storm.exe: system error 1260",
        ] {
            assert!(is_blocked(&Outcome::not_tried(blocked)), "{blocked}");
        }
        for other in [
            "2 runs, up to 12 threads suspended",
            "refused: it admits modules signed by Microsoft or the Store only",
            "refused: cannot share memory with it: access is denied (os error 5)",
            "cannot start storm.exe: no such file (os error 2)",
        ] {
            assert!(!is_blocked(&Outcome::Passed { what: other.to_owned() }), "{other}");
        }
    }

    #[test]
    fn a_machine_without_security_software_proves_nothing() {
        let quiet = Run { output: "passed\n".to_owned(), ..Run::default() };
        assert!(matches!(judge(&quiet, None), Err(Outcome::NotTried { .. })));
        let scanned = judge(&quiet, Some("a virus scanner is at work")).unwrap();
        assert_eq!(scanned, "no step was blocked; a virus scanner is at work");
        let output = "module: C:\\edr.dll\nhooked: NtSuspendThread\npassed\n".to_owned();
        let watched = judge(&Run { output, ..Run::default() }, None).unwrap();
        assert!(
            watched.contains("edr.dll; functions hooked by others: NtSuspendThread"),
            "{watched}"
        );
    }
}
