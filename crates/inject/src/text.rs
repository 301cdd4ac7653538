//! UTF-16 text put together in a buffer of the caller's.

use core::fmt;

/// Text that is complete or nothing: what does not fit makes the whole text unusable.
pub struct WideText<'b> {
    buffer: &'b mut [u16],
    /// The length that the text has if there is room for all of it.
    length: usize,
}

impl<'b> WideText<'b> {
    /// An empty text that may grow to the length of `buffer`, with a terminating NUL.
    pub fn new(buffer: &'b mut [u16]) -> WideText<'b> {
        WideText { buffer, length: 0 }
    }

    /// Appends `units`, up to the first NUL if there is one.
    pub fn push(&mut self, units: &[u16]) {
        for &unit in until_nul(units) {
            if let Some(place) = self.buffer.get_mut(self.length) {
                *place = unit;
            }
            self.length += 1;
        }
    }

    /// The text with its NUL, or nothing if it is too long.
    pub fn finish(self) -> Option<&'b mut [u16]> {
        *self.buffer.get_mut(self.length)? = 0;
        Some(&mut self.buffer[..=self.length])
    }
}

impl fmt::Write for WideText<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            self.push(character.encode_utf16(&mut [0; 2]));
        }
        Ok(())
    }
}

/// The units before the first NUL, or all of them.
pub fn until_nul(units: &[u16]) -> &[u16] {
    let end = units.iter().position(|&unit| unit == 0).unwrap_or(units.len());
    &units[..end]
}

/// A name of a kernel object, NUL-terminated. No name in this crate is longer: the longest is that
/// of a page in an AppContainer, whose identifier has up to 92 characters.
pub(crate) type ObjectName = [u16; 160];

pub(crate) fn object_name(text: fmt::Arguments<'_>) -> ObjectName {
    let mut name: ObjectName = [0; 160];
    let room = name.len() - 1;
    // A `WideText` takes everything; `finish` says whether it fitted.
    let _ = fmt::write(&mut WideText::new(&mut name[..room]), text);
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::fmt::Write;

    #[test]
    fn text_is_terminated_and_stops_at_a_nul_in_a_piece() {
        let mut buffer = [7; 5];
        let mut text = WideText::new(&mut buffer);
        text.push(&[97, 98, 0, 99]);
        write!(text, "{}", 42).unwrap();
        assert_eq!(text.finish(), Some(&mut [97, 98, 52, 50, 0][..]));
    }

    #[test]
    fn units_end_at_the_first_nul_or_with_the_slice() {
        assert_eq!(until_nul(&[97, 98, 99, 0]), [97, 98, 99]);
        assert_eq!(until_nul(&[97, 98]), [97, 98]);
    }

    #[test]
    fn text_without_room_for_its_nul_is_nothing() {
        let mut buffer = [0; 2];
        let mut text = WideText::new(&mut buffer);
        text.push(&[97, 98]);
        assert_eq!(text.finish(), None);
    }
}
