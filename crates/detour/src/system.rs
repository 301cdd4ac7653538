//! What this crate asks of the operating system: the only seam between it and Windows.

use core::fmt;

/// An error code of the system, as `GetLastError` gives it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Code(pub u32);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ACCESS_DENIED: u32 = 5;
        const DYNAMIC_CODE_BLOCKED: u32 = 1655;
        write!(f, "system error {}", self.0)?;
        match self.0 {
            ACCESS_DENIED => f.write_str(" (access denied)"),
            DYNAMIC_CODE_BLOCKED => f.write_str(" (the process prohibits dynamic code)"),
            _ => Ok(()),
        }
    }
}

/// Added to a protection that allows execution: leaves the pages' valid targets of indirect calls
/// as they are. Without it the system takes every address in them for one
/// (`PAGE_TARGETS_NO_UPDATE`).
pub(crate) const KEEP_CALL_TARGETS: u32 = 0x4000_0000;

/// A run of pages that are alike.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Region {
    /// Address of the first page.
    pub base: usize,
    /// Bytes.
    pub size: usize,
    /// Nobody has reserved it.
    pub free: bool,
    /// What may be done with the pages (the `PAGE_` values); 0 for those that are not committed.
    pub protection: u32,
}

/// A handle of a thread of this process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Thread(pub isize);

/// Which thread it is.
#[derive(Clone, Copy, Debug)]
pub struct ThreadIdentity {
    /// Its id.
    pub id: u32,
    /// Where its TEB is; none before the thread has begun to run.
    pub teb: Option<usize>,
}

/// Where a stopped thread stands.
#[derive(Clone, Copy, Debug)]
pub struct ThreadState {
    /// The next instruction that it will execute.
    pub instruction: usize,
    /// Its stack pointer.
    pub stack: usize,
    /// The end of its stack (the highest address).
    pub stack_end: usize,
}

/// The operating system. While threads are stopped, none of these may allocate from a heap or wait
/// for a lock.
pub trait System {
    /// The pages around `address`, or none for an address that user code cannot have.
    fn region(&self, address: usize) -> Option<Region>;
    /// Commits `size` readable and writable bytes at exactly `address`.
    fn allocate(&self, address: usize, size: usize) -> Option<usize>;
    /// Frees what [`System::allocate`] or [`System::allocate_anywhere`] gave.
    fn free(&self, address: usize);
    /// Commits `size` readable and writable bytes somewhere.
    fn allocate_anywhere(&self, size: usize) -> Option<usize>;
    /// Sets the protection of the pages (one of the `PAGE_` values) and returns the former one of
    /// the first page.
    fn protect(&self, address: usize, size: usize, protection: u32) -> Result<u32, Code>;
    /// Makes new code visible to all processors.
    fn flush_code(&self, address: usize, size: usize);
    /// The thread after `previous`, or the first one; none after the last. The handle is the
    /// caller's to close.
    fn next_thread(&self, previous: Option<Thread>) -> Result<Option<Thread>, Code>;
    /// Whether the thread has ended.
    fn has_ended(&self, thread: Thread) -> bool;
    /// Which thread it is.
    fn identity(&self, thread: Thread) -> Result<ThreadIdentity, Code>;
    /// The calling thread's id.
    fn own_thread_id(&self) -> u32;
    /// Asks the thread to stop.
    fn suspend(&self, thread: Thread) -> Result<(), Code>;
    /// Lets the thread go.
    fn resume(&self, thread: Thread);
    /// Reads where the thread, whose TEB is at `teb`, stands; when this returns, it does stand.
    fn state(&self, thread: Thread, teb: usize) -> Result<ThreadState, Code>;
    /// Closes a handle.
    fn close(&self, thread: Thread);
    /// Gives the processor away for a short time.
    fn pause(&self);
    /// Milliseconds since some fixed moment.
    fn milliseconds(&self) -> u64;
}
