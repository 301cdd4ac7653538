//! A random sequence of calls, and the command line by which a program performs it.
//!
//! Operation number i depends only on the seed and on i, so a sequence that fails can be shortened
//! by leaving operations out.

use std::fmt;
use std::str::FromStr;

use crate::mode::Mode;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The functions of the C runtime; blocks may be larger than was asked for.
    Runtime,
    /// The functions of the C runtime, with `ALLOGRAFT_EXACT_SIZES`.
    ExactSizes,
    /// The functions of the process's heap.
    HeapApi,
}

impl Subject {
    /// All that is compared.
    pub const ALL: [Subject; 3] = [Subject::Runtime, Subject::ExactSizes, Subject::HeapApi];

    /// The test program that performs the calls.
    pub fn program(self) -> &'static str {
        match self {
            Subject::Runtime | Subject::ExactSizes => "conformance",
            Subject::HeapApi => "conformance_heap",
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Subject::Runtime => "runtime",
            Subject::ExactSizes => "exact-sizes",
            Subject::HeapApi => "heap-api",
        })
    }
}

impl FromStr for Subject {
    type Err = String;

    fn from_str(name: &str) -> Result<Subject, String> {
        let found = Subject::ALL.into_iter().find(|subject| subject.to_string() == name);
        found.ok_or_else(|| {
            let names = Subject::ALL.map(|subject| subject.to_string());
            format!("`{name}` is not compared; compared are {}", names.join(", "))
        })
    }
}

/// A sequence of calls, and when the module comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// What is compared.
    pub subject: Subject,
    seed: u64,
    /// Number of operations, before any are left out.
    operations: u64,
    /// The operation before which the module is injected, in [`Mode::Injected`].
    stop: u64,
    /// [`Mode::Early`] or [`Mode::Injected`].
    pub mode: Mode,
    /// For a C runtime that deviates without a takeover, where the runtime is compared: only
    /// operations that work under the takeover, and before the injection only those that work
    /// without.
    tame: bool,
    /// The runtime is not the Universal CRT: it has the public names only.
    is_older: bool,
    /// The numbers of the operations that are performed, ascending; all, if there is no list.
    kept: Option<Vec<u64>>,
}

impl Sequence {
    /// The whole sequence of `seed`. The module comes somewhere in its middle half. `tame` is for
    /// a C runtime that deviates without a takeover: where the runtime is compared, only what works
    /// on it is called.
    pub fn new(subject: Subject, tame: bool, seed: u64, operations: u64, mode: Mode) -> Sequence {
        let quarter = operations / 4;
        let spread = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        Sequence {
            subject,
            seed,
            operations,
            stop: quarter + spread % (2 * quarter + 1),
            mode,
            tame: tame && subject != Subject::HeapApi,
            is_older: false,
            kept: None,
        }
    }

    /// The same for a C runtime that is older than the Universal CRT.
    pub fn on_older_runtime(self) -> Sequence {
        Sequence { is_older: true, ..self }
    }

    /// What the program calls the operations that it may draw.
    fn operation_set(&self) -> &'static str {
        match (self.tame, self.mode) {
            (false, _) if self.is_older => "portable",
            (false, _) => "all",
            (true, Mode::Injected) => "tame",
            (true, _) => "portable",
        }
    }

    /// The same sequence with the operations `numbers` only.
    pub fn keeping(&self, numbers: &[u64]) -> Sequence {
        Sequence { kept: Some(numbers.to_vec()), ..self.clone() }
    }

    /// The numbers of the operations that are performed.
    pub fn numbers(&self) -> Vec<u64> {
        self.kept.clone().unwrap_or_else(|| (0..self.operations).collect())
    }

    /// The arguments with which the program performs it. If operations were left out, it takes the
    /// path of a file with [`Sequence::kept`] behind them.
    pub fn arguments(&self) -> [String; 4] {
        let set = self.operation_set().to_owned();
        [self.seed.to_string(), self.operations.to_string(), self.stop.to_string(), set]
    }

    /// The variable that the program and the module find in the environment, if there is one.
    pub fn variable(&self) -> Option<(&'static str, &'static str)> {
        (self.subject == Subject::ExactSizes).then_some(("ALLOGRAFT_EXACT_SIZES", "1"))
    }

    /// The operations that are performed, if any were left out: the text of a file.
    pub fn kept(&self) -> Option<String> {
        self.kept.as_deref().map(ranges)
    }
}

/// Ascending numbers as lines `FIRST LAST`.
fn ranges(numbers: &[u64]) -> String {
    let mut text = String::new();
    let mut rest = numbers;
    while let Some(&first) = rest.first() {
        let length =
            rest.iter().zip(first..).take_while(|(number, expected)| **number == *expected).count();
        text.push_str(&format!("{first} {}\n", rest[length - 1]));
        rest = &rest[length..];
    }
    text
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, seed {}, {} operations", self.subject, self.seed, self.operations)?;
        match self.mode {
            Mode::Injected => write!(f, ", injected before operation {}", self.stop)?,
            _ => write!(f, ", early")?,
        }
        match &self.kept {
            None => Ok(()),
            Some(numbers) if numbers.len() > 40 => write!(f, ", {} of them kept", numbers.len()),
            Some(numbers) => write!(f, ", only {numbers:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(seed: u64, operations: u64, mode: Mode) -> Sequence {
        Sequence::new(Subject::Runtime, true, seed, operations, mode)
    }

    #[test]
    fn a_subject_has_a_name() {
        for subject in Subject::ALL {
            assert_eq!(subject.to_string().parse(), Ok(subject));
        }
        assert!("heap".parse::<Subject>().unwrap_err().contains("heap-api"));
    }

    #[test]
    fn numbers_are_written_as_ranges() {
        assert_eq!(ranges(&[0, 1, 2, 7, 9, 10]), "0 2\n7 7\n9 10\n");
        assert_eq!(ranges(&[]), "");
    }

    #[test]
    fn the_module_comes_in_the_middle_half() {
        for seed in 0..100 {
            let sequence = sequence(seed, 1000, Mode::Injected);
            assert!((250..=750).contains(&sequence.stop), "{sequence}");
        }
    }

    #[test]
    fn a_short_sequence_is_named_by_its_operations() {
        let sequence = sequence(3, 100, Mode::Early).keeping(&[4, 8]);
        assert_eq!(sequence.to_string(), "runtime, seed 3, 100 operations, early, only [4, 8]");
    }
}
