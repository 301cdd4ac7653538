//! `--follow-children`: a program's children, and theirs, are on mimalloc from the start, in
//! programs of the same bitness and of the other.

use crate::verify::check::{Context, Finding, Outcome, Shortfall, expect_code, expect_taken_over};
use crate::verify::runner::Launch;
use allograft_laboratory::Mode;
use std::path::Path;

/// In how many ways the program starts itself.
const WAYS: usize = 3;

pub fn run(context: &Context<'_>) -> Vec<Finding> {
    let own = context.program("family.exe");
    let mut findings = vec![Finding::new("same bitness", follow(context, &own))];
    let other = match context.other_programs {
        Ok(programs) => follow(context, &programs.join("family.exe")),
        Err(why) => Err(Outcome::not_tried(why.to_owned())),
    };
    findings.push(Finding::new("other bitness, and back", other));
    findings
}

/// Starts the family, whose generations alternate with the program `other`.
fn follow(context: &Context<'_>, other: &Path) -> Result<String, Shortfall> {
    let generations: u32 = context.effort.pick(1, 2, 2);
    let expected = (1..=generations).map(|one| WAYS.pow(one)).sum::<usize>();
    for mode in [Mode::Early, Mode::Injected] {
        let launch = Launch::new(context.program("family.exe"))
            .arg(generations.to_string())
            .env("ALLOGRAFT_TEST_OTHER", other);
        let run = context.run_with_module(launch, mode, &["--follow-children"])?;
        expect_code(&run, 0)?;
        expect_taken_over(&run)?;
        let children = run.output.lines().filter(|line| !line.starts_with("parent"));
        let on_it = children.filter(|line| line.ends_with("on mimalloc")).count();
        if on_it != expected {
            return Err(Outcome::failed_in(
                &run,
                format_args!("{on_it} of {expected} children were on mimalloc"),
            ));
        }
    }
    Ok(format!("{} of {} processes on mimalloc", 2 * expected, 2 * expected))
}
