//! The page of shared memory through which the outside of a process and the module inside it talk.
//!
//! The page is a named section, `Local\allograft.<pid>`, of [`Page`]'s size. Whoever needs it first
//! creates it: a launcher, which writes [`Options`] before it loads the module, or the module,
//! which writes [`Status`]. A launcher that holds the section open can read the outcome even when
//! the module refused to stay loaded.
//!
//! All fields are plain data in a fixed layout, the same for 32-bit and 64-bit processes. A reader
//! trusts nothing in the page: [`Page::check`] says whether it is one of ours, of this version, and
//! of the process that it claims to be of.

#![no_std]

pub mod trust;

use core::fmt;
use core::sync::atomic::{AtomicU32, AtomicU64};

/// First eight bytes of every page.
pub const MAGIC: [u8; 8] = *b"allogrft";

/// Version of the layout. A reader rejects every other one.
pub const VERSION: u32 = 2;

/// The release of mimalloc that allograft is built from. A test of the launcher compares it with
/// mimalloc's own word.
pub const MIMALLOC_VERSION: &str = "3.3.2";

/// Longest path, in UTF-16 units, that [`Options`] can carry (the system's own limit).
pub const PATH_UNITS: usize = 32768;

/// Most C runtimes that one process can have taken over at once.
pub const MAX_RUNTIMES: usize = 8;

/// The name of the section of the process `pid`, without its terminating NUL, as UTF-16 units in a
/// fixed buffer.
///
/// Returns the buffer and the count of units in use; the unit after them is NUL.
///
/// ```
/// let (name, used) = allograft_status::section_name(42);
/// assert_eq!(String::from_utf16(&name[..used]).unwrap(), r"Local\allograft.42");
/// ```
pub fn section_name(pid: u32) -> ([u16; 32], usize) {
    let mut name = [0u16; 32];
    let mut used = 0;
    for byte in br"Local\allograft." {
        name[used] = u16::from(*byte);
        used += 1;
    }
    let mut digits = [0u8; 10];
    let mut rest = pid;
    let mut count = 0;
    loop {
        digits[count] = b'0' + (rest % 10) as u8;
        rest /= 10;
        count += 1;
        if rest == 0 {
            break;
        }
    }
    for digit in digits[..count].iter().rev() {
        name[used] = u16::from(*digit);
        used += 1;
    }
    (name, used)
}

/// What the module is doing in its process; the values of [`Status::state`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum State {
    /// The page exists, the module has not said anything yet.
    Empty = 0,
    /// The module is taking over.
    Attaching = 1,
    /// At least one C runtime's heap is taken over.
    Active = 2,
    /// The module is loaded and well, and no C runtime that it can take over is: it waits for one.
    NoRuntime = 3,
    /// The takeover failed; the process runs on as before. [`Status::message`] says why.
    Failed = 4,
    /// The module was told to do nothing (`MIMALLOC_DISABLE_REDIRECT=1`).
    Disabled = 5,
}

impl State {
    /// The state with the number `value`, if there is one.
    pub fn from_u32(value: u32) -> Option<State> {
        Some(match value {
            0 => State::Empty,
            1 => State::Attaching,
            2 => State::Active,
            3 => State::NoRuntime,
            4 => State::Failed,
            5 => State::Disabled,
            _ => return None,
        })
    }
}

/// What a launcher tells the module before it loads it. It goes before the environment and
/// `allograft.ini`.
#[repr(C)]
pub struct Options {
    /// 1 if a launcher filled this in.
    pub present: AtomicU32,
    /// 1 asks for nothing but loading: no takeover.
    pub disable: u32,
    /// 1 asks to count the blocks of the old heap, which takes time for each block.
    pub count: u32,
    /// 1 asks to give the module to the programs that the program starts.
    pub follow: u32,
    /// Path of the log file, NUL-terminated; empty for none.
    pub log: [u16; PATH_UNITS],
    /// Path of the report file, NUL-terminated; empty for none.
    pub report: [u16; PATH_UNITS],
}

/// One C runtime of the process, as the module found it.
#[repr(C)]
pub struct Runtime {
    /// File name without its folder (`ucrtbase.dll`), NUL-terminated.
    pub name: [u16; 32],
    /// Full path, NUL-terminated, cut where it is longer.
    pub path: [u16; 260],
    /// File version, most significant part first; all zero if the file has none.
    pub version: [u16; 4],
    /// Entries that were redirected (two names at one address count once).
    pub functions: AtomicU32,
    /// Entries that were left alone.
    pub skipped: AtomicU32,
}

