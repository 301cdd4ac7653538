//! The variant of the module that checks every free: what mimalloc finds goes to the log and to
//! standard error, and is counted in the status page.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::sync::atomic::Ordering;

use crate::{log, page};

/// Reports mistakes from now on. mimalloc has started.
pub(crate) fn begin() {
    if let Some(status) = page::status() {
        status.checks_frees.store(1, Ordering::Release);
    }
    allograft_heap::report_mistakes(print, count);
}

/// Only the piece with the message itself ends its line.
extern "C" fn print(text: *const c_char, _: *mut c_void) {
    // SAFETY: mimalloc passes NUL-terminated text.
    let text = unsafe { CStr::from_ptr(text) }.to_bytes();
    // mimalloc first passes on what it has printed so far: nothing, and a line feed.
    if let Some(message) = text.strip_suffix(b"\n").filter(|message| !message.is_empty()) {
        let message = str::from_utf8(message).unwrap_or("?");
        log::line_and_standard_error(format_args!("mimalloc: {message}"));
    }
}

extern "C" fn count(error: c_int, _: *mut c_void) {
    const EAGAIN: c_int = 11;
    const EFAULT: c_int = 14;
    const EINVAL: c_int = 22;
    if [EAGAIN, EFAULT, EINVAL].contains(&error)
        && let Some(status) = page::status()
    {
        status.heap_mistakes.fetch_add(1, Ordering::Relaxed);
    }
}
