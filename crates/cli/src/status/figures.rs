//! What a status page says, in a form to be shown or written as JSON.

use crate::outcome::printable;
use allograft_inject::{MAX_RUNTIMES, Page, RuntimeRecord, State};
use serde::Serialize;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// The state of one process. The names are those of the module's report, where both say the same.
#[derive(Debug, Serialize)]
pub struct Figures {
    /// The process.
    pub pid: u32,
    /// The file name of its program.
    pub name: String,
    /// `attaching`, `active`, `no-runtime`, `failed` or `disabled`.
    pub state: &'static str,
    /// Why the takeover failed; empty if it did not.
    pub message: String,
    /// Version of the module.
    pub module_version: String,
    /// Version of the mimalloc inside it.
    pub mimalloc_version: String,
    /// When the last takeover was complete, in seconds since 1970; none before.
    pub attached_at: Option<u64>,
    /// How long the takeovers took, in microseconds.
    pub attach_microseconds: f64,
    /// Most threads that were stopped for one.
    pub threads_stopped: u32,
    /// The C runtimes that were taken over.
    pub runtimes: Vec<RuntimeTaken>,
    /// What the old heap held then, where it was counted.
    pub old_heap: Option<Amount>,
    /// Blocks of the old heap that a reallocation moved to mimalloc.
    pub migrated: Amount,
    /// Blocks of the old heap that the program freed.
    pub freed: Amount,
    /// What is left of `old_heap`.
    pub outstanding: Option<Amount>,
    /// Bytes that mimalloc has committed, as the module last told it.
    pub committed_bytes: u64,
    /// The most of it there was.
    pub peak_committed_bytes: u64,
    /// Bytes of the committed ones that hold blocks, or tables of mimalloc's.
    pub used_bytes: u64,
}

/// Some blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// How many.
    pub blocks: u64,
    /// Bytes in them.
    pub bytes: u64,
}

/// One C runtime that was taken over.
#[derive(Debug, Serialize)]
pub struct RuntimeTaken {
    /// File name.
    pub name: String,
    /// File version.
    pub version: String,
    /// Entries that were redirected.
    pub functions: u32,
}

impl Figures {
    /// Reads `page`, which belongs to the program `name` and is not trusted to be well-formed.
    pub fn of(page: &Page, pid: u32, name: &str) -> Figures {
        let status = &page.status;
        let amount = |blocks: &AtomicU64, bytes: &AtomicU64| Amount {
            blocks: blocks.load(Relaxed),
            bytes: bytes.load(Relaxed),
        };
        let old_heap = (status.old_known.load(Relaxed) == 1)
            .then(|| amount(&status.old_blocks, &status.old_bytes));
        let migrated = amount(&status.migrated_blocks, &status.migrated_bytes);
        let freed = amount(&status.freed_blocks, &status.freed_bytes);
        let count = status.runtime_count.load(Relaxed) as usize;
        let [major, minor, patch, _] = status.module_version;
        let mimalloc = status.mimalloc_version;
        Figures {
            pid,
            name: printable(name),
            state: state_name(status.state.load(Relaxed)),
            message: message(&status.message),
            module_version: format!("{major}.{minor}.{patch}"),
            mimalloc_version: format!(
                "{}.{}.{}",
                mimalloc / 10_000,
                mimalloc / 100 % 100,
                mimalloc % 100
            ),
            attached_at: seconds_since_1970(status.attached_at.load(Relaxed)),
            attach_microseconds: status.attach_nanoseconds.load(Relaxed) as f64 / 1e3,
            threads_stopped: status.threads_stopped.load(Relaxed),
            runtimes: status.runtimes[..count.min(MAX_RUNTIMES)]
                .iter()
                .map(RuntimeTaken::of)
                .collect(),
            old_heap,
            migrated,
            freed,
            outstanding: old_heap.map(|old| old.without(migrated).without(freed)),
            committed_bytes: status.mimalloc_committed.load(Relaxed),
            peak_committed_bytes: status.mimalloc_committed_peak.load(Relaxed),
            used_bytes: status.mimalloc_used.load(Relaxed),
        }
    }
}

