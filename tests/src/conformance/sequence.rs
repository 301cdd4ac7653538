//! A sequence of calls: what gives it, and how it is run.

use std::fmt;
use std::io::Write;
use std::str::FromStr;
use std::time::Duration;

use crate::launch::Mode;
use crate::run::ProgramRun;
use crate::stage::{Crt, Stage};

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

    fn program(self) -> &'static str {
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

/// How long one run may take.
const LIMIT: Duration = Duration::from_secs(120);

/// A sequence of calls, and when the module comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequence {
    pub(super) subject: Subject,
    seed: u64,
    /// Number of operations, before any are left out.
    operations: u64,
    /// The operation before which the module is injected, in [`Mode::Injected`].
    stop: u64,
    /// [`Mode::Early`] or [`Mode::Injected`].
    pub(super) mode: Mode,
    /// For a C runtime that deviates without a takeover, where the runtime is compared: only
    /// operations that work under the takeover, and before the injection only those that work
    /// without.
    tame: bool,
    /// The numbers of the operations that are performed, ascending; all, if there is no list.
    kept: Option<Vec<u64>>,
}

impl Sequence {
    /// The whole sequence of `seed` on `crt`. The module comes somewhere in its middle half.
    pub fn new(subject: Subject, crt: &Crt, seed: u64, operations: u64, mode: Mode) -> Sequence {
        let quarter = operations / 4;
        let spread = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        Sequence {
            subject,
            seed,
            operations,
            stop: quarter + spread % (2 * quarter + 1),
            mode,
            tame: crt.is_wine() && subject != Subject::HeapApi,
            kept: None,
        }
    }

    /// What the program calls the operations that it may draw.
    fn operation_set(&self) -> &'static str {
        match (self.tame, self.mode) {
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

    /// Performs it on `crt`.
    ///
    /// # Panics
    ///
    /// If the file that names the kept operations cannot be written.
    pub fn run(&self, stage: &Stage, crt: &Crt, mode: Mode) -> ProgramRun {
        let mut launch =
            stage.program(self.subject.program()).on(crt).mode(mode).limit(LIMIT).args(&[
                &self.seed.to_string(),
                &self.operations.to_string(),
                &self.stop.to_string(),
                self.operation_set(),
            ]);
        if self.subject == Subject::ExactSizes {
            // For the program too, which records the sizes then.
            launch = launch.env("ALLOGRAFT_EXACT_SIZES", "1");
        }
        let mut file = tempfile::NamedTempFile::new().expect("a scratch file can be made");
        if let Some(numbers) = &self.kept {
            file.write_all(ranges(numbers).as_bytes()).expect("the scratch file can be written");
            launch = launch.path_arg(file.path());
        }
        launch.run()
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
        let (version, prefix, overrides) = (None, None, String::new());
        let crt = Crt { name: "wine".to_owned(), version, prefix, overrides };
        Sequence::new(Subject::Runtime, &crt, seed, operations, mode)
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
