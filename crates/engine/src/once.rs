//! A value that is set once, and may be cleared to be set again.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU8, Ordering};

const EMPTY: u8 = 0;
const WRITING: u8 = 1;
const SET: u8 = 2;

/// A static cell that threads read without a lock. While it is set, its value never changes, so
/// that references to the value stay valid. Clearing breaks that, and is therefore unsafe.
pub(crate) struct ClearableOnce<T> {
    state: AtomicU8,
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: `set` writes the value in the state WRITING, which one thread at a time can enter, and
// references are handed out in the state SET only.
unsafe impl<T: Send + Sync> Sync for ClearableOnce<T> {}

impl<T> ClearableOnce<T> {
    pub(crate) const fn new() -> ClearableOnce<T> {
        let value = UnsafeCell::new(MaybeUninit::uninit());
        ClearableOnce { state: AtomicU8::new(EMPTY), value }
    }

    /// Sets the value. False if there is one already, which stays.
    pub(crate) fn set(&self, value: T) -> bool {
        let won = self.state.compare_exchange(EMPTY, WRITING, Ordering::Acquire, Ordering::Relaxed);
        if won.is_ok() {
            // SAFETY: nobody else writes in the state WRITING, and nobody holds a reference: there
            // has been none, or `clear` was promised that it is gone.
            unsafe { (*self.value.get()).write(value) };
            self.state.store(SET, Ordering::Release);
        }
        won.is_ok()
    }

    pub(crate) fn get(&self) -> Option<&T> {
        if self.state.load(Ordering::Acquire) != SET {
            return None;
        }
        // SAFETY: in the state SET the value is written, and is not written again before `clear`,
        // whose caller promises that this reference is gone by then.
        Some(unsafe { (*self.value.get()).assume_init_ref() })
    }

    /// Empties the cell, without dropping the value.
    ///
    /// # Safety
    /// No reference that [`ClearableOnce::get`] has returned is used any more, and no call of `set`
    /// runs meanwhile.
    pub(crate) unsafe fn clear(&self) {
        self.state.store(EMPTY, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_stays_until_the_cell_is_cleared() {
        let cell = ClearableOnce::new();
        assert_eq!(cell.get(), None);
        assert!(cell.set(1));
        assert!(!cell.set(2));
        assert_eq!(cell.get(), Some(&1));
        // SAFETY: no reference is left.
        unsafe { cell.clear() };
        assert_eq!(cell.get(), None);
        assert!(cell.set(3));
        assert_eq!(cell.get(), Some(&3));
    }

    #[test]
    fn of_many_threads_one_sets_the_value() {
        let cell = ClearableOnce::new();
        let winners = std::thread::scope(|scope| {
            let cell = &cell;
            let threads: Vec<_> =
                (0..8).map(|number| scope.spawn(move || cell.set(number))).collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).filter(|&won| won).count()
        });
        assert_eq!(winners, 1);
        assert!(cell.get().is_some_and(|number| (0..8).contains(number)));
    }
}
