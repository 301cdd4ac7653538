//! What judges a run of a test program (`tests/programs`), on any host: the module's report
//! ([`ModuleReport`]), random sequences of calls ([`Sequence`]), the comparison of their transcripts
//! ([`compare()`]), and the ways in which a program can end ([`ENDINGS`]).
//!
//! The scenarios run the programs on a developer's machine, `allograft verify` on a user's. Both
//! judge by this crate, and it starts nothing itself.

mod compare;
mod endings;
mod lines;
mod mode;
mod programs;
mod report;
mod sequence;

pub use compare::{Deviation, compare};
pub use endings::{ENDINGS, Ending};
pub use lines::{lines_of, text_of};
pub use mode::{Mode, READY};
pub use programs::{PROGRAM_FOLDER, PROGRAMS};
pub use report::{
    Foreign, MimallocFigures, ModuleReport, OldHeap, ProcessHeapReport, RuntimeReport,
};
pub use sequence::{Sequence, Subject};
