//! Gets the module into a process, and shares a status page with it.
//!
//! Two programs inject: the launcher, into programs that it starts or finds, and the module, into
//! the children of the program that it is in. Both use this crate:
//!
//! 1. make the [`StatusPage`] of the process and write the options into it;
//! 2. have the process load the module: by a call queued to the first thread of a process that has
//!    not begun ([`queue_load`]), or by a thread started in a running one ([`load_by_thread`]);
//! 3. where the process has the other bitness ([`Route`]), have an [`Assistant`] do step 2.
//!
//! The module runs inside other people's programs, so nothing in here allocates from a heap, and
//! the only DLLs imported are kernel32 and ntdll. Callers hand in the buffers. Every call to
//! Windows goes through [`System`].

#![no_std]

mod assistant;
mod early;
mod error;
mod heap_record;
mod late;
mod layout;
mod lock;
mod page;
mod remote_path;
mod route;
mod security;
mod system;
mod text;
#[cfg(windows)]
mod windows;

pub use assistant::{Assistant, RunningAssistant, Task};
pub use early::{LoadedEvent, queue_load};
pub use error::{Error, Step};
pub use heap_record::{HeapRecord, HeapScope, HeapState};
pub use late::{Ending, load_by_thread};
pub use layout::{
    FILE_PATH_UNITS, Header, MAGIC, MAX_RUNTIMES, MIMALLOC_VERSION, OptionValues, Options,
    PATH_UNITS, Page, Rejected, RuntimeProof, RuntimeRecord, State, Status, VERSION,
};
pub use lock::InjectionLock;
pub use page::StatusPage;
pub use remote_path::RemotePath;
pub use route::{Route, Unreachable, machine_of_process};
pub use security::{Descriptor, Sid};
pub use system::{Function, Handle, System, SystemError, SystemResult, TokenSid};
pub use text::{WideText, extended_length, until_nul};
#[cfg(windows)]
pub use windows::Windows;
