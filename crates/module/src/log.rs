//! The log: one line for each event, in the file that `ALLOGRAFT_LOG` names, and on standard error
//! for `MIMALLOC_VERBOSE`. Lines are built on the stack: nothing here allocates or waits for a
//! lock.

use core::fmt::{Arguments, Write};
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, Ordering};

use allograft_inject::{Handle, System, TokenSid, Windows};
use windows_sys::Win32::System::Console::{GetStdHandle, STD_ERROR_HANDLE};
use windows_sys::Win32::System::SystemInformation::GetLocalTime;
use windows_sys::Win32::System::Threading::GetCurrentProcessId;

use crate::config::Config;
use crate::file::{File, write_to};
use crate::text::{Buffer, Timestamp};

static FILE: File = File::closed();
static VERBOSE: AtomicBool = AtomicBool::new(false);

/// Opens the log that `config` asks for. If that fails, one line on standard error says so, and no
/// more are written.
pub(crate) fn open(config: &Config) {
    VERBOSE.store(config.verbose, Ordering::Release);
    if let Some(path) = config.log()
        && let Err(code) = FILE.open_to_append(path)
        && (config.verbose || !is_sandboxed())
    {
        say(format_args!("cannot open the log file: system error {code}; check ALLOGRAFT_LOG"));
    }
}

/// Whether this process has low integrity, as sandboxed ones have. They may write hardly anywhere,
/// and talk to their parents through streams that a line of ours would break.
fn is_sandboxed() -> bool {
    const MEDIUM: u32 = 0x2000;
    let level = Windows.token_sid(Handle::OWN_PROCESS, TokenSid::Integrity);
    level.is_ok_and(|level| level.last_number() < MEDIUM)
}

/// Writes one line.
pub(crate) fn line(text: Arguments<'_>) {
    if FILE.is_open() {
        let mut line = Buffer::<2048>::new();
        // SAFETY: the call only reads the TEB.
        let process = unsafe { GetCurrentProcessId() };
        // Writing into a buffer cannot fail.
        let _ = write!(line, "{} [{process}] {text}\r\n", now());
        FILE.append(line.as_bytes());
    }
    if VERBOSE.load(Ordering::Acquire) {
        say(text);
    }
}

/// Writes one line to the log, and to standard error unless this process is in a sandbox.
#[cfg(feature = "check-frees")]
pub(crate) fn line_and_standard_error(text: Arguments<'_>) {
    line(text);
    if !VERBOSE.load(Ordering::Acquire) && !is_sandboxed() {
        say(text);
    }
}

/// Writes one line to standard error.
fn say(text: Arguments<'_>) {
    let mut line = Buffer::<2048>::new();
    // Writing into a buffer cannot fail.
    let _ = write!(line, "allograft: {text}\r\n");
    // SAFETY: the call only reads the PEB.
    write_to(unsafe { GetStdHandle(STD_ERROR_HANDLE) }, line.as_bytes());
}

fn now() -> Timestamp {
    let mut time = MaybeUninit::uninit();
    // SAFETY: the call fills the structure.
    let time = unsafe {
        GetLocalTime(time.as_mut_ptr());
        time.assume_init()
    };
    Timestamp([
        time.wYear,
        time.wMonth,
        time.wDay,
        time.wHour,
        time.wMinute,
        time.wSecond,
        time.wMilliseconds,
    ])
}
