//! Why the process's heap is left alone.

use core::ffi::CStr;
use core::fmt;

/// Why the process's heap, or a module's use of it, was left alone. Nothing has changed then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HeapObstacle {
    /// Import tables are to be left alone (see
    /// [`leave_import_tables_alone`](crate::leave_import_tables_alone)), and there is no other way.
    ImportTablesLeftAlone,
    /// mimalloc could not make a heap for it: the system has no memory for it, or no TLS slot.
    NoHeap,
    /// Application Verifier watches the heap.
    ApplicationVerifier,
    /// Global flags of the process ask the system to check its heap (page heap, tail checks,
    /// parameter validation): these are they.
    CheckedHeap(u32),
    /// The blocks of the process's heap are executable.
    ExecutableHeap,
    /// ntdll lacks this function, or another tool has redirected it.
    NotInNtdll(&'static CStr),
    /// Another tool has redirected this function in the import table of the program's image: it
    /// would get blocks of mimalloc's.
    Hooked(&'static CStr),
    /// A protector has changed the program's image: it may end itself when its import table
    /// changes.
    Protected,
    /// The relays of ntdll's exports could not be built.
    Relays(allograft_detour::Error),
    /// ntdll's export table could not be written.
    ExportTable(allograft_detour::SystemCode),
}

impl HeapObstacle {
    /// The global flags that have the system check its heap, as GFlags calls them: `htc`, `hfc`,
    /// `hpc`, `hvc`, `htg`, `htd`, `hpa`.
    pub(crate) fn from_global_flags(flags: u32) -> Option<HeapObstacle> {
        const CHECKS: u32 = 0x10 | 0x20 | 0x40 | 0x80 | 0x800 | 0x8000 | 0x0200_0000;
        (flags & CHECKS != 0).then_some(HeapObstacle::CheckedHeap(flags & CHECKS))
    }
}

impl fmt::Display for HeapObstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            HeapObstacle::ImportTablesLeftAlone => {
                f.write_str("import tables are left alone: unset ALLOGRAFT_IMPORTS")
            }
            HeapObstacle::NoHeap => {
                f.write_str("mimalloc cannot make a heap for it: no memory, or no TLS slot")
            }
            HeapObstacle::ApplicationVerifier => {
                f.write_str("Application Verifier watches it: switch it off for this program")
            }
            HeapObstacle::CheckedHeap(flags) => write!(
                f,
                "the system checks it (NtGlobalFlag {flags:#x}): start the program without a \
                 debugger, and without GFlags' heap checks"
            ),
            HeapObstacle::ExecutableHeap => f.write_str("its blocks are executable"),
            HeapObstacle::NotInNtdll(name) => write!(
                f,
                "ntdll's {} is missing, or another tool has redirected it",
                name.to_str().unwrap_or("?")
            ),
            HeapObstacle::Hooked(name) => write!(
                f,
                "another tool has redirected {} in the program's import table",
                name.to_str().unwrap_or("?")
            ),
            HeapObstacle::Protected => f.write_str(
                "a protector has changed the program's image, and may check its import table",
            ),
            HeapObstacle::Relays(error) => write!(f, "ntdll's exports stay as they are: {error}"),
            HeapObstacle::ExportTable(code) => {
                write!(f, "cannot write ntdll's export table: {code}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_flags_that_check_the_heap_are_an_obstacle() {
        // As a process has them that a debugger starts, and with page heap.
        assert_eq!(HeapObstacle::from_global_flags(0x70), Some(HeapObstacle::CheckedHeap(0x70)));
        let page_heap = HeapObstacle::from_global_flags(0x0200_0002);
        assert_eq!(page_heap, Some(HeapObstacle::CheckedHeap(0x0200_0000)));
        // Loader snaps and critical section checks are none.
        assert_eq!(HeapObstacle::from_global_flags(0x2 | 0x100), None);
        let text = page_heap.map(|obstacle| obstacle.to_string()).unwrap();
        assert!(text.contains("0x2000000") && text.contains("GFlags"), "{text}");
    }
}
