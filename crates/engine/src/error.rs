//! Why a runtime was not taken over.

use core::ffi::CStr;
use core::fmt;

/// Why a runtime was left as it was. The process runs on untouched.
#[derive(Clone, Copy, Debug)]
pub enum Failure {
    /// mimalloc could not start: the system has no memory for it.
    NoHeap,
    /// As many runtimes as there are slots are taken over already; the number is how many.
    NoSlot(usize),
    /// The runtime is taken over already.
    AlreadyTakenOver,
    /// The runtime does not export a function that the takeover cannot do without.
    Missing(&'static CStr),
    /// Another tool has redirected this function to the address: its blocks are that tool's, not
    /// the runtime's heap's.
    AlreadyHooked(&'static CStr, usize),
    /// The jumps could not be written.
    Patch(allograft_detour::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::NoHeap => f.write_str("mimalloc cannot start: no memory for its page map"),
            Failure::NoSlot(limit) => {
                write!(f, "{limit} C runtimes are taken over already, which is the limit")
            }
            Failure::AlreadyTakenOver => f.write_str("it is taken over already"),
            Failure::Missing(name) => write!(f, "it does not export {}", text(name)),
            Failure::AlreadyHooked(name, to) => write!(
                f,
                "another tool has already redirected its function {} (to {to:#x})",
                text(name)
            ),
            Failure::Patch(error) => error.fmt(f),
        }
    }
}

/// A name of our own tables as text.
fn text(name: &'static CStr) -> &'static str {
    name.to_str().unwrap_or("?")
}
