//! The harness of the scenarios: runs Windows programs on a named C runtime, without and with the
//! takeover.
//!
//! `cargo xtask test` builds everything that is needed and describes it in
//! `target/allograft/stage.json`; [`Stage`] reads that. A [`Launch`] runs one program in one
//! [`Mode`] and gives a [`Run`]: exit code, output, and the module's [`Report`]. Every wait has a
//! bound, and only processes that the harness started are ended.
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

pub mod conformance;
pub mod inputs;
mod launch;
mod process;
mod report;
mod run;
mod stage;
pub mod stress;

pub use launch::{Launch, Mode};
pub use report::{Foreign, OldHeap, Report, Runtime};
pub use run::Run;
pub use stage::{Crt, Machine, RealPrograms, Stage};
