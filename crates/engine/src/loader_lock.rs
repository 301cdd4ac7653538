//! The loader's lock: while it is held, no module is loaded or unloaded by others.

use windows_sys::Win32::Foundation::NTSTATUS;

// Exported since Windows XP, and in no import library.
#[cfg_attr(
    target_arch = "x86",
    link(name = "ntdll", kind = "raw-dylib", import_name_type = "undecorated")
)]
#[cfg_attr(not(target_arch = "x86"), link(name = "ntdll", kind = "raw-dylib"))]
unsafe extern "system" {
    fn LdrLockLoaderLock(flags: u32, disposition: *mut u32, cookie: *mut usize) -> NTSTATUS;
    fn LdrUnlockLoaderLock(flags: u32, cookie: usize) -> NTSTATUS;
}

/// The loader's lock, held by this thread until this is dropped. It may be held more than once.
pub struct LoaderLock(usize);

impl LoaderLock {
    /// Waits for the lock. None if the system refuses it, which it has no reason to do.
    pub fn take() -> Option<LoaderLock> {
        let mut cookie = 0;
        // SAFETY: the cookie can be written; waiting needs no place for a disposition.
        let status = unsafe { LdrLockLoaderLock(0, core::ptr::null_mut(), &mut cookie) };
        (status == 0).then_some(LoaderLock(cookie))
    }

    /// Takes the lock if no other thread holds it: whoever holds a lock of his own must not wait
    /// for this one.
    pub fn try_take() -> Option<LoaderLock> {
        const ONLY_TRY: u32 = 2;
        const TAKEN: u32 = 1;
        let (mut cookie, mut disposition) = (0, 0);
        // SAFETY: both can be written.
        let status = unsafe { LdrLockLoaderLock(ONLY_TRY, &mut disposition, &mut cookie) };
        (status == 0 && disposition == TAKEN).then_some(LoaderLock(cookie))
    }
}

impl Drop for LoaderLock {
    fn drop(&mut self) {
        // SAFETY: this thread took the lock, and got the cookie for it.
        unsafe { LdrUnlockLoaderLock(0, self.0) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_only_tries_does_not_wait() {
        let held = LoaderLock::take().expect("the lock");
        assert!(LoaderLock::try_take().is_some(), "the same thread may");
        // A thread cannot begin while the lock is held, so the other one begins before.
        drop(held);
        let (go, gone) = std::sync::mpsc::channel();
        let (answer, answered) = std::sync::mpsc::channel();
        let other = std::thread::spawn(move || {
            let _ = answer.send(true);
            let _ = gone.recv();
            let _ = answer.send(LoaderLock::try_take().is_some());
        });
        assert_eq!(answered.recv(), Ok(true));
        let held = LoaderLock::take().expect("the lock");
        go.send(()).expect("the other waits");
        assert_eq!(answered.recv(), Ok(false));
        drop(held);
        other.join().expect("it ends");
    }
}
