//! The process's heap on the status page: what the user asks for, and what the module reports.

use core::sync::atomic::{AtomicU32, AtomicU64};

/// Whose allocations from the process's heap are to come from mimalloc.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[repr(u32)]
pub enum HeapScope {
    /// The program's image, if it imports the heap API.
    #[default]
    Auto = 0,
    /// Nobody's; and blocks of mimalloc's cannot be given to `HeapFree` and its kin.
    Off = 1,
    /// The program's image.
    Program = 2,
    /// All modules that are not the system's.
    All = 3,
}

impl HeapScope {
    /// The scopes that a user can name, and their names.
    pub const NAMED: [(&'static str, HeapScope); 3] =
        [("off", HeapScope::Off), ("program", HeapScope::Program), ("all", HeapScope::All)];

    /// The scope with the number `value`; the default for a number that is none.
    pub fn from_u32(value: u32) -> HeapScope {
        let named = HeapScope::NAMED.into_iter().map(|(_, scope)| scope);
        named.into_iter().find(|scope| *scope as u32 == value).unwrap_or_default()
    }
}

/// What has become of the process's heap; the values of [`HeapRecord::state`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum HeapState {
    /// The module did not get as far.
    Untouched = 0,
    /// The settings leave it alone.
    Off = 1,
    /// Blocks of mimalloc's can be given to the heap API; nobody's allocations are served.
    FreeSide = 2,
    /// Allocations of the program's image come from mimalloc.
    Program = 3,
    /// Allocations of all modules that are not the system's come from mimalloc.
    All = 4,
    /// It was left alone; [`HeapRecord::obstacle`] says why.
    LeftAlone = 5,
}

impl HeapState {
    /// The state with the number `value`, if there is one.
    pub fn from_u32(value: u32) -> Option<HeapState> {
        use HeapState::*;
        let states = [Untouched, Off, FreeSide, Program, All, LeftAlone];
        states.into_iter().find(|state| *state as u32 == value)
    }

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            HeapState::Untouched => "untouched",
            HeapState::Off => "off",
            HeapState::FreeSide => "free-side",
            HeapState::Program => "program",
            HeapState::All => "all",
            HeapState::LeftAlone => "left-alone",
        }
    }

    /// Whether allocations from the process's heap come from mimalloc.
    pub fn is_served(self) -> bool {
        matches!(self, HeapState::Program | HeapState::All)
    }
}

/// The process's heap, as the module redirected it. Slots and modules grow as modules are loaded.
#[repr(C)]
pub struct HeapRecord {
    /// One of [`HeapState`].
    pub state: AtomicU32,
    /// Import slots whose calls allocate from mimalloc.
    pub slots_allocating: AtomicU32,
    /// Import slots whose calls free, resize or size blocks of mimalloc's too.
    pub slots_freeing: AtomicU32,
    /// Modules with slots of either kind.
    pub modules: AtomicU32,
    /// Names in the system's export tables that lead to the replacements.
    pub exports: AtomicU32,
    /// Heaps of linked-in runtimes (made by `HeapCreate`) that are served.
    pub private_heaps: AtomicU32,
    /// Blocks of the old heap that a reallocation moved to mimalloc.
    pub migrated_blocks: AtomicU64,
    /// Bytes of them.
    pub migrated_bytes: AtomicU64,
    /// Blocks of the old heap that were freed through the redirected slots. Windows' own DLLs still
    /// allocate from it: these are not only blocks from before the takeover.
    pub freed_blocks: AtomicU64,
    /// Blocks of mimalloc's that reached the original heap functions, as the debug variant of the
    /// module counts them.
    pub escapes: AtomicU64,
    /// 1 if [`HeapRecord::escapes`] are counted.
    pub escapes_known: AtomicU32,
    /// 1 if the blocks of the C runtimes keep the sizes that were asked for.
    pub exact_sizes: AtomicU32,
    /// Why it was left alone (UTF-8, NUL-terminated), empty if it was not.
    pub obstacle: [u8; 256],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_from_the_page_become_what_was_written_or_the_default() {
        for (name, scope) in HeapScope::NAMED {
            assert_eq!(HeapScope::from_u32(scope as u32), scope, "{name}");
        }
        for number in [0, 4, u32::MAX] {
            assert_eq!(HeapScope::from_u32(number), HeapScope::Auto);
        }
        assert_eq!(HeapState::from_u32(HeapState::LeftAlone as u32), Some(HeapState::LeftAlone));
        assert_eq!(HeapState::from_u32(6), None);
    }

    #[test]
    fn the_heap_is_served_if_somebodys_allocations_are() {
        for number in 0..6 {
            let state = HeapState::from_u32(number).unwrap();
            assert_eq!(state.is_served(), matches!(number, 3 | 4), "{state:?}");
        }
    }
}