impl Amount {
    /// What is left; nothing if more went than was counted, since blocks may have come after the
    /// count.
    fn without(self, gone: Amount) -> Amount {
        Amount {
            blocks: self.blocks.saturating_sub(gone.blocks),
            bytes: self.bytes.saturating_sub(gone.bytes),
        }
    }
}

impl RuntimeTaken {
    fn of(runtime: &RuntimeRecord) -> RuntimeTaken {
        let used = runtime.name.iter().take_while(|&&unit| unit != 0).count();
        let [major, minor, build, revision] = runtime.version;
        RuntimeTaken {
            name: printable(&String::from_utf16_lossy(&runtime.name[..used])),
            version: format!("{major}.{minor}.{build}.{revision}"),
            functions: runtime.functions.load(Relaxed),
        }
    }
}

fn state_name(number: u32) -> &'static str {
    match State::from_u32(number) {
        Some(State::Empty | State::Attaching) => "attaching",
        Some(State::Active) => "active",
        Some(State::NoRuntime) => "no-runtime",
        Some(State::Failed) => "failed",
        Some(State::Disabled) => "disabled",
        None => "unknown",
    }
}

fn message(bytes: &[u8]) -> String {
    let used = bytes.iter().take_while(|&&byte| byte != 0).count();
    printable(String::from_utf8_lossy(&bytes[..used]).trim())
}

/// A `FILETIME`, which counts 100 ns from 1601, in whole seconds from 1970. None for the time that
/// stands for never.
fn seconds_since_1970(filetime: u64) -> Option<u64> {
    const SECONDS_FROM_1601_TO_1970: u64 = 11_644_473_600;
    (filetime != 0).then(|| (filetime / 10_000_000).saturating_sub(SECONDS_FROM_1601_TO_1970))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> Box<Page> {
        // SAFETY: every field is plain data for which all zeroes is a value.
        unsafe { Box::new_zeroed().assume_init() }
    }

    #[test]
    fn what_is_left_is_what_was_less_what_went() {
        let mut page = page();
        let status = &mut page.status;
        *status.old_known.get_mut() = 1;
        (*status.old_blocks.get_mut(), *status.old_bytes.get_mut()) = (10, 1000);
        (*status.migrated_blocks.get_mut(), *status.migrated_bytes.get_mut()) = (3, 300);
        (*status.freed_blocks.get_mut(), *status.freed_bytes.get_mut()) = (2, 100);
        let left = Figures::of(&page, 1, "a").outstanding;
        assert_eq!(left, Some(Amount { blocks: 5, bytes: 600 }));
        *page.status.freed_blocks.get_mut() = u64::MAX;
        let left = Figures::of(&page, 1, "a").outstanding;
        assert_eq!(left, Some(Amount { blocks: 0, bytes: 600 }));
    }

    #[test]
    fn what_was_not_counted_is_not_told() {
        let figures = Figures::of(&page(), 1, "a");
        assert_eq!((figures.old_heap, figures.outstanding), (None, None));
        assert_eq!(figures.attached_at, None);
        assert_eq!(figures.state, "attaching");
    }

    #[test]
    fn a_page_full_of_nonsense_does_no_harm() {
        let mut page = page();
        let status = &mut page.status;
        *status.state.get_mut() = 99;
        *status.runtime_count.get_mut() = u32::MAX;
        *status.attached_at.get_mut() = u64::MAX;
        status.message = [0x1B; 1024];
        status.runtimes[0].name = [0xD800; 32];
        let figures = Figures::of(&page, 1, "a\x1b[2J");
        assert_eq!(figures.state, "unknown");
        assert_eq!(figures.runtimes.len(), MAX_RUNTIMES);
        let text = format!("{figures:?}");
        assert!(!text.contains('\x1b'), "{text}");
        assert!(serde_json::to_string(&figures).is_ok());
    }

    #[test]
    fn file_times_become_seconds_since_1970() {
        assert_eq!(seconds_since_1970(116_444_736_000_000_000), Some(0));
        assert_eq!(seconds_since_1970(133_000_000_000_000_000), Some(1_655_526_400));
        assert_eq!(seconds_since_1970(1), Some(0));
    }
}
