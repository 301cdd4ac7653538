//! What a module adds that programs link with for mimalloc's own interface.

use allograft_inject::State;

use crate::attach::Outcome;
use crate::{log, page};

/// Lets mimalloc's functions work, whatever became of the takeover: the program calls them by name.
pub(crate) fn complete(outcome: Outcome) -> Outcome {
    allograft_heap::redirected_by(redirected);
    if outcome.started || !outcome.stays {
        return outcome;
    }
    let started = allograft_engine::start_heap();
    if let Err(failure) = started {
        log::line(format_args!("{failure}"));
    }
    Outcome { started: started.is_ok(), ..outcome }
}

/// `mi_is_redirected`
extern "C" fn redirected() -> bool {
    page::state() == State::Active
}
