//! The pages of code under a set of detours, and their protection.

use windows_sys::Win32::System::Memory::PAGE_EXECUTE_READWRITE;

use crate::error::Error;
use crate::jump::{Detour, JUMP_SIZE};
use crate::system::{KEEP_CALL_TARGETS, System};
use crate::transaction::MAX_DETOURS;

const PAGE: usize = 0x1000;

/// The protection of open pages.
const WRITABLE: u32 = PAGE_EXECUTE_READWRITE | KEEP_CALL_TARGETS;

/// Neighbouring pages that are opened and closed together.
#[derive(Clone, Copy)]
struct Span {
    base: usize,
    size: usize,
    /// What to give back, while the span is open.
    former: Option<u32>,
}

/// All pages that hold a byte of some jump.
pub(crate) struct Pages {
    spans: [Span; MAX_DETOURS],
    count: usize,
}

impl Pages {
    /// The pages under `detours`, which are sorted by address and no more than [`MAX_DETOURS`].
    pub(crate) fn under(detours: &[Detour]) -> Pages {
        let mut pages =
            Pages { spans: [Span { base: 0, size: 0, former: None }; MAX_DETOURS], count: 0 };
        for detour in detours {
            let first = detour.target & !(PAGE - 1);
            let end = (detour.target + JUMP_SIZE).next_multiple_of(PAGE);
            pages.add(first, end);
        }
        pages
    }

    fn add(&mut self, first: usize, end: usize) {
        if let Some(last) = self.spans[..self.count].last_mut()
            && first < last.base + last.size
        {
            last.size = end - last.base;
            return;
        }
        self.spans[self.count] = Span { base: first, size: end - first, former: None };
        self.count += 1;
    }

    /// Makes all pages writable, or none. Those that are open already stay so.
    pub(crate) fn open<S: System>(&mut self, system: &S) -> Result<(), Error> {
        for index in 0..self.count {
            let span = &mut self.spans[index];
            if span.former.is_some() {
                continue;
            }
            match system.protect(span.base, span.size, WRITABLE) {
                Ok(former) => span.former = Some(former),
                Err(code) => {
                    let error = Error::CodeProtection(span.base, code);
                    let _ = self.close(system);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Gives every page back its protection. The first page for which that fails is the error; the
    /// others are closed.
    pub(crate) fn close<S: System>(&mut self, system: &S) -> Result<(), Error> {
        let mut result = Ok(());
        for span in &mut self.spans[..self.count] {
            let Some(former) = span.former else { continue };
            match system.protect(span.base, span.size, former | KEEP_CALL_TARGETS) {
                Ok(_) => span.former = None,
                Err(code) => result = result.and(Err(Error::CodeProtection(span.base, code))),
            }
        }
        result
    }

    /// How many pages are writable at the moment.
    pub(crate) fn open_count(&self) -> usize {
        let open = self.spans[..self.count].iter().filter(|span| span.former.is_some());
        open.map(|span| span.size / PAGE).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_that_share_a_detour_are_one_span_and_a_jump_may_cross_a_page() {
        let detours = [0x1010, 0x1FFD, 0x2500, 0x9000].map(|target| Detour::new(target, 0));
        let pages = Pages::under(&detours);
        let spans: [(usize, usize); 2] = [0, 1].map(|i| (pages.spans[i].base, pages.spans[i].size));
        assert_eq!(pages.count, 2);
        assert_eq!(spans, [(0x1000, 0x2000), (0x9000, 0x1000)]);
    }
}
