//! What the programs of the bench do, how often, and which repetitions count.

use allograft_measure::summary::Summary;

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Workload {
    /// For `--only` and for every table.
    pub name: &'static str,
    /// For every table.
    pub what: &'static str,
    pub program: WorkloadProgram,
    /// The program's name for it.
    pub argument: &'static str,
    pub runtime: Runtime,
    /// In one repetition.
    pub operations: u64,
    /// In one process.
    pub repetitions: u32,
    /// In one run.
    pub processes: u32,
    pub timing: Timing,
    /// The most time that allograft may take, as a multiple of the baseline.
    pub target: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkloadProgram {
    Own(&'static str),
    /// z3 on a file of the checkout.
    Z3(&'static str),
    /// clang-format on a long source that is generated.
    ClangFormat,
}

/// Whose heap functions a program of the bench calls, unless it is the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runtime {
    /// A C runtime's DLL.
    Shared,
    /// Functions of its own, as in programs that have the C runtime linked in. They call HeapAlloc
    /// and its kin.
    LinkedIn,
}

/// How the times of the repetitions become the time of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timing {
    /// Other load can only slow a repetition down.
    Fastest,
    Median,
    /// The mean of the first so many: the workload changes while it runs.
    First(usize),
    /// The fastest of those after the first so many.
    After(usize),
}

/// Repetitions of `drain` until hardly a block of the old heap is left.
const DRAINING: usize = 12;

/// Repetitions of `drain` until the heap's layout is the same as if all blocks had been mimalloc's
/// from the start.
const SETTLING: usize = 20;

/// In the order in which they are shown.
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
    own("drain", "drain", 50_000, "100,000 blocks replaced at random until no block of the old heap is left; in late and by-hand half of them begin there")
        .counting(20, Timing::First(DRAINING)),
    own("drained", "drain", 50_000, "the same workload after that").counting(32, Timing::After(SETTLING)),
    tight_loop("pair", "a block of 16 to 271 bytes, touched and freed at once, with the runtime linked in").linked_in("heap-pair"),
    tight_loop("pair-among", "the same while the program holds another block of every size").linked_in("heap-pair-among"),
    tight_loop("mix", "mix, with the runtime linked in").linked_in("heap-mix"),
    tight_loop("batch", "1,000 blocks of 32 bytes allocated, then freed, with the runtime linked in").linked_in("heap-batch"),
    own("calloc", "kinds", 300_000, "calloc, with the runtime linked in").linked_in("heap-calloc"),
    own("vector", "kinds", 5_000, "vector, with the runtime linked in").linked_in("heap-vector"),
    own("string-among", "kinds", 200_000, "string-among, with the runtime linked in").linked_in("heap-string-among"),
    threads("servers-2", "servers-2, with the runtime linked in").linked_in("heap-servers-2"),
    real("z3-queens", WorkloadProgram::Z3("tests/inputs/queens.smt2"), "z3 places queens"),
    real("z3-sorting", WorkloadProgram::Z3("bench/inputs/sorting.smt2"), "z3 proves that a network sorts: arrays and bit-vectors"),
    real("z3-packing", WorkloadProgram::Z3("bench/inputs/packing.smt2"), "z3 loads lorries: integers"),
    real("clang-format", WorkloadProgram::ClangFormat, "clang-format formats a source of 8,000 lines"),
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
        program: WorkloadProgram::Own(program),
        argument: name,
        runtime: Runtime::Shared,
        operations,
        repetitions: 15,
        processes: 1,
        timing: Timing::Fastest,
        target: 1.10,
    }
}

/// A workload whose operations are so short that the time depends on which physical pages the
/// process gets: one process in ten takes twice the time.
const fn tight_loop(name: &'static str, what: &'static str) -> Workload {
    Workload { processes: 4, repetitions: 8, ..own(name, "loops", 1_000_000, what) }
}

/// A workload with several threads. How they interfere depends on the scheduler, so the fastest
/// repetition is only the luckiest one.
const fn threads(name: &'static str, what: &'static str) -> Workload {
    own(name, "threads", 2_000_000, what).counting(12, Timing::Median)
}

const fn real(name: &'static str, program: WorkloadProgram, what: &'static str) -> Workload {
    Workload { program, operations: 1, repetitions: 1, ..own(name, "", 1, what) }
}

impl Workload {
    const fn within(mut self, target: f64) -> Workload {
        self.target = target;
        self
    }

    /// The same with the runtime linked in, under another name.
    const fn linked_in(self, name: &'static str) -> Workload {
        Workload { name, runtime: Runtime::LinkedIn, ..self.within(1.25) }
    }

    const fn counting(mut self, repetitions: u32, timing: Timing) -> Workload {
        self.repetitions = repetitions;
        self.timing = timing;
        self
    }

    /// Whether its program belongs to the bench, and so can be linked with mimalloc.
    pub fn is_own(&self) -> bool {
        matches!(self.program, WorkloadProgram::Own(_))
    }

    /// Whether it measures what happens to the old heap's blocks. It takes minutes on Wine's own
    /// heap, which is then not measured.
    pub fn is_about_the_old_heap(&self) -> bool {
        self.program == WorkloadProgram::Own("drain")
    }
}

impl Timing {
    /// The time of a run. At least one repetition counts.
    pub fn run_time(self, repetitions: &[f64]) -> f64 {
        let fastest = |times: &[f64]| times.iter().copied().fold(f64::INFINITY, f64::min);
        match self {
            Timing::Fastest => fastest(repetitions),
            Timing::Median => Summary::new(repetitions).map_or(f64::NAN, |summary| summary.median),
            Timing::First(count) => {
                let counted = &repetitions[..count.min(repetitions.len())];
                counted.iter().sum::<f64>() / counted.len() as f64
            }
            Timing::After(count) => fastest(&repetitions[count.min(repetitions.len() - 1)..]),
        }
    }
}

pub fn named(name: &str) -> Option<&'static Workload> {
    ALL.iter().find(|workload| workload.name == name)
}

/// The workloads called `names`; all if `names` is empty.
pub fn select(names: &[String]) -> anyhow::Result<Vec<Workload>> {
    if let Some(unknown) = names.iter().find(|name| named(name).is_none()) {
        let known: Vec<&str> = ALL.iter().map(|workload| workload.name).collect();
        anyhow::bail!("there is no workload {unknown}; there are {}", known.join(", "));
    }
    let is_wanted = |name: &str| names.is_empty() || names.iter().any(|other| other == name);
    Ok(ALL.iter().filter(|workload| is_wanted(workload.name)).copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_run_comes_from_the_repetitions_that_count() {
        let times = [8.0, 6.0, 2.0, 3.0];
        assert_eq!(Timing::Fastest.run_time(&times), 2.0);
        assert_eq!(Timing::Median.run_time(&times), 4.5);
        assert_eq!(Timing::First(2).run_time(&times), 7.0);
        assert_eq!(Timing::After(3).run_time(&times), 3.0);
        // With fewer repetitions the last one still counts.
        assert_eq!(Timing::After(12).run_time(&[5.0]), 5.0);
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let error = select(&["pears".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("pears") && error.contains("pair, "), "{error}");
    }

    #[test]
    fn all_names_differ() {
        for workload in ALL {
            assert_eq!(named(workload.name), Some(workload));
        }
    }
}
