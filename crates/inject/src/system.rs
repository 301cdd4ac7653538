//! What this crate asks of the operating system: the only seam between it and Windows.

use core::fmt;
use core::ptr::NonNull;
use core::time::Duration;

use crate::layout::Page;
use crate::security::{Descriptor, Sid};

/// An error code of the system, as `GetLastError` returns it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SystemError(pub u32);

impl SystemError {
    /// `ERROR_ACCESS_DENIED`
    pub const ACCESS_DENIED: SystemError = SystemError(5);
}

impl fmt::Display for SystemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "system error {}", self.0)
    }
}

/// What a call of the system returns.
pub type SystemResult<T> = Result<T, SystemError>;

/// A handle of a kernel object.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(transparent)]
pub struct Handle(pub isize);

impl Handle {
    /// The calling process (`GetCurrentProcess`).
    pub const OWN_PROCESS: Handle = Handle(-1);

    /// The handle with this number. Handles have 32 significant bits and are sign-extended, so that
    /// programs of either bitness read the same number.
    pub fn from_number(number: u32) -> Handle {
        Handle(number.cast_signed() as isize)
    }

    /// The handle as a number that a program of the other bitness understands.
    pub fn number(self) -> u32 {
        self.0 as u32
    }
}

/// A function of kernel32 that takes one pointer-sized argument. kernel32 is at one address in all
/// processes of one machine type until the system restarts, so the caller's address is valid in the
/// target process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Function {
    /// `LoadLibraryW` of the path at the address that is the argument.
    LoadLibrary,
    /// `SetEvent` of the handle that is the argument.
    SetEvent,
}

/// Which security identifier of a process's token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TokenSid {
    /// The user that the process runs as.
    User,
    /// The owner that the system gives to what the process creates.
    Owner,
    /// The integrity level.
    Integrity,
}

/// The operating system. No call may allocate from a heap of the process. Names, paths and command
/// lines are NUL-terminated.
pub trait System {
    /// Closes a handle of the calling process.
    fn close(&self, handle: Handle);
    /// Gives the process `to` a handle of its own to the same object, with the same rights.
    fn duplicate(&self, handle: Handle, to: Handle, inheritable: bool) -> SystemResult<Handle>;
    /// Closes `handle`, which is one of `process`.
    fn close_in(&self, process: Handle, handle: Handle);

    /// Opens the section `name`, or creates it with the size of a [`Page`]. True if it existed.
    fn create_section(
        &self,
        name: &[u16],
        descriptor: Option<&Descriptor>,
    ) -> SystemResult<(Handle, bool)>;
    /// Opens the section `name` for reading; none if there is no such section.
    fn open_section(&self, name: &[u16]) -> SystemResult<Option<Handle>>;
    /// Maps a whole [`Page`] of the section; fails if the section is smaller.
    fn map(&self, section: Handle, writable: bool) -> SystemResult<NonNull<Page>>;
    /// Undoes [`System::map`].
    fn unmap(&self, page: NonNull<Page>);
    /// Writes the section's security descriptor (self-relative, owner and label) to the beginning
    /// of `descriptor`.
    fn section_security(&self, section: Handle, descriptor: &mut [u8]) -> SystemResult<()>;

    /// The id of the process; 0 if the handle is none of a process.
    fn process_id(&self, process: Handle) -> u32;
    /// When the process was created, as a `FILETIME`.
    fn creation_time(&self, process: Handle) -> SystemResult<u64>;
    /// A security identifier of the process's token.
    fn token_sid(&self, process: Handle, which: TokenSid) -> SystemResult<Sid>;
    /// The package of the AppContainer that the process runs in; none outside of containers, and on
    /// systems without them.
    fn container(&self, process: Handle) -> Option<Sid>;
    /// The descriptor of what a launcher or a parent shares with `process`.
    fn sharing_descriptor(&self, process: Handle) -> SystemResult<Descriptor> {
        let sid = |which| self.token_sid(process, which);
        let container = self.container(process);
        Ok(Descriptor::new(&sid(TokenSid::User)?, container.as_ref(), &sid(TokenSid::Integrity)?))
    }
    /// Whether the process is a 32-bit one on a 64-bit system.
    fn is_wow64(&self, process: Handle) -> bool;

    /// Allocates `size` readable and writable bytes in the process.
    fn allocate(&self, process: Handle, size: usize) -> SystemResult<usize>;
    /// Frees what [`System::allocate`] gave; does nothing if the process has ended.
    fn free(&self, process: Handle, address: usize);
    /// Writes `units` to the process's memory at `address`.
    fn write(&self, process: Handle, address: usize, units: &[u16]) -> SystemResult<()>;
    /// Has `thread` call the function before its own code, after what was queued earlier. The
    /// thread has not begun and belongs to a process of the caller's machine.
    fn queue_call(&self, thread: Handle, function: Function, argument: usize) -> SystemResult<()>;
    /// Starts a thread that calls the function in a process of the caller's machine.
    fn start_thread(
        &self,
        process: Handle,
        function: Function,
        argument: usize,
    ) -> SystemResult<Handle>;

    /// Creates an event that is not signalled, and stays signalled once it is.
    fn create_event(&self) -> SystemResult<Handle>;
    /// Opens the mutex `name`, or creates it.
    fn create_mutex(&self, name: &[u16], descriptor: &Descriptor) -> SystemResult<Handle>;
    /// Releases a mutex that the calling thread has waited for.
    fn release_mutex(&self, mutex: Handle);
    /// Waits until one of `objects` is signalled and returns its index; none if `timeout` ran out
    /// first. Without a timeout it waits for ever.
    fn wait(&self, objects: &[Handle], timeout: Option<Duration>) -> SystemResult<Option<usize>>;

    /// Starts the program at `path` without a console. It inherits the `inherited` handles, which
    /// must be inheritable, and no others. Returns its process.
    fn start_program(
        &self,
        path: &[u16],
        command_line: &mut [u16],
        inherited: &[Handle],
        error_stream: Option<Handle>,
    ) -> SystemResult<Handle>;
    /// The exit code of a process that has ended.
    fn exit_code(&self, process: Handle) -> SystemResult<u32>;
    /// Ends the process.
    fn terminate(&self, process: Handle);
}

/// A handle that is closed when this is dropped.
pub(crate) struct Owned<'s, S: System> {
    pub(crate) system: &'s S,
    pub(crate) handle: Handle,
}

impl<'s, S: System> Owned<'s, S> {
    pub(crate) fn new(system: &'s S, handle: Handle) -> Owned<'s, S> {
        Owned { system, handle }
    }
}

impl<S: System> Drop for Owned<'_, S> {
    fn drop(&mut self) {
        self.system.close(self.handle);
    }
}
