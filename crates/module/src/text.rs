//! Text in buffers of a fixed size. Nothing here allocates or calls the system.

use core::fmt;

/// Text that is cut at a character where the buffer ends.
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

/// UTF-16 text to be displayed.
pub(crate) struct Wide<'a>(pub(crate) &'a [u16]);

impl fmt::Display for Wide<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        char::decode_utf16(self.0.iter().copied())
            .try_for_each(|unit| f.write_char(unit.unwrap_or(char::REPLACEMENT_CHARACTER)))
    }
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

/// A local time: year, month, day, hour, minute, second, millisecond.
pub(crate) struct Timestamp(pub(crate) [u16; 7]);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [year, month, day, hour, minute, second, millisecond] = self.0;
        write!(
            f,
            "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{millisecond:03}"
        )
    }
}

#[cfg(test)]
mod tests {
    use core::fmt::Write;

    use allograft_inject::until_nul;

    use super::*;

    fn wide(text: &str) -> Vec<u16> {
        text.encode_utf16().collect()
    }

    #[test]
    fn text_is_cut_between_characters() {
        let mut buffer = Buffer::<6>::new();
        write!(buffer, "abcd").unwrap();
        write!(buffer, "e\u{e4}z").unwrap();
        assert_eq!(buffer.as_bytes(), b"abcde", "the two bytes of the next character do not fit");
        buffer.clear();
        write!(buffer, "\u{e4}bcdefg").unwrap();
        assert_eq!(buffer.as_bytes(), "\u{e4}bcde".as_bytes());
    }

    #[test]
    fn wide_text_is_displayed_with_replacements_for_what_is_none() {
        let mut units = wide("a\u{1f600}");
        assert_eq!(Wide(&units).to_string(), "a\u{1f600}");
        units.pop();
        assert_eq!(Wide(&units).to_string(), "a\u{fffd}");
    }

    #[test]
    fn a_number_goes_before_the_extension_of_the_file_name() {
        for (path, expected) in [
            (r"C:\logs\report.json", r"C:\logs\report.42.json"),
            (r"C:\my.logs\report", r"C:\my.logs\report.42"),
            (r"a/b.c/d.tar.gz", r"a/b.c/d.tar.42.gz"),
            ("", ".42"),
        ] {
            let mut to = [7; 64];
            insert_number(&wide(path), 42, &mut to);
            assert_eq!(String::from_utf16(until_nul(&to)).unwrap(), expected);
        }
        let mut short = [7; 8];
        insert_number(&wide("12345"), 42, &mut short);
        assert_eq!(short[0], 0, "no room for the NUL");
    }

    #[test]
    fn copies_are_cut_and_end_with_a_nul() {
        let mut to = [7; 4];
        copy_wide(&wide("abcdef"), &mut to);
        assert_eq!(to, [97, 98, 99, 0]);
    }

    #[test]
    fn times_have_all_their_digits() {
        assert_eq!(Timestamp([2026, 1, 2, 3, 4, 5, 6]).to_string(), "2026-01-02 03:04:05.006");
    }
}
