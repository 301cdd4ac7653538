//! What this crate asks of the operating system: the only seam between it and Windows.

use core::fmt;

/// An error code of the system, as `GetLastError` gives it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SystemCode(pub u32);

impl fmt::Display for SystemCode {
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

/// The pages of the processors that Windows runs on.
pub(crate) const PAGE_SIZE: usize = 0x1000;

/// The protection of a page: one of the system's `PAGE_` values, with its modifiers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Protection(pub u32);

impl Protection {
    /// The protection of pages that are not committed.
    pub const NONE: Protection = Protection(0);
    /// `PAGE_READONLY`
    pub const READ_ONLY: Protection = Protection(0x02);
    /// `PAGE_READWRITE`
    pub const READ_WRITE: Protection = Protection(0x04);
    /// `PAGE_EXECUTE_READ`
    pub const EXECUTE_READ: Protection = Protection(0x20);
    /// `PAGE_EXECUTE_READWRITE`
    pub const EXECUTE_READ_WRITE: Protection = Protection(0x40);

    /// `PAGE_TARGETS_NO_UPDATE`: leaves the set of valid targets of indirect calls in the pages
    /// unchanged. Without it the system accepts every address in executable pages.
    const KEEP_CALL_TARGETS: u32 = 0x4000_0000;

    /// Whether the pages can be read; guard pages cannot.
    pub fn is_readable(self) -> bool {
        const NO_ACCESS: u32 = 0x01;
        const EXECUTE_ONLY: u32 = 0x10;
        const GUARD: u32 = 0x100;
        !matches!(self.0 & 0xFF, 0 | NO_ACCESS | EXECUTE_ONLY) && self.0 & GUARD == 0
    }

    /// Whether the pages can be written, if only to a private copy.
    pub(crate) fn is_writable(self) -> bool {
        self.0 & (0x04 | 0x08 | 0x40 | 0x80) != 0
    }

    /// Whether code in the pages can be executed.
    pub fn is_executable(self) -> bool {
        self.0 & (0x10 | 0x20 | 0x40 | 0x80) != 0
    }

    pub(crate) fn keeping_call_targets(self) -> Protection {
        Protection(self.0 | Self::KEEP_CALL_TARGETS)
    }

    /// The protection without the modifier that systems before Windows 8.1 do not know; none if it
    /// has not been set.
    #[cfg(windows)]
    pub(crate) fn without_call_targets(self) -> Option<Protection> {
        let has_it = self.0 & Self::KEEP_CALL_TARGETS != 0;
        has_it.then_some(Protection(self.0 & !Self::KEEP_CALL_TARGETS))
    }
}

/// A run of pages with the same state and protection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Region {
    /// Address of the first page.
    pub base: usize,
    /// In bytes.
    pub size: usize,
    /// Whether the pages are neither reserved nor committed.
    pub free: bool,
    /// [`Protection::NONE`] for pages that are not committed.
    pub protection: Protection,
}

/// A handle of a thread of this process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Thread(pub isize);

/// What the system knows a thread by.
#[derive(Clone, Copy, Debug)]
pub struct ThreadIdentity {
    /// The thread's id.
    pub id: u32,
    /// The address of its TEB; none before the thread has begun to run.
    pub teb: Option<usize>,
}

/// The registers of a suspended thread, as far as they matter here.
#[derive(Clone, Copy, Debug)]
pub struct ThreadState {
    /// The address of the next instruction.
    pub instruction: usize,
    /// The stack pointer.
    pub stack: usize,
    /// The lowest address of the stack's committed pages, without the guard page, as the TEB has
    /// it.
    pub stack_limit: usize,
    /// The end of the stack (its highest address), as the TEB has it.
    pub stack_end: usize,
}

/// The operating system. While threads are suspended, only these are called: `next_thread`,
/// `has_ended`, `identity`, `own_thread_id`, `suspend`, `resume`, `state`, `pause` and
/// `milliseconds`. They may not wait for a lock, nor allocate from any heap but the process's, which
/// is locked then.
pub trait System {
    /// The pages around `address`, or none for an address outside user space.
    fn region(&self, address: usize) -> Option<Region>;
    /// Commits `size` readable and writable bytes: at exactly `address`, if there is one.
    fn allocate(&self, address: Option<usize>, size: usize) -> Option<usize>;
    /// Frees memory from [`System::allocate`].
    fn free(&self, address: usize);
    /// Sets the protection of the pages and returns the former one of the first page.
    fn protect(
        &self,
        address: usize,
        size: usize,
        protection: Protection,
    ) -> Result<Protection, SystemCode>;
    /// Makes new code visible to all processors.
    fn flush_code(&self, address: usize, size: usize);
    /// The thread after `previous`, or the first one; none after the last. The caller closes the
    /// handle.
    fn next_thread(&self, previous: Option<Thread>) -> Result<Option<Thread>, SystemCode>;
    /// Whether the thread has ended.
    fn has_ended(&self, thread: Thread) -> bool;
    /// The thread's id and TEB.
    fn identity(&self, thread: Thread) -> Result<ThreadIdentity, SystemCode>;
    /// How many threads the process has; none if the system does not say. They include those that
    /// `next_thread` leaves out because they refuse access.
    fn thread_count(&self) -> Option<usize>;
    /// The calling thread's id.
    fn own_thread_id(&self) -> u32;
    /// Takes the lock of the process's heap. The calling thread can allocate from the heap then, and
    /// no other can.
    fn lock_heap(&self);
    /// Gives the lock of the process's heap back.
    fn unlock_heap(&self);
    /// Requests the suspension of the thread, without waiting for it.
    fn suspend(&self, thread: Thread) -> Result<(), SystemCode>;
    /// Undoes one [`System::suspend`].
    fn resume(&self, thread: Thread);
    /// Waits until the thread, whose TEB is at `teb`, is suspended, and reads its registers.
    fn state(&self, thread: Thread, teb: usize) -> Result<ThreadState, SystemCode>;
    /// Closes the handle.
    fn close(&self, thread: Thread);
    /// Gives the processor away for about a millisecond.
    fn pause(&self);
    /// Milliseconds since some fixed moment.
    fn milliseconds(&self) -> u64;
}
