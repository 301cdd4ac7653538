//! The status page: the shared memory through which a launcher and the module in a process talk.
//!
//! The page is a named section, `Local\allograft.<pid>`, of [`Page`]'s size. Whoever needs it first
//! creates it: a launcher, which writes [`Options`] before it loads the module, or the module,
//! which writes [`Status`]. A launcher that holds the section open can read the result even if the
//! module refused to stay loaded.
//!
//! All fields are plain data in a fixed layout, the same for 32-bit and 64-bit processes. A reader
//! trusts nothing in the page: [`Header::check`] says whether it is a page of this version and of
//! the process that it claims to be of.

use core::fmt;
use core::ptr;
use core::sync::atomic::Ordering::{Acquire, Release};
use core::sync::atomic::{AtomicU32, AtomicU64};

use crate::heap_record::{HeapRecord, HeapScope};
use crate::text::until_nul;

/// First eight bytes of every page.
pub const MAGIC: [u8; 8] = *b"allogrft";

/// Version of the layout. A reader rejects every other one.
pub const VERSION: u32 = 4;

/// The release of mimalloc that allograft is built from. A test of the launcher compares it with
/// what mimalloc itself reports.
pub const MIMALLOC_VERSION: &str = "3.3.2";

/// Longest path, in UTF-16 units, that [`Options`] can carry (the system's own limit).
pub const PATH_UNITS: usize = 32768;

/// Longest path of a log or a report that the module takes from them, in UTF-16 units.
pub const FILE_PATH_UNITS: usize = 2048;

/// Most C runtimes that one process can have taken over at once.
pub const MAX_RUNTIMES: usize = 8;

/// What the module is doing in its process; the values of [`Status::state`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum State {
    /// The page exists, and the module has not written to it yet.
    Empty = 0,
    /// The module is taking over.
    Attaching = 1,
    /// The heap of at least one C runtime is taken over, or the process's heap is served.
    Active = 2,
    /// The module is loaded, and waits for a C runtime that it can take over.
    NoRuntime = 3,
    /// The takeover failed; the process runs on as before. [`Status::message`] says why.
    Failed = 4,
    /// The settings disable the takeover (`MIMALLOC_DISABLE_REDIRECT=1`).
    Disabled = 5,
}

impl State {
    /// The state with the number `value`, if there is one.
    pub fn from_u32(value: u32) -> Option<State> {
        use State::*;
        let states = [Empty, Attaching, Active, NoRuntime, Failed, Disabled];
        states.into_iter().find(|state| *state as u32 == value)
    }
}

/// The options that a launcher writes before it loads the module, or a parent for its child. They
/// take precedence over the environment and `allograft.ini`.
#[repr(C)]
pub struct Options {
    /// 1 once the other fields are filled in.
    pub present: AtomicU32,
    /// 1 asks for nothing but loading: no takeover.
    pub disable: u32,
    /// 1 asks to count the blocks of the old heap, which takes time for each block.
    pub count: u32,
    /// 1 asks to give the module to the programs that the program starts.
    pub follow: u32,
    /// One of [`HeapScope`]: whose allocations from the process's heap to serve.
    pub heap: u32,
    /// 1 asks for exact sizes from the C runtimes' `_msize` too.
    pub exact_sizes: u32,
    /// Path of the log file, NUL-terminated; empty for none.
    pub log: [u16; PATH_UNITS],
    /// Path of the report file, NUL-terminated; empty for none.
    pub report: [u16; PATH_UNITS],
}

/// The values of [`Options`], as they are written and read.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct OptionValues<'a> {
    /// Load, and take nothing over.
    pub disable: bool,
    /// Count the blocks of the old heap.
    pub count: bool,
    /// Give the module to the programs that the program starts.
    pub follow: bool,
    /// Whose allocations from the process's heap to serve.
    pub heap: HeapScope,
    /// Have `_msize` answer the size that was asked for.
    pub exact_sizes: bool,
    /// Path of the log file; empty for none.
    pub log: &'a [u16],
    /// Path of the report file; empty for none.
    pub report: &'a [u16],
}

impl Options {
    /// Writes `values`, and then `present`. A path without room for its NUL is cut.
    ///
    /// # Safety
    /// `options` can be written, and nobody else uses it before `present` is set.
    pub(crate) unsafe fn write(options: *mut Options, values: &OptionValues<'_>) {
        let copy_path = |path: &[u16], to: *mut u16| {
            let path = until_nul(path);
            let length = path.len().min(PATH_UNITS - 1);
            // SAFETY: both paths have room for `PATH_UNITS`, by their type.
            unsafe {
                ptr::copy_nonoverlapping(path.as_ptr(), to, length);
                to.add(length).write(0);
            }
        };
        // SAFETY: the caller's promise.
        unsafe {
            copy_path(values.log, (&raw mut (*options).log).cast());
            copy_path(values.report, (&raw mut (*options).report).cast());
            (&raw mut (*options).disable).write(values.disable.into());
            (&raw mut (*options).count).write(values.count.into());
            (&raw mut (*options).follow).write(values.follow.into());
            (&raw mut (*options).heap).write(values.heap as u32);
            (&raw mut (*options).exact_sizes).write(values.exact_sizes.into());
            (*options).present.store(1, Release);
        }
    }

