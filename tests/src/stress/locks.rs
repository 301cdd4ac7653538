//! A stopped thread may hold a lock; nothing that is done while it is stopped may want that.

use super::attempt::Attempt;
use super::outcome::Figures;

fn while_holding(attempt: &Attempt, lock: &str) -> Result<Figures, String> {
    attempt.inject_at_random(attempt.program("locks").arg(lock))
}

/// The lock of the heap.
pub(super) fn heap(attempt: &Attempt) -> Result<Figures, String> {
    while_holding(attempt, "heap")
}

/// The lock of the loader.
pub(super) fn loader(attempt: &Attempt) -> Result<Figures, String> {
    while_holding(attempt, "loader")
}

/// The lock of a stream.
pub(super) fn stream(attempt: &Attempt) -> Result<Figures, String> {
    while_holding(attempt, "stream")
}
