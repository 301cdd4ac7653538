//! Memory and CPU time that a process has used.

use super::about;
use super::process::Process;
use windows_sys::Win32::Foundation::{FALSE, FILETIME};
use windows_sys::Win32::System::ProcessStatus::{K32GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS};
use windows_sys::Win32::System::Threading::GetProcessTimes;

/// The peaks of a process's memory, in bytes. Windows knows them until the process has ended and
/// after that. Wine reports what is in use now, so the peaks are those of the moments noted.
#[derive(Debug, Clone, Copy, Default)]
pub struct PeakMemory {
    pub commit: Option<u64>,
    pub working_set: Option<u64>,
}

impl PeakMemory {
    /// Asks for the peaks of `process` and keeps them if they are higher than before.
    pub fn note(&mut self, process: &Process) {
        let cb = size_of::<PROCESS_MEMORY_COUNTERS>() as u32;
        let mut counters = PROCESS_MEMORY_COUNTERS { cb, ..Default::default() };
        // SAFETY: `process` keeps the handle open, and the structure has the size that is passed.
        if unsafe { K32GetProcessMemoryInfo(process.raw(), &mut counters, cb) } != FALSE {
            self.commit = self.commit.max(above_zero(counters.PeakPagefileUsage));
            self.working_set = self.working_set.max(above_zero(counters.PeakWorkingSetSize));
        }
    }
}

/// None for 0: every process uses memory, so the system does not know.
fn above_zero(bytes: usize) -> Option<u64> {
    (bytes > 0).then_some(bytes as u64)
}

/// The CPU time of `process`, which has ended, in seconds. None if the system does not know it, or
/// it is less than one tick of the system's clock (1/64 s).
pub fn cpu_seconds(process: &Process) -> Option<f64> {
    const PER_SECOND: f64 = 1e7;
    // Wine reports the caller's CPU time for every process (up to 8.0 at least).
    if about::wine_version().is_some() {
        return None;
    }
    let [mut created, mut ended, mut kernel, mut user] = [FILETIME::default(); 4];
    // SAFETY: `process` keeps the handle open, and the four references are to distinct places.
    let is_known =
        unsafe { GetProcessTimes(process.raw(), &mut created, &mut ended, &mut kernel, &mut user) }
            != FALSE;
    let [kernel, user] = [kernel, user]
        .map(|time| u64::from(time.dwHighDateTime) << 32 | u64::from(time.dwLowDateTime));
    (is_known && kernel + user > 0).then(|| (kernel + user) as f64 / PER_SECOND)
}
