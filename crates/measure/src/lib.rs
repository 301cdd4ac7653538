//! What measurements need after they are taken: [`statistics`], and [`table`]s, [`chart`]s and a
//! [`page`] to show them.
//!
//! Nothing here measures anything or calls the system, and nothing is random: the same numbers
//! always give the same answer.
//!
//! ```
//! use allograft_measure::statistics::{Verdict, compare};
//!
//! let without = [10.0, 10.1, 10.2, 9.9, 10.0, 10.1];
//! let with = [9.0, 9.1, 9.3, 9.0, 9.1, 9.0];
//! let comparison = compare(&without, &with).unwrap();
//! assert_eq!(comparison.verdict(), Verdict::Lower);
//! assert!((comparison.percent - -9.6).abs() < 0.5);
//! ```

pub mod chart;
pub mod page;
pub mod statistics;
pub mod table;
