//! The bench: the same programs on the C runtime's own heap, with mimalloc linked in (the
//! baseline), and with allograft in every way of loading it.
//!
//! A [`workload`] is what a program does; a [`configuration`] is the heap that it does it on. A
//! [`session`] runs every workload in every configuration, round after round, and returns
//! [`results`]; [`document`] presents these and nothing else.

#![allow(missing_docs, reason = "only the program and the test of this package use it")]

pub mod configuration;
pub mod document;
pub mod probes;
pub mod results;
pub mod run;
pub mod session;
mod tables;
pub mod targets;
pub mod workload;
