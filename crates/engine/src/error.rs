//! Why a runtime was not taken over.

use core::ffi::CStr;
use core::fmt;

use crate::proof::Gap;

/// Why a runtime was not taken over. The process is as it was before.
#[derive(Clone, Copy, Debug)]
pub enum TakeoverError {
    /// mimalloc could not start: the system has no memory for it.
    NoHeap,
    /// All slots are in use; the number is how many there are.
    NoSlot(usize),
    /// The runtime is taken over already.
    AlreadyTakenOver,
    /// The runtime does not export this function, which the takeover needs.
    Missing(&'static CStr),
    /// Another tool has redirected this function to this address: its blocks may not be in the
    /// runtime's heap.
    AlreadyHooked(&'static CStr, usize),
    /// Its own code may give blocks of mimalloc's to the system's heap.
    Unproved(Gap),
    /// The jumps could not be written.
    Detour(allograft_detour::Error),
}

impl fmt::Display for TakeoverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TakeoverError::NoHeap => {
                f.write_str("mimalloc cannot start: no memory for its page map")
            }
            TakeoverError::NoSlot(count) => {
                write!(f, "{count} C runtimes are taken over already, which is the limit")
            }
            TakeoverError::AlreadyTakenOver => f.write_str("it is taken over already"),
            TakeoverError::Missing(name) => write!(f, "it does not export {}", text(name)),
            TakeoverError::AlreadyHooked(name, to) => write!(
                f,
                "another tool has already redirected its function {} (to {to:#x})",
                text(name)
            ),
            TakeoverError::Unproved(gap) => write!(
                f,
                "{gap}, and its imports do not lead to mimalloc: let the process's heap be \
                 redirected, or set ALLOGRAFT_UNPROVED=1"
            ),
            TakeoverError::Detour(error) => error.fmt(f),
        }
    }
}

fn text(name: &'static CStr) -> &'static str {
    name.to_str().unwrap_or("?")
}
