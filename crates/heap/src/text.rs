//! The one text function that mimalloc takes from a C runtime: reading the numbers in its options.

use core::ffi::{c_char, c_int, c_long};

crate::c_symbol!("allograft_parse_long", allograft_parse_long);

/// `strtol` for the bases that mimalloc uses (10), without the `errno`: values that do not fit are
/// clamped.
///
/// # Safety
/// `text` is NUL-terminated; `end` is NULL or can be written.
unsafe extern "C" fn allograft_parse_long(
    text: *const c_char,
    end: *mut *mut c_char,
    base: c_int,
) -> c_long {
    // SAFETY: the text is read up to its NUL, which no digit and no sign is.
    unsafe {
        let at = |index: usize| *text.add(index) as u8;
        let mut index = 0;
        while matches!(at(index), b' ' | b'\t'..=b'\r') {
            index += 1;
        }
        let negative = at(index) == b'-';
        if matches!(at(index), b'-' | b'+') {
            index += 1;
        }
        let first = index;
        let mut value: i64 = 0;
        while let Some(digit) = (at(index) as char).to_digit(base as u32) {
            value = value.saturating_mul(i64::from(base)).saturating_add(i64::from(digit));
            index += 1;
        }
        if !end.is_null() {
            let stop = if index == first { 0 } else { index };
            *end = text.add(stop).cast_mut();
        }
        let value = if negative { -value } else { value };
        value.clamp(i64::from(c_long::MIN), i64::from(c_long::MAX)) as c_long
    }
}