/// What the module says about its process. All counters are of the cold path.
#[repr(C)]
pub struct Status {
    /// One of [`State`].
    pub state: AtomicU32,
    /// Number of entries in use in [`Status::runtimes`].
    pub runtime_count: AtomicU32,
    /// Threads that were stopped during the takeover.
    pub threads_stopped: AtomicU32,
    /// 1 if [`Status::old_blocks`] and [`Status::old_bytes`] are known.
    pub old_known: AtomicU32,
    /// When the takeover was complete, as a `FILETIME` (100 ns since 1601), 0 before.
    pub attached_at: AtomicU64,
    /// How long the takeover took, in nanoseconds.
    pub attach_nanoseconds: AtomicU64,
    /// Blocks in use in the old heap when it was taken over, where the system tells them.
    pub old_blocks: AtomicU64,
    /// Bytes in use in the old heap when it was taken over, where the system tells them.
    pub old_bytes: AtomicU64,
    /// Foreign blocks that were moved to mimalloc by a reallocation.
    pub migrated_blocks: AtomicU64,
    /// Bytes of them (the sizes they had in the old heap).
    pub migrated_bytes: AtomicU64,
    /// Foreign blocks that the program freed.
    pub freed_blocks: AtomicU64,
    /// Bytes of them.
    pub freed_bytes: AtomicU64,
    /// Foreign blocks that were resized where they lay.
    pub resized_blocks: AtomicU64,
    /// Bytes that mimalloc has committed, as of the last time the module looked (see `report`).
    pub mimalloc_committed: AtomicU64,
    /// Peak of it.
    pub mimalloc_committed_peak: AtomicU64,
    /// Bytes of it in use: those that hold blocks, or tables of mimalloc's.
    pub mimalloc_used: AtomicU64,
    /// Version of the module: major, minor, patch.
    pub module_version: [u16; 4],
    /// mimalloc's version number as `mi_version()` tells it (30302 is 3.3.2).
    pub mimalloc_version: u32,
    /// Words of import tables that lead straight to mimalloc.
    pub imports: AtomicU32,
    /// The failure in words (UTF-8, NUL-terminated), empty if there is none.
    pub message: [u8; 1024],
    /// The C runtimes that were found.
    pub runtimes: [Runtime; MAX_RUNTIMES],
}

/// The whole page.
#[repr(C)]
pub struct Page {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// [`VERSION`].
    pub version: u32,
    /// Size of the page in bytes.
    pub size: u32,
    /// The process that the page belongs to.
    pub pid: u32,
    /// Reserved, zero.
    pub reserved: u32,
    /// When that process was created, as a `FILETIME`: tells a reused process id from the process
    /// meant.
    pub process_created: u64,
    /// What the launcher asks for.
    pub options: Options,
    /// What the module says.
    pub status: Status,
}

// Every field has one size everywhere; so they lie in the same places for programs of every word
// size if they are aligned alike.
const _: () = assert!(align_of::<u64>() == 8 && align_of::<AtomicU64>() == 8);

/// Why a page cannot be trusted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rejected {
    /// It does not begin with [`MAGIC`], or its size is not that of [`Page`].
    NotAPage,
    /// It is of another version of allograft, whose number this is.
    OtherVersion(u32),
    /// It speaks of another process: stale, or planted.
    OtherProcess,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rejected::NotAPage => f.write_str("the section is not a status page of allograft"),
            Rejected::OtherVersion(version) => write!(
                f,
                "the status page has layout version {version}, this program reads version {VERSION}: use matching versions of allograft"
            ),
            Rejected::OtherProcess => {
                f.write_str("the status page belongs to another process (left over, or planted)")
            }
        }
    }
}

impl Page {
    /// Says whether this page is one of ours and speaks of the process `pid`, created at
    /// `process_created`.
    pub fn check(&self, pid: u32, process_created: u64) -> Result<(), Rejected> {
        if self.magic != MAGIC {
            return Err(Rejected::NotAPage);
        }
        if self.version != VERSION {
            return Err(Rejected::OtherVersion(self.version));
        }
        if self.size as usize != size_of::<Page>() {
            return Err(Rejected::NotAPage);
        }
        if self.pid != pid || self.process_created != process_created {
            return Err(Rejected::OtherProcess);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::boxed::Box;
    use std::string::{String, ToString};

    fn page() -> Box<Page> {
        // SAFETY: every field is plain data for which all zeroes is a value.
        let mut page: Box<Page> = unsafe { Box::new_zeroed().assume_init() };
        page.magic = MAGIC;
        page.version = VERSION;
        page.size = size_of::<Page>() as u32;
        page.pid = 7;
        page.process_created = 99;
        page
    }

    #[test]
    fn a_page_of_this_version_and_process_is_accepted() {
        assert_eq!(page().check(7, 99), Ok(()));
    }

    #[test]
    fn a_foreign_stale_or_newer_page_is_rejected_with_its_reason() {
        let mut other = page();
        other.magic[0] = 0;
        assert_eq!(other.check(7, 99), Err(Rejected::NotAPage));
        let mut newer = page();
        newer.version = 9;
        assert_eq!(newer.check(7, 99), Err(Rejected::OtherVersion(9)));
        assert!(Rejected::OtherVersion(9).to_string().contains("version 9"));
        let mut cut = page();
        cut.size -= 1;
        assert_eq!(cut.check(7, 99), Err(Rejected::NotAPage));
        assert_eq!(page().check(7, 98), Err(Rejected::OtherProcess));
        assert_eq!(page().check(8, 99), Err(Rejected::OtherProcess));
    }

    #[test]
    fn the_section_is_named_after_the_process() {
        for pid in [0, 4, 10, 4294967295] {
            let (name, used) = section_name(pid);
            assert_eq!(
                String::from_utf16(&name[..used]).unwrap(),
                std::format!(r"Local\allograft.{pid}")
            );
            assert_eq!(name[used], 0);
        }
    }
}
