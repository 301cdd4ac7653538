//! Launchers that want the same process at the same time take turns: the options that one leaves
//! for the module are not overwritten by another's, and the later one sees what the earlier has
//! done.

use super::process::Process;
use super::security::Descriptor;
use super::wide;
use crate::error::Error;
use std::ffi::OsStr;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::time::Duration;
use windows_sys::Win32::Foundation::{FALSE, WAIT_TIMEOUT};
use windows_sys::Win32::Security::SECURITY_ATTRIBUTES;
use windows_sys::Win32::System::Threading::{CreateMutexW, ReleaseMutex, WaitForSingleObject};

/// The right to load a module into one process, until this is dropped.
pub struct Turn(Option<OwnedHandle>);

impl Turn {
    /// Waits until no other launcher is at work on `process`, at most for `timeout`.
    ///
    /// Where the system does not give the lock (somebody else has taken its name), there is none to
    /// wait for.
    ///
    /// # Errors
    ///
    /// If another launcher is still at work after that time.
    pub fn take(process: &Process, timeout: Duration) -> Result<Turn, Error> {
        let Some(mutex) = mutex(process) else {
            return Ok(Turn(None));
        };
        let ms = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX - 1);
        // A launcher that ended in the middle has left the lock to the next.
        // SAFETY: the handle is open.
        if unsafe { WaitForSingleObject(mutex.as_raw_handle(), ms) } == WAIT_TIMEOUT {
            return Err(Error::cannot_take_over(
                process,
                format_args!(
                    "another launcher has been at work on it for {} s: wait for it, or end it",
                    timeout.as_secs_f64()
                ),
            ));
        }
        Ok(Turn(Some(mutex)))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(mutex) = &self.0 {
            // SAFETY: the handle is open, and this thread has waited for it.
            unsafe { ReleaseMutex(mutex.as_raw_handle()) };
        }
    }
}

fn mutex(process: &Process) -> Option<OwnedHandle> {
    let name = wide(OsStr::new(&format!(r"Local\allograft.{}.launcher", process.pid())));
    let descriptor = Descriptor::for_sharing_with(process).ok()?;
    let attributes = SECURITY_ATTRIBUTES {
        nLength: size_of::<SECURITY_ATTRIBUTES>() as u32,
        lpSecurityDescriptor: descriptor.as_ptr(),
        bInheritHandle: 0,
    };
    // SAFETY: the attributes are complete, the descriptor outlives the call, and the name is
    // NUL-terminated.
    let handle = unsafe { CreateMutexW(&attributes, FALSE, name.as_ptr()) };
    // SAFETY: the handle was just made, and nobody else has it.
    (!handle.is_null()).then(|| unsafe { OwnedHandle::from_raw_handle(handle) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread;

    fn own() -> Process {
        Process::open(std::process::id()).expect("it is ours")
    }

    #[test]
    fn a_second_launcher_waits_for_the_first_and_then_has_its_turn() {
        let first = Turn::take(&own(), Duration::ZERO).unwrap();
        let (tell, told) = mpsc::channel();
        let second = thread::spawn(move || {
            let refused = Turn::take(&own(), Duration::ZERO).err();
            tell.send(refused.map(|error| error.to_string())).expect("somebody listens");
            Turn::take(&own(), Duration::from_secs(60)).is_ok()
        });
        let refused = told.recv().expect("it says something");
        assert!(refused.is_some_and(|line| line.contains("another launcher")), "it did not wait");
        drop(first);
        assert!(second.join().expect("it ends"));
    }
}
