//! What a process has taken so far.

use super::process::Process;
use std::mem;
use windows_sys::Win32::Foundation::FALSE;
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleW, GetProcAddress};
use windows_sys::Win32::System::ProcessStatus::{K32GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS};
use windows_sys::{s, w};

/// The most memory that a process has had, as far as it was noted, in bytes. Windows remembers it
/// when the process has ended; Wine does not, and takes what there is at the moment for the peak.
#[derive(Debug, Clone, Copy, Default)]
pub struct PeakMemory {
    /// Memory that it had committed.
    pub commit: Option<u64>,
    /// Memory that it had in use.
    pub working_set: Option<u64>,
}

impl PeakMemory {
    /// Asks how much `process` has had at most.
    pub fn note(&mut self, process: &Process) {
        let mut counters = PROCESS_MEMORY_COUNTERS {
            cb: mem::size_of::<PROCESS_MEMORY_COUNTERS>() as u32,
            ..Default::default()
        };
        // SAFETY: the handle is open, and the structure is ours and complete.
        if unsafe { K32GetProcessMemoryInfo(process.raw(), &mut counters, counters.cb) } != FALSE {
            self.commit = self.commit.max(above_zero(counters.PeakPagefileUsage));
            self.working_set = self.working_set.max(above_zero(counters.PeakWorkingSetSize));
        }
    }
}

/// A figure, if the system told one: no process does without memory.
fn above_zero(bytes: usize) -> Option<u64> {
    (bytes > 0).then_some(bytes as u64)
}

/// The CPU time of `process`, which has ended, in seconds; nothing if the system does not tell it,
/// or the process was too short for the system's clock, which counts sixty-fourths of a second.
pub fn cpu_seconds(process: &Process) -> Option<f64> {
    const PER_SECOND: f64 = 1e7;
    if is_wine() {
        return None;
    }
    let [_created, _ended, kernel, user] = process.times()?;
    let total = kernel + user;
    (total > 0).then(|| total as f64 / PER_SECOND)
}

/// Whether the system is Wine, which tells of every process the CPU time of the one that asks (up
/// to 8.0 at least).
fn is_wine() -> bool {
    // SAFETY: both names are NUL-terminated, and ntdll is never unloaded. The function is not
    // called.
    unsafe {
        let ntdll = GetModuleHandleW(w!("ntdll.dll"));
        GetProcAddress(ntdll, s!("wine_get_version")).is_some()
    }
}
