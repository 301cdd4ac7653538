//! The pages of code under a set of detours, and their protection.

use crate::error::Error;
use crate::jump::{Detour, JUMP_SIZE, MAX_DETOURS};
use crate::system::{PAGE_SIZE, Protection, System};

/// Neighbouring pages that are made writable together.
#[derive(Clone, Copy)]
struct Span {
    base: usize,
    size: usize,
    /// The protection to restore, while the span is writable.
    former: Option<Protection>,
}

/// All pages that hold a byte of a jump.
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
            let first = detour.target & !(PAGE_SIZE - 1);
            let end = (detour.target + JUMP_SIZE).next_multiple_of(PAGE_SIZE);
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

    /// Makes all pages writable, or none.
    pub(crate) fn open<S: System>(&mut self, system: &S) -> Result<(), Error> {
        let writable = Protection::EXECUTE_READ_WRITE.keeping_call_targets();
        for index in 0..self.count {
            let span = &mut self.spans[index];
            if span.former.is_some() {
                continue;
            }
            match system.protect(span.base, span.size, writable) {
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

    /// Restores the protection of every page. The error is that of the first page for which this
    /// fails; the others are restored.
    pub(crate) fn close<S: System>(&mut self, system: &S) -> Result<(), Error> {
        let mut result = Ok(());
        for span in &mut self.spans[..self.count] {
            let Some(former) = span.former else { continue };
            match system.protect(span.base, span.size, former.keeping_call_targets()) {
                Ok(_) => span.former = None,
                Err(code) => result = result.and(Err(Error::CodeProtection(span.base, code))),
            }
        }
        result
    }

    pub(crate) fn open_count(&self) -> usize {
        let open = self.spans[..self.count].iter().filter(|span| span.former.is_some());
        open.map(|span| span.size / PAGE_SIZE).sum()
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
