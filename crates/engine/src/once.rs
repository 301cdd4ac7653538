//! A value that is set once, before anybody asks for it.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, Ordering};

/// A cell for a value of the whole process.
pub(crate) struct Once<T> {
    set: AtomicBool,
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: the value is written before `set` is, by the one who calls `set` first, and only read
// afterwards.
unsafe impl<T: Send + Sync> Sync for Once<T> {}

impl<T> Once<T> {
    /// An empty cell.
    pub(crate) const fn new() -> Once<T> {
        Once { set: AtomicBool::new(false), value: UnsafeCell::new(MaybeUninit::uninit()) }
    }

    /// Sets the value.
    ///
    /// # Safety
    /// No other call of `set` runs or has run on this cell, except one that [`Once::clear`] has
    /// undone.
    pub(crate) unsafe fn set(&self, value: T) {
        // SAFETY: nobody reads before `set` is true, and nobody else writes.
        unsafe { (*self.value.get()).write(value) };
        self.set.store(true, Ordering::Release);
    }

    /// The value, if there is one.
    pub(crate) fn get(&self) -> Option<&T> {
        if self.set.load(Ordering::Acquire) {
            // SAFETY: it was written before, and is not written again.
            Some(unsafe { (*self.value.get()).assume_init_ref() })
        } else {
            None
        }
    }

    /// Forgets the value, which nobody uses any more.
    pub(crate) fn clear(&self) {
        self.set.store(false, Ordering::Release);
    }
}