    /// What was asked for; none if nobody wrote any options.
    pub fn values(&self) -> Option<OptionValues<'_>> {
        (self.present.load(Acquire) == 1).then(|| OptionValues {
            disable: self.disable != 0,
            count: self.count != 0,
            follow: self.follow != 0,
            heap: HeapScope::from_u32(self.heap),
            exact_sizes: self.exact_sizes != 0,
            log: until_nul(&self.log),
            report: until_nul(&self.report),
        })
    }
}

/// Why no block of mimalloc's reaches the system's heap through a C runtime's own code; the values
/// of [`RuntimeRecord::proof`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum RuntimeProof {
    /// The runtime's imports of the heap API lead to mimalloc.
    Redirected = 0,
    /// Its code was scanned: only functions that were replaced use them.
    Scanned = 1,
    /// It was not scanned: it is Wine's own.
    Wine = 2,
    /// There is none: it was taken over because `ALLOGRAFT_UNPROVED` asks for it.
    Missing = 3,
}

impl RuntimeProof {
    /// The proof with the number `value`, if there is one.
    pub fn from_u32(value: u32) -> Option<RuntimeProof> {
        use RuntimeProof::*;
        [Redirected, Scanned, Wine, Missing].into_iter().find(|proof| *proof as u32 == value)
    }

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            RuntimeProof::Redirected => "redirected",
            RuntimeProof::Scanned => "scanned",
            RuntimeProof::Wine => "wine",
            RuntimeProof::Missing => "unproved",
        }
    }
}

/// One C runtime of the process, as the module found it.
#[repr(C)]
pub struct RuntimeRecord {
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
    /// One of [`RuntimeProof`].
    pub proof: AtomicU32,
}

/// What the module reports about its process. All counters are of the cold path.
#[repr(C)]
pub struct Status {
    /// One of [`State`].
    pub state: AtomicU32,
    /// Number of entries in use in [`Status::runtimes`].
    pub runtime_count: AtomicU32,
    /// Threads that were suspended during the takeover.
    pub threads_stopped: AtomicU32,
    /// 1 if [`Status::old_blocks`] and [`Status::old_bytes`] are known.
    pub old_known: AtomicU32,
    /// When the takeover was complete, as a `FILETIME` (100 ns since 1601), 0 before.
    pub attached_at: AtomicU64,
    /// How long the takeover took, in nanoseconds.
    pub attach_nanoseconds: AtomicU64,
    /// Blocks in use in the old heap when it was taken over, if they were counted.
    pub old_blocks: AtomicU64,
    /// Bytes in use in the old heap when it was taken over, if they were counted.
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
    /// mimalloc's version number as `mi_version()` returns it (30302 is 3.3.2).
    pub mimalloc_version: u32,
    /// Import address table entries that point directly at mimalloc.
    pub imports: AtomicU32,
    /// 1 if mimalloc checks every free.
    pub checks_frees: AtomicU32,
    /// Mistakes of the program's that these checks found.
    pub heap_mistakes: AtomicU32,
    /// The failure in words (UTF-8, NUL-terminated), empty if there is none.
    pub message: [u8; 1024],
    /// The process's heap.
    pub heap: HeapRecord,
    /// The C runtimes that were found.
    pub runtimes: [RuntimeRecord; MAX_RUNTIMES],
}

/// What identifies a page.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Header {
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
    /// When that process was created, as a `FILETIME`: an earlier process may have had the same id.
    pub process_created: u64,
}

/// The whole page.
#[repr(C)]
pub struct Page {
    /// What identifies it.
    pub header: Header,
    /// What the launcher asks for.
    pub options: Options,
    /// What the module reports.
    pub status: Status,
}

// Every field has the same size everywhere, and so the same offset in programs of either bitness if
// the alignments agree.
const _: () = assert!(align_of::<u64>() == 8 && align_of::<AtomicU64>() == 8);

/// Why a page is not used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rejected {
    /// It does not begin with [`MAGIC`], or its size is not that of [`Page`].
    NotAPage,
    /// It is of another version of allograft, whose number this is.
    OtherVersion(u32),
    /// It belongs to another process: stale, or planted.
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

impl Header {
    /// The header of the page of the process `pid`, created at `process_created`.
    pub fn new(pid: u32, process_created: u64) -> Header {
        let size = size_of::<Page>() as u32;
        Header { magic: MAGIC, version: VERSION, size, pid, reserved: 0, process_created }
    }

    /// Checks that this heads a page of this version for the process `pid`, created at
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
    use std::string::ToString;

    #[test]
    fn a_foreign_stale_or_newer_page_is_rejected_with_its_reason() {
        let header = Header::new(7, 99);
        assert_eq!(header.check(7, 99), Ok(()));
        let other = Header { magic: [0; 8], ..header };
        assert_eq!(other.check(7, 99), Err(Rejected::NotAPage));
        let newer = Header { version: 9, ..header };
        assert_eq!(newer.check(7, 99), Err(Rejected::OtherVersion(9)));
        assert!(Rejected::OtherVersion(9).to_string().contains("version 9"));
        let cut = Header { size: header.size - 1, ..header };
        assert_eq!(cut.check(7, 99), Err(Rejected::NotAPage));
        assert_eq!(header.check(7, 98), Err(Rejected::OtherProcess));
        assert_eq!(header.check(8, 99), Err(Rejected::OtherProcess));
    }
}
