//! What is measured.

use allograft_measure::statistics::Summary;

/// Something that a program does, again and again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Workload {
    /// Its name, for `--only` and in every table, and for the program that has it.
    pub name: &'static str,
    /// What it does, for a reader.
    pub what: &'static str,
    /// Where it is found.
    pub program: Program,
    /// Operations in one repetition.
    pub operations: u64,
    /// Repetitions in one process.
    pub repetitions: u32,
    /// Processes in one run.
    pub processes: u32,
    /// Which repetitions count.
    pub time: Time,
    /// The most that allograft may take, as a multiple of the limit.
    pub target: f64,
}

/// A program that can be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// One of the bench's own.
    Own(&'static str),
    /// z3 on a file of the checkout.
    Z3(&'static str),
    /// clang-format on a long source that is made for it.
    ClangFormat,
}

/// The time of a run, from those of its repetitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Time {
    /// The fastest: whatever else the machine does can only make one slower.
    Fastest,
    /// The median of all.
    Median,
    /// The mean of the first so many: what is measured changes while it goes on.
    First(usize),
    /// The fastest of those after the first so many.
    After(usize),
}

/// Repetitions of `drain` until hardly a block of the old heap is left.
const DRAINING: usize = 12;

/// Repetitions of `drain` until the blocks lie as they do when all of them were mimalloc's from the
/// start.
const SETTLING: usize = 20;

/// All of them, in the order in which they are shown.
pub const ALL: &[Workload] = &[
    tight_loop("pair", "a block of 16 to 271 bytes, touched and freed at once").within(1.15),
    tight_loop("pair-among", "the same while the program holds another block of every size"),
    tight_loop("mix", "a random slot of 1,000 freed, or filled with a block of 8 to 1,031 bytes").within(1.08),
    own("vector", "kinds", 5_000, "a vector that doubles from 64 bytes to 256 KiB"),
    own("string", "kinds", 200_000, "a string appended to by 1 to 32 bytes until it has 4,000"),
    own("string-among", "kinds", 200_000, "the same while the program holds a block of every size"),
    own("calloc", "kinds", 300_000, "a random slot of 500 replaced by a zeroed block of 8 to 2,160 bytes"),
    own("aligned", "kinds", 300_000, "a random slot of 500 replaced by a block aligned to 16 to 512"),
    threads("servers-1", "a thread replaces blocks in 1,000 slots and hands them on to the next"),
    threads("servers-2", "two such threads at once"),
    threads("servers-4", "four such threads at once"),
    threads("servers-8", "eight such threads at once"),
    threads("pipeline", "one thread allocates what another frees"),
    threads("stress", "four threads keep, exchange and free blocks of 8 bytes to 64 KiB"),
    own("containers", "containers", 30_000, "a map of strings to vectors of strings, and a vector of vectors"),
    own("drain", "drain", 50_000, "100,000 blocks, half of them the old heap's if the module comes late, replaced at random until none of these is left")
        .counting(20, Time::First(DRAINING)),
    own("drained", "drain", 50_000, "the same after that").counting(32, Time::After(SETTLING)),
    real("z3-queens", Program::Z3("tests/inputs/queens.smt2"), "z3 places queens"),
    real("z3-sorting", Program::Z3("bench/inputs/sorting.smt2"), "z3 proves that a network sorts: arrays and bit-vectors"),
    real("z3-packing", Program::Z3("bench/inputs/packing.smt2"), "z3 loads lorries: integers"),
    real("clang-format", Program::ClangFormat, "clang-format formats a source of 8,000 lines"),
];

const fn own(
    name: &'static str,
    program: &'static str,
    operations: u64,
    what: &'static str,
) -> Workload {
    Workload {
        name,
        what,
        program: Program::Own(program),
        operations,
        repetitions: 15,
        processes: 1,
        time: Time::Fastest,
        target: 1.10,
    }
}

/// A workload whose operations take so little that it matters on which pages of the machine's
/// memory a process happens to lie: twice the time, in one process of ten.
const fn tight_loop(name: &'static str, what: &'static str) -> Workload {
    Workload { processes: 4, repetitions: 8, ..own(name, "loops", 1_000_000, what) }
}

/// A workload of the program with several threads. What they do to one another depends on when the
/// system lets each of them run, so that the fastest repetition is no more than the luckiest.
const fn threads(name: &'static str, what: &'static str) -> Workload {
    own(name, "threads", 2_000_000, what).counting(12, Time::Median)
}

const fn real(name: &'static str, program: Program, what: &'static str) -> Workload {
    Workload { program, operations: 1, repetitions: 1, ..own(name, "", 1, what) }
}

impl Workload {
    const fn within(mut self, target: f64) -> Workload {
        self.target = target;
        self
    }

    const fn counting(mut self, repetitions: u32, time: Time) -> Workload {
        self.repetitions = repetitions;
        self.time = time;
        self
    }

    /// Whether it was written for the bench, and so can be linked with mimalloc.
    pub fn is_own(&self) -> bool {
        matches!(self.program, Program::Own(_))
    }

    /// Whether it is there for what becomes of the old heap's blocks. It takes minutes on Wine's
    /// own heap, which is not what is measured.
    pub fn is_about_the_old_heap(&self) -> bool {
        self.program == Program::Own("drain")
    }
}

impl Time {
    /// The time of a run from those of its repetitions, of which there is at least one that counts.
    pub fn of(self, repetitions: &[f64]) -> f64 {
        let fastest = |times: &[f64]| times.iter().copied().fold(f64::INFINITY, f64::min);
        match self {
            Time::Fastest => fastest(repetitions),
            Time::Median => Summary::of(repetitions).map_or(f64::NAN, |summary| summary.median),
            Time::First(count) => {
                let counted = &repetitions[..count.min(repetitions.len())];
                counted.iter().sum::<f64>() / counted.len() as f64
            }
            Time::After(count) => fastest(&repetitions[count.min(repetitions.len() - 1)..]),
        }
    }
}

/// The workload called `name`.
pub fn named(name: &str) -> Option<&'static Workload> {
    ALL.iter().find(|workload| workload.name == name)
}

/// Those called `names`, or all if none is named. The error names what there is.
pub fn chosen(names: &[String]) -> anyhow::Result<Vec<Workload>> {
    if let Some(unknown) = names.iter().find(|name| named(name).is_none()) {
        let known: Vec<&str> = ALL.iter().map(|workload| workload.name).collect();
        anyhow::bail!("there is no workload {unknown}; there are {}", known.join(", "));
    }
    let is_wanted =
        |workload: &&Workload| names.is_empty() || names.iter().any(|name| name == workload.name);
    Ok(ALL.iter().filter(is_wanted).copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runs_time_is_made_of_the_repetitions_that_count() {
        let times = [8.0, 6.0, 2.0, 3.0];
        assert_eq!(Time::Fastest.of(&times), 2.0);
        assert_eq!(Time::Median.of(&times), 4.5);
        assert_eq!(Time::First(2).of(&times), 7.0);
        assert_eq!(Time::After(3).of(&times), 3.0);
        // With hardly any repetitions something still counts.
        assert_eq!(Time::After(12).of(&[5.0]), 5.0);
    }

    #[test]
    fn an_unknown_name_is_answered_with_those_that_there_are() {
        let error = chosen(&["pears".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("pears") && error.contains("pair, "), "{error}");
    }

    #[test]
    fn all_names_differ() {
        for workload in ALL {
            assert_eq!(named(workload.name), Some(workload));
        }
    }
}
