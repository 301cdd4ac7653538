//! Why nothing was installed: the step that failed, and its address or thread.

use core::fmt;

use crate::system::SystemCode;

/// Why nothing was installed. The process is as it was before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// More detours than one transaction takes, which is this many.
    TooMany(usize),
    /// Two functions begin so close to each other that their jumps would overlap.
    TooClose {
        /// The lower of the two entries.
        first: usize,
        /// The higher one.
        second: usize,
    },
    /// No free memory for the relays within reach of the functions around this address.
    NoMemoryNear(usize),
    /// The protection of the relays at this address could not be changed.
    RelayProtection(usize, SystemCode),
    /// The protection of the functions' code at this address could not be changed.
    CodeProtection(usize, SystemCode),
    /// The system did not list the threads of the process.
    ThreadList(SystemCode),
    /// No memory for the list of threads.
    NoMemory,
    /// More threads than can be suspended at once, which is this many.
    TooManyThreads(usize),
    /// The thread with this id could not be suspended.
    Suspend(u32, SystemCode),
    /// The registers of the thread with this id could not be read.
    Registers(u32, SystemCode),
    /// The thread with this id did not leave the first bytes of the function at this address.
    Busy(u32, usize),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::TooMany(most) => write!(f, "more than {most} functions to redirect at once"),
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
            Error::TooManyThreads(most) => write!(f, "the process has more than {most} threads"),
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
