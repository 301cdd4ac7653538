//! Writing slots of import and export address tables, in pages that may be protected against
//! writing. Used while threads are suspended: nothing here allocates.

use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use crate::system::{PAGE_SIZE, Protection, System, SystemCode};

/// Writes slots one after another. A page stays writable until a slot in another page is written,
/// or the writer is dropped: then its protection is restored.
pub struct SlotWriter<'s, S: System> {
    system: &'s S,
    open: Option<OpenPage>,
}

#[derive(Clone, Copy)]
struct OpenPage {
    base: usize,
    /// The protection to restore; none if the page was writable before.
    former: Option<Protection>,
}

impl<'s, S: System> SlotWriter<'s, S> {
    /// A writer with no page open.
    pub fn new(system: &'s S) -> SlotWriter<'s, S> {
        SlotWriter { system, open: None }
    }

    /// Stores `value` in the slot at `address`, as one atomic write.
    ///
    /// # Errors
    /// The system's, if the page cannot be made writable; the slot is unchanged then.
    ///
    /// # Safety
    /// The slot is aligned and lies in committed memory of a module that stays loaded during the
    /// call, and the module works with `value` in it.
    pub unsafe fn write(&mut self, address: usize, value: usize) -> Result<(), SystemCode> {
        self.open(address & !(PAGE_SIZE - 1))?;
        // SAFETY: by the contract the slot is there and aligned, and its page is writable now.
        unsafe { AtomicUsize::from_ptr(address as *mut usize) }.store(value, Ordering::Release);
        Ok(())
    }

    /// The same for an entry of an export address table, which is 32 bits wide on all machines.
    ///
    /// # Errors
    /// As for [`SlotWriter::write`].
    ///
    /// # Safety
    /// As for [`SlotWriter::write`].
    pub unsafe fn write_export(&mut self, address: usize, offset: u32) -> Result<(), SystemCode> {
        self.open(address & !(PAGE_SIZE - 1))?;
        // SAFETY: by the contract the entry is there and aligned, and its page is writable now.
        unsafe { AtomicU32::from_ptr(address as *mut u32) }.store(offset, Ordering::Release);
        Ok(())
    }

    fn open(&mut self, page: usize) -> Result<(), SystemCode> {
        if self.open.is_some_and(|open| open.base == page) {
            return Ok(());
        }
        self.close();
        let protection =
            self.system.region(page).map_or(Protection::NONE, |region| region.protection);
        let former = if protection.is_writable() {
            None
        } else if protection.is_executable() {
            // Packers put code and import tables into one page.
            Some(self.system.protect(page, PAGE_SIZE, Protection::EXECUTE_READ_WRITE)?)
        } else {
            Some(self.system.protect(page, PAGE_SIZE, Protection::READ_WRITE)?)
        };
        self.open = Some(OpenPage { base: page, former });
        Ok(())
    }

    fn close(&mut self) {
        if let Some(OpenPage { base, former: Some(former) }) = self.open.take() {
            // If this fails, the page stays writable, which does no harm.
            let _ = self.system.protect(base, PAGE_SIZE, former);
        }
    }
}

impl<S: System> Drop for SlotWriter<'_, S> {
    fn drop(&mut self) {
        self.close();
    }
}
