//! Exchanging single words, such as those of import tables, in pages that may be protected against
//! writing.

use core::sync::atomic::{AtomicUsize, Ordering};

use windows_sys::Win32::System::Memory::{PAGE_EXECUTE_READWRITE, PAGE_READWRITE};

use crate::system::{Code, System};

const PAGE: usize = 0x1000;

/// Writes words one after another. The page of the last one stays open until a word of another page
/// is written, or this is dropped: then the page gets its protection back.
pub struct Words<'s, S: System> {
    system: &'s S,
    open: Option<OpenPage>,
}

/// A page that can be written to.
#[derive(Clone, Copy)]
struct OpenPage {
    base: usize,
    /// What to give back; none if it could be written to before.
    former: Option<u32>,
}

impl<'s, S: System> Words<'s, S> {
    /// No page is open yet.
    pub fn new(system: &'s S) -> Words<'s, S> {
        Words { system, open: None }
    }

    /// Writes `value` to the word at `address` in one piece: threads that read it meanwhile see the
    /// old value or the new one.
    ///
    /// # Errors
    /// The system's, if the page cannot be opened; the word is as it was then.
    ///
    /// # Safety
    /// The word is committed, aligned, and one that this process may change; the module that it
    /// belongs to is not unloaded meanwhile.
    pub unsafe fn write(&mut self, address: usize, value: usize) -> Result<(), Code> {
        self.open(address & !(PAGE - 1))?;
        // SAFETY: the caller's promise; the page is writable.
        unsafe { AtomicUsize::from_ptr(address as *mut usize) }.store(value, Ordering::Release);
        Ok(())
    }

    fn open(&mut self, page: usize) -> Result<(), Code> {
        if self.open.is_some_and(|open| open.base == page) {
            return Ok(());
        }
        self.close();
        let protection = self.system.region(page).map_or(0, |region| region.protection);
        let former = match writable(protection) {
            None => None,
            Some(wanted) => Some(self.system.protect(page, PAGE, wanted)?),
        };
        self.open = Some(OpenPage { base: page, former });
        Ok(())
    }

    fn close(&mut self) {
        if let Some(OpenPage { base, former: Some(former) }) = self.open.take() {
            // A page of data that stays writable does no harm that could be undone here.
            let _ = self.system.protect(base, PAGE, former);
        }
    }
}

impl<S: System> Drop for Words<'_, S> {
    fn drop(&mut self) {
        self.close();
    }
}

/// The protection that makes a page with `protection` writable as well; none if it is.
fn writable(protection: u32) -> Option<u32> {
    const WRITABLE: u32 = 0x04 | 0x08 | 0x40 | 0x80;
    const EXECUTABLE: u32 = 0x10 | 0x20;
    match protection {
        _ if protection & WRITABLE != 0 => None,
        // Packers put code and import tables into one page.
        _ if protection & EXECUTABLE != 0 => Some(PAGE_EXECUTE_READWRITE),
        _ => Some(PAGE_READWRITE),
    }
}
