//! The harness of the scenarios: runs Windows programs on a given C runtime, with and without the
//! takeover.
//!
//! `cargo xtask test` builds everything that is needed and describes it in
//! `target/allograft/stage.json`, which [`Stage`] reads. A [`Launch`] runs one program in one
//! [`Mode`] and returns a [`ProgramRun`]: exit code, output, and the [`ModuleReport`]. Every wait
//! has a time limit, and the harness ends no processes but those that it started.
//!
//! ```no_run
//! use allograft_tests::{Mode, Stage};
//!
//! let stage = Stage::load();
//! for crt in stage.crts() {
//!     stage.program("blocks").on(crt).mode(Mode::Injected).run().expect_code(0);
//! }
//! ```
//!
//! [`conformance`] compares the takeover with the untouched C runtime over random sequences of
//! calls; [`stress`] takes programs over at the worst moments.

mod comparison;
pub mod conformance;
pub mod inputs;
mod launch;
mod process;
mod run;
mod screen;
mod stage;
pub mod stress;
mod target;

pub use allograft_laboratory::{Mode, ModuleReport};
pub use comparison::Comparison;
pub use launch::Launch;
pub use run::ProgramRun;
pub use screen::Screen;
pub use stage::{Crt, RealPrograms, Stage, Stage32};
pub use target::{Target, X64, X86};
