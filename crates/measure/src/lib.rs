//! What both benches need after measuring: statistics ([`summary`], [`comparison`]), and
//! [`table`]s, [`chart`]s and a [`document`] to show them.
//!
//! Nothing here measures or calls the system, and nothing is random: the same numbers always give
//! the same answer.
//!
//! ```
//! use allograft_measure::comparison::{Significance, compare};
//!
//! let without = [10.0, 10.1, 10.2, 9.9, 10.0, 10.1];
//! let with = [9.0, 9.1, 9.3, 9.0, 9.1, 9.0];
//! let comparison = compare(&without, &with).unwrap();
//! assert_eq!(comparison.significance(), Significance::Lower);
//! assert!((comparison.percent - -9.6).abs() < 0.5);
//! ```

pub mod chart;
pub mod comparison;
pub mod document;
mod signed_rank;
pub mod summary;
pub mod table;
