//! What the tests on the simulated system and those on Windows share: a whole transaction, and a
//! system that refuses one of its calls.

use std::cell::Cell;

use allograft_detour::{
    Detour, Error, Installed, Protection, Region, Relays, System, SystemCode, Thread,
    ThreadIdentity, ThreadState, install,
};

/// Builds the relays of `detours` and installs them.
pub fn redirect(system: &impl System, mut detours: Vec<Detour>) -> Result<Installed, Error> {
    let relays = Relays::build(system, &mut detours)?;
    install(system, &mut detours).inspect_err(|_| relays.free(system))
}

/// The error of a call that is refused.
pub const REFUSED: SystemCode = SystemCode(1655);

/// `system`, except that the call with the number `refused` (of those that can fail) is refused.
/// Calls to suspend a thread, and to allocate memory near an address, are refused from then on: a
/// single refusal is waited out, or answered by another address.
pub struct Refusing<S> {
    pub system: S,
    refused: usize,
    calls: Cell<usize>,
    lasts: Cell<bool>,
}

impl<S: System> Refusing<S> {
    pub fn new(system: S, refused: usize) -> Refusing<S> {
        Refusing { system, refused, calls: Cell::new(0), lasts: Cell::new(false) }
    }

    /// Whether the number of calls has reached the one to be refused.
    pub fn has_refused(&self) -> bool {
        self.calls.get() > self.refused
    }

    fn check(&self) -> Result<(), SystemCode> {
        self.calls.set(self.calls.get() + 1);
        if self.calls.get() - 1 == self.refused { Err(REFUSED) } else { Ok(()) }
    }

    /// As `check`, for a call that is refused from then on.
    fn check_lasting(&self) -> Result<(), SystemCode> {
        self.lasts.set(self.check().is_err() || self.lasts.get());
        if self.lasts.get() { Err(REFUSED) } else { Ok(()) }
    }
}

/// Calls that are passed on: as they are, or after a check.
macro_rules! pass_on {
    ($($name:ident($($argument:ident: $type:ty),*) $(-> $result:ty)?;)*) => {
        $(fn $name(&self, $($argument: $type),*) $(-> $result)? {
            self.system.$name($($argument),*)
        })*
    };
    ($check:ident $($name:ident($($argument:ident: $type:ty),*) -> $result:ty;)*) => {
        $(fn $name(&self, $($argument: $type),*) -> Result<$result, SystemCode> {
            self.$check()?;
            self.system.$name($($argument),*)
        })*
    };
}

impl<S: System> System for Refusing<S> {
    fn allocate(&self, near: Option<usize>, size: usize) -> Option<usize> {
        let check = if near.is_some() { self.check_lasting() } else { self.check() };
        check.ok().and_then(|()| self.system.allocate(near, size))
    }

    pass_on! { check
        protect(address: usize, size: usize, protection: Protection) -> Protection;
        next_thread(previous: Option<Thread>) -> Option<Thread>;
        identity(thread: Thread) -> ThreadIdentity;
    }
    pass_on! { check_lasting
        suspend(thread: Thread) -> ();
        state(thread: Thread, teb: usize) -> ThreadState;
    }
    pass_on! {
        region(address: usize) -> Option<Region>;
        free(address: usize);
        flush_code(address: usize, size: usize);
        has_ended(thread: Thread) -> bool;
        thread_count() -> Option<usize>;
        own_thread_id() -> u32;
        lock_heap();
        unlock_heap();
        resume(thread: Thread);
        close(thread: Thread);
        pause();
        milliseconds() -> u64;
    }
}
