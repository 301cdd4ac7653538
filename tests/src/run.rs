//! What a program did.

use std::time::Duration;

use allograft_laboratory::ModuleReport;

/// The outcome of one launch.
#[derive(Debug)]
pub struct ProgramRun {
    /// Exit code; none if the program did not end in time. Under Wine only its lowest eight bits
    /// arrive.
    pub code: Option<i32>,
    /// The time from the start of the process to its end.
    pub took: Duration,
    /// Lines of standard output, without those that are meant for the harness.
    pub stdout: String,
    /// Lines of standard error.
    pub stderr: String,
    /// The module's report, if it was asked for one and wrote it.
    pub report: Option<ModuleReport>,
    /// What `allograft inject` did, in [`Mode::Injected`](crate::Mode::Injected).
    pub injection: Option<Box<ProgramRun>>,
    /// The command line, for messages.
    pub command: String,
}

impl ProgramRun {
    /// Panics with the whole run unless the exit code is `code`.
    #[track_caller]
    pub fn expect_code(&self, code: i32) -> &ProgramRun {
        assert!(self.code == Some(code), "exit code {code} was expected\n{self}");
        self
    }

    /// Panics with the lines that differ unless standard output is `expected`, line by line.
    #[track_caller]
    pub fn expect_transcript(&self, expected: &str) -> &ProgramRun {
        let differences = differences(expected, &self.stdout);
        assert!(
            differences.is_empty(),
            "{} lines differ from what was expected:\n{}\n{self}",
            differences.len(),
            differences[..differences.len().min(20)].join("\n")
        );
        self
    }

    /// Panics with the whole run unless standard error is one line that contains all of `words`.
    #[track_caller]
    pub fn expect_error_line(&self, words: &[&str]) -> &ProgramRun {
        let mut lines = self.stderr.lines().filter(|line| !line.is_empty());
        let (Some(line), None) = (lines.next(), lines.next()) else {
            panic!("one line on standard error was expected\n{self}");
        };
        self.expect_words("standard error", line, words)
    }

    /// Panics with the whole run unless standard output contains all of `words`.
    #[track_caller]
    pub fn expect_output(&self, words: &[&str]) -> &ProgramRun {
        self.expect_words("standard output", &self.stdout, words)
    }

    #[track_caller]
    fn expect_words(&self, stream: &str, text: &str, words: &[&str]) -> &ProgramRun {
        for word in words {
            assert!(text.contains(word), "{stream} does not contain {word:?}\n{self}");
        }
        self
    }

    /// Panics with the whole run unless the module took over a heap, and the injection, if there
    /// was one, succeeded.
    #[track_caller]
    pub fn expect_taken_over(&self) -> &ModuleReport {
        if let Some(injection) = &self.injection {
            injection.expect_code(0);
        }
        match &self.report {
            Some(report) if report.is_active() => report,
            Some(report) => panic!("the heap was not taken over: {report:?}\n{self}"),
            None => panic!("the module wrote no report\n{self}"),
        }
    }
}

impl std::fmt::Display for ProgramRun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.code {
            Some(code) => writeln!(f, "exit code {code}: {}", self.command)?,
            None => writeln!(f, "did not end in time, or was killed: {}", self.command)?,
        }
        writeln!(
            f,
            "--- standard output\n{}--- standard error\n{}---",
            tail(&self.stdout),
            tail(&self.stderr)
        )?;
        if let Some(injection) = &self.injection {
            write!(f, "the injection: {injection}")?;
        }
        Ok(())
    }
}

/// The lines in which two texts differ, as `expected` / `got` pairs.
fn differences(expected: &str, got: &str) -> Vec<String> {
    let (mut expected, mut got) = (expected.lines(), got.lines());
    let mut found = Vec::new();
    loop {
        match (expected.next(), got.next()) {
            (None, None) => return found,
            (wanted, line) if wanted == line => (),
            (wanted, line) => found.push(format!(
                "  expected: {}\n       got: {}",
                wanted.unwrap_or("(the end)"),
                line.unwrap_or("(the end)")
            )),
        }
    }
}

/// The last 40 lines of `text`: enough for a message.
fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let skipped = lines.len().saturating_sub(40);
    let note = (skipped > 0).then(|| format!("({skipped} lines before these)\n"));
    note.into_iter().chain(lines[skipped..].iter().map(|line| format!("{line}\n"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differing_and_missing_lines_are_shown_in_pairs() {
        assert!(differences("a\nb\n", "a\nb").is_empty());
        assert_eq!(differences("a\nb", "a\nc"), ["  expected: b\n       got: c"]);
        assert_eq!(differences("a", "a\nc"), ["  expected: (the end)\n       got: c"]);
    }

    #[test]
    fn long_output_is_cut_at_the_front() {
        let text: String = (0..50).map(|line| format!("{line}\n")).collect();
        let shown = tail(&text);
        assert!(shown.starts_with("(10 lines before these)\n10\n"));
        assert!(shown.ends_with("49\n"));
    }
}
