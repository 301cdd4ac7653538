//! The injection lock: one launcher at a time works on a process. The options that one launcher
//! leaves for the module are not overwritten by another's, and the later one sees what the earlier
//! one has done.

use core::time::Duration;

use crate::error::Error;
use crate::system::{Handle, Owned, System};
use crate::text::object_name;

/// The right to inject into one process, until this is dropped. The thread that acquired it must
/// drop it.
///
/// It holds the mutex, or nothing where the system gives none.
pub struct InjectionLock<'s, S: System>(Option<Owned<'s, S>>);

impl<'s, S: System> InjectionLock<'s, S> {
    /// Waits until no other launcher holds the lock of `process`, at most for `timeout`.
    ///
    /// If the system does not give the lock (somebody else uses its name), the caller goes on
    /// without.
    ///
    /// # Errors
    ///
    /// [`Error::Locked`] if another launcher still holds it after that time.
    pub fn acquire(
        system: &'s S,
        process: Handle,
        timeout: Duration,
    ) -> Result<InjectionLock<'s, S>, Error> {
        let pid = system.process_id(process);
        let name = object_name(format_args!(r"Local\allograft.{pid}.launcher"));
        let descriptor = system.sharing_descriptor(process);
        let Ok(mutex) = descriptor.and_then(|descriptor| system.create_mutex(&name, &descriptor))
        else {
            return Ok(InjectionLock(None));
        };
        let mutex = Owned::new(system, mutex);
        // A launcher that ended while it held the lock has left it to the next one: to `wait` that
        // is the same as a released lock.
        match system.wait(&[mutex.handle], Some(timeout)) {
            Ok(None) => Err(Error::Locked),
            Ok(Some(_)) => Ok(InjectionLock(Some(mutex))),
            Err(_) => Ok(InjectionLock(None)),
        }
    }
}

impl<S: System> Drop for InjectionLock<'_, S> {
    fn drop(&mut self) {
        if let Some(mutex) = &self.0 {
            mutex.system.release_mutex(mutex.handle);
        }
    }
}
