//! What is said of the results, in every form in which they are shown; in Markdown.

use crate::targets::Target;

/// How many targets are met, in a sentence.
pub fn met(targets: &[Target]) -> String {
    let met = targets.iter().filter(|target| target.is_met()).count();
    format!("{met} of {} targets are met.", targets.len())
}

/// How to read the ratios.
pub const RATIOS: &str = "The first column of figures is the limit: the workload's own program with mimalloc linked in and called \
directly, compiled from the same sources with the same flags by the same compiler as allograft's. The others are ratios to it: the \
median over all rounds of one configuration's time divided by the limit's in the same round, and the quartiles behind it. A run's time \
is that of its fastest repetition, as whatever else the machine does can only make one slower (the shortest loops run in four processes for \
that, as it matters on which pages of the machine's memory a process lies); with several threads it is the median of the \
repetitions.";

/// What the configurations are.
pub const CONFIGURATIONS: &str = "crt is the C runtime's own heap; again is the limit once more, whose distance from 1 is \
what the session cannot tell from nothing; early is `allograft run`; late is the module loaded when half of what the \
workload holds is there, and so the old heap's; by-hand is the limit with the same half in the system's heap, which the program itself \
tells apart and frees there, so that nothing that comes late can be faster; linked is a program linked with allograft's mimalloc.dll; redirect is one linked with an \
unmodified mimalloc.dll that has allograft's mimalloc-redirect.dll beside it.";

/// That Wine is no Windows.
pub const WINE: &str = "All of it runs under Wine. Wine's heap stands for Windows' own only as a placeholder: what crt says is nothing that \
Windows would. The ratios to the limit compare mimalloc with mimalloc on the same machine, and do not depend on it.";

/// What the peaks of memory are.
pub const MEMORY: &str = "The most memory that the program had committed for itself, its images left aside; as above, the limit's and \
ratios to it. Wine commits some of it in every process.";

/// What is measured of programs that were not written here.
pub const REAL: &str = "These cannot be linked with mimalloc: the ratios are to the untouched program, on Wine's heap. The memory is what \
was resident at most. With allograft their parent hands them the module as it starts them, which is in the time.";

/// What is measured of the takeover.
pub const TAKEOVERS: &str = "A program loads the module while so many threads wait in it and so many blocks are in its heap. Redirecting is \
the takeover of the C runtime alone; stopping alone is what the program then takes itself to stop its other threads, read their registers \
and let them go; loading is all of the call that loads the module. The memory is what the process has more of after it.";

/// How instructions are counted.
pub const ENTRIES: &str = "One call by one thread, counted by having the processor stop after each instruction: from the program's call \
to the return, the jumps on the way included. The same on a busy machine and on an idle one; small blocks are the common case.";

/// What the drain curve shows.
pub const DRAIN: &str = "The workload drain with the module loaded late: how much of the old heap's blocks is left, in percent of what \
went in the end, against the operations done.";
