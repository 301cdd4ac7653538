//! Text in buffers of a fixed size: nothing here allocates.

use core::fmt;

/// Text that is cut where the buffer ends.
pub(crate) struct Buffer<const SIZE: usize> {
    bytes: [u8; SIZE],
    used: usize,
}

impl<const SIZE: usize> Buffer<SIZE> {
    pub(crate) const fn new() -> Self {
        Buffer { bytes: [0; SIZE], used: 0 }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.used]
    }

    pub(crate) fn clear(&mut self) {
        self.used = 0;
    }
}

impl<const SIZE: usize> fmt::Write for Buffer<SIZE> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut fits = text.len().min(SIZE - self.used);
        while !text.is_char_boundary(fits) {
            fits -= 1;
        }
        self.bytes[self.used..self.used + fits].copy_from_slice(&text.as_bytes()[..fits]);
        self.used += fits;
        Ok(())
    }
}

/// UTF-16 text, shown as what it says.
pub(crate) struct Wide<'a>(pub(crate) &'a [u16]);

impl fmt::Display for Wide<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        char::decode_utf16(self.0.iter().copied())
            .try_for_each(|unit| f.write_char(unit.unwrap_or(char::REPLACEMENT_CHARACTER)))
    }
}

/// The units before the first NUL, or all of them.
pub(crate) fn until_nul(units: &[u16]) -> &[u16] {
    let end = units.iter().position(|&unit| unit == 0).unwrap_or(units.len());
    &units[..end]
}

/// Copies the path `path` with the number `number` before its extension: `report.json` becomes
/// `report.42.json`. A path for which there is no room becomes an empty one.
pub(crate) fn insert_number(path: &[u16], number: u32, to: &mut [u16]) {
    let mut digits = Buffer::<16>::new();
    // Writing into a buffer cannot fail, and no number is longer.
    let _ = fmt::Write::write_fmt(&mut digits, format_args!(".{number}"));
    let name = path
        .iter()
        .rposition(|&unit| unit == u16::from(b'\\') || unit == u16::from(b'/'))
        .map_or(0, |at| at + 1);
    let dot = path[name..].iter().rposition(|&unit| unit == u16::from(b'.'));
    let (stem, extension) = path.split_at(dot.map_or(path.len(), |at| name + at));
    if path.len() + digits.as_bytes().len() >= to.len() {
        to[0] = 0;
        return;
    }
    let digits = digits.as_bytes().iter().map(|&digit| digit.into());
    let units = stem.iter().copied().chain(digits).chain(extension.iter().copied());
    for (place, unit) in to.iter_mut().zip(units.chain([0])) {
        *place = unit;
    }
}

/// Copies as much of `text` as leaves room for a NUL behind it.
pub(crate) fn copy_wide(text: &[u16], to: &mut [u16]) {
    let count = text.len().min(to.len() - 1);
    to[..count].copy_from_slice(&text[..count]);
    to[count] = 0;
}
