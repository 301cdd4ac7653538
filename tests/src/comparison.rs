//! Comparing a program's runs without and with the module.

use std::path::Path;

use allograft_laboratory::{Mode, ModuleReport};

use crate::launch::Launch;
use crate::run::ProgramRun;

/// What a run leaves that can be compared: exit code, standard output, standard error, and the
/// contents of a file.
type Outcome = (Option<i32>, Vec<String>, String, String);

/// A program that is run several times, and where its results are.
pub struct Comparison<'a> {
    /// Makes a launch.
    pub launch: &'a dyn Fn() -> Launch<'static>,
    /// The file that it writes its results to, if not to standard output.
    pub file: Option<&'a Path>,
    /// Whether the lines of standard output may come in any order, as several threads write them.
    pub any_order: bool,
}

impl Comparison<'_> {
    /// Runs it without the module, then in each of `modes`; exit code, output and file must be the
    /// same, and its `HeapAlloc` served. Returns the reports of the module.
    ///
    /// # Panics
    ///
    /// If anything differs, with both runs; if the program ends with another code than `code`; if
    /// it writes nothing.
    #[track_caller]
    pub fn expect_same(&self, code: i32, modes: &[Mode]) -> Vec<ModuleReport> {
        let plain = (self.launch)().run();
        plain.expect_code(code);
        let expected = self.outcome(&plain);
        let (_, lines, errors, text) = &expected;
        let is_silent = lines.is_empty() && errors.is_empty() && text.is_empty();
        assert!(!is_silent, "the program says nothing\n{plain}");
        let reports = modes.iter().map(|&mode| {
            let run = (self.launch)().mode(mode).run();
            let outcome = self.outcome(&run);
            assert!(outcome == expected, "{mode:?} differs:\n{run}\nwithout the module:\n{plain}");
            let report = run.expect_taken_over();
            let heap = &report.process_heap;
            assert!(heap.is_served(), "the process's heap is not served: {heap:?}\n{run}");
            // Of the debug variant, which counts them.
            assert!(heap.escapes.unwrap_or(0) == 0, "blocks escaped: {heap:?}\n{run}");
            report.clone()
        });
        reports.collect()
    }

    fn outcome(&self, run: &ProgramRun) -> Outcome {
        let mut lines: Vec<String> = run.stdout.lines().map(str::to_owned).collect();
        if self.any_order {
            lines.sort_unstable();
        }
        let text = self.file.map(|file| {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            // The next run is not to be judged by this one's.
            std::fs::remove_file(file).ok();
            text
        });
        (run.code, lines, run.stderr.clone(), text.unwrap_or_default())
    }
}
