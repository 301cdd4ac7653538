//! UTF-16 text put together in a buffer of the caller's.

use core::fmt::{self, Write};

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

/// From this length on a full path needs the prefix `\\?\` in programs that do not declare that
/// they know long paths: 260 characters with the NUL, less the 12 of a file name that the system
/// keeps free in folders.
const LONG_PATH: usize = 248;

/// The full path `path` in a form that every system call takes, NUL-terminated: as it is, or with
/// the prefix of extended-length paths if it is long. Nothing if `buffer` has no room for it, which
/// is 7 units more than the path with its NUL.
pub fn extended_length<'b>(path: &[u16], buffer: &'b mut [u16]) -> Option<&'b mut [u16]> {
    let path = until_nul(path);
    let is = |at: usize, byte: u8| path.get(at) == Some(&u16::from(byte));
    let is_separator = |at| is(at, b'\\') || is(at, b'/');
    let mut text = WideText::new(buffer);
    let mut rest = path;
    if path.len() >= LONG_PATH {
        // Writing to a `WideText` does not fail.
        if is(1, b':') && is_separator(2) {
            let _ = text.write_str(r"\\?\");
        } else if is_separator(0) && is_separator(1) && !is(2, b'?') && !is(2, b'.') {
            let _ = text.write_str(r"\\?\UNC\");
            rest = &path[2..];
        }
    }
    let length = text.length;
    text.push(rest);
    let extended = text.finish()?;
    if length > 0 {
        // Behind the prefix the system takes no slash for a separator.
        extended
            .iter_mut()
            .filter(|unit| **unit == u16::from(b'/'))
            .for_each(|unit| *unit = u16::from(b'\\'));
    }
    Some(extended)
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
    extern crate std;
    use super::*;
    use std::string::{String, ToString};
    use std::vec::Vec;

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

    fn extended(path: &str) -> String {
        let path: Vec<u16> = path.encode_utf16().collect();
        let mut buffer = [0; 400];
        String::from_utf16(until_nul(extended_length(&path, &mut buffer).unwrap())).unwrap()
    }

    #[test]
    fn only_long_full_paths_get_the_prefix() {
        let long = "folder/".repeat(40);
        let clean = long.replace('/', r"\");
        assert_eq!(extended(r"C:\game.exe"), r"C:\game.exe");
        assert_eq!(extended("C:/short/game.exe"), "C:/short/game.exe");
        for (path, expected) in [
            (std::format!("C:/{long}"), std::format!(r"\\?\C:\{clean}")),
            (std::format!(r"\\server\{long}"), std::format!(r"\\?\UNC\server\{clean}")),
            (std::format!(r"\\?\C:\{long}"), std::format!(r"\\?\C:\{long}")),
            (std::format!(r"\\.\pipe\{long}"), std::format!(r"\\.\pipe\{long}")),
            (long.to_string(), long.clone()),
        ] {
            assert_eq!(extended(&path), expected);
        }
    }

    #[test]
    fn a_path_without_room_for_its_prefix_is_nothing() {
        let mut path = [u16::from(b'x'); 300];
        path[..3].copy_from_slice(&[u16::from(b'C'), u16::from(b':'), u16::from(b'\\')]);
        assert!(extended_length(&path, &mut [0; 304]).is_none());
        assert!(extended_length(&path, &mut [0; 305]).is_some());
    }
}
