//! What can go wrong, and at which step and address it did.

use core::fmt;

use crate::system::Code;

/// Why nothing was installed. The process is as it was before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// More detours than one transaction takes; the number is the limit.
    TooMany(usize),
    /// Two functions begin so close to one another that their jumps would overlap.
    TooClose {
        /// The lower of the two entries.
        first: usize,
        /// The higher one.
        second: usize,
    },
    /// No free memory for the relays within reach of the functions around this address.
    NoMemoryNear(usize),
    /// The relays at this address could not be made executable.
    RelayProtection(usize, Code),
    /// The functions' code at this address could not be made writable, or not be given back its
    /// protection.
    CodeProtection(usize, Code),
    /// The system did not list the threads of the process.
    ThreadList(Code),
    /// No memory for the list of threads.
    NoMemory,
    /// More threads than can be stopped at once; the number is the limit.
    TooManyThreads(usize),
    /// The thread with this id could not be stopped.
    Suspend(u32, Code),
    /// The registers of the thread with this id could not be read.
    Registers(u32, Code),
    /// The thread with this id did not leave the first bytes of the function at this address.
    Busy(u32, usize),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::TooMany(limit) => write!(f, "more than {limit} functions to redirect at once"),
            Error::TooClose { first, second } => write!(
                f,
                "the functions at {first:#x} and {second:#x} are too close for a jump each"
            ),
            Error::NoMemoryNear(address) => {
                write!(f, "no free memory for the relays within reach of {address:#x}")
            }
            Error::RelayProtection(address, code) => {
                write!(f, "cannot make the relays at {address:#x} executable: {code}")
            }
            Error::CodeProtection(address, code) => {
                write!(f, "cannot change the protection of the code at {address:#x}: {code}")
            }
            Error::ThreadList(code) => write!(f, "cannot list the threads of the process: {code}"),
            Error::NoMemory => f.write_str("no memory for the list of threads"),
            Error::TooManyThreads(limit) => write!(f, "the process has more than {limit} threads"),
            Error::Suspend(thread, code) => write!(f, "cannot stop thread {thread}: {code}"),
            Error::Registers(thread, code) => {
                write!(f, "cannot read the registers of thread {thread}: {code}")
            }
            Error::Busy(thread, address) => write!(
                f,
                "thread {thread} stayed inside the first bytes of the function at {address:#x}"
            ),
        }
    }
}
