//! How a program can end: what `exit_paths.c` takes as its first argument.

/// The exit code with which the program ends, or the lowest byte of it.
pub const ENDING_CODE: u32 = 7;

/// A way to end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ending {
    /// The program's argument.
    pub name: &'static str,
    /// Whether exit functions run.
    pub runs_exit_functions: bool,
    /// Whether the system itself lets no other thread hold a lock of the heap then. A thread that is
    /// terminated inside the old heap holds its lock for ever, on Windows too, and no block of it
    /// can be freed again.
    pub is_orderly: bool,
}

const fn ending(name: &'static str, runs_exit_functions: bool) -> Ending {
    Ending { name, runs_exit_functions, is_orderly: true }
}

/// All ways to end.
pub const ENDINGS: &[Ending] = &[
    ending("return", true),
    ending("exit", true),
    ending("_exit", false),
    ending("ExitProcess", false),
    ending("other-thread", false),
    ending("TerminateProcess", false),
    ending("exception", false),
    Ending { is_orderly: false, ..ending("terminated-threads", true) },
];

impl Ending {
    /// Whether a program that was to end so did, by its exit code and its output. Of an exception's
    /// code, Wine's host sees the lowest byte.
    pub fn is_seen_in(self, exit_code: Option<u32>, output: &str) -> bool {
        exit_code.is_some_and(|code| code & 0xFF == ENDING_CODE)
            && (!self.runs_exit_functions || output.contains("exit functions ran"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ending_is_seen_by_the_exit_code_and_by_the_exit_functions() {
        let (with, without) = (ENDINGS[0], ENDINGS[2]);
        assert!(with.is_seen_in(Some(7), "exit functions ran\n"));
        assert!(!with.is_seen_in(Some(7), ""));
        assert!(without.is_seen_in(Some(0xE000_0007), ""));
        assert!(!without.is_seen_in(Some(0xC000_0005), ""));
        assert!(!without.is_seen_in(None, "exit functions ran\n"));
    }
}
