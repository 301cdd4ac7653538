//! The bench: the same programs on the C runtime's own heap, with mimalloc linked in (the limit),
//! and with allograft in all its ways, measured next to one another.
//!
//! A [`workload`] is something that a program does; a [`configuration`] is the heap it does it on.
//! A [`session`] runs every workload in every configuration, round after round, and keeps all that
//! was measured as [`results`]: what is shown, on a terminal, as a page or in Markdown, is made
//! from these alone.

mod attach;
pub mod configuration;
pub mod entries;
pub mod machine;
mod real;
pub mod results;
pub mod run;
pub mod session;
pub mod show;
pub mod targets;
pub mod workload;
