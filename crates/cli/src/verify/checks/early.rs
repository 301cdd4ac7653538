//! The early start: the module is there before the program's own code, and after the static
//! initialisers of its DLLs.

use crate::verify::check::{Context, Finding, Outcome, Shortfall, expect_code, expect_taken_over};
use crate::verify::runner::Launch;
use allograft_laboratory::Mode;

pub fn run(context: &Context<'_>) -> Vec<Finding> {
    let starts = context.effort.pick(3, 20, 100);
    vec![Finding::new("", start_often(context, starts))]
}

/// Starts the program so many times: it says itself what it saw.
fn start_often(context: &Context<'_>, starts: u32) -> Result<String, Shortfall> {
    for _ in 0..starts {
        let launch = Launch::new(context.program("early.exe"));
        let run = context.run_with_module(launch, Mode::Early, &[])?;
        expect_code(&run, 0)?;
        expect_taken_over(&run)?;
        if !run.output.lines().any(|line| line == "passed") {
            return Err(Outcome::failed_in(&run, "the program did not say what it saw"));
        }
    }
    Ok(format!("{starts} starts: every block of the program's own code was mimalloc's"))
}
