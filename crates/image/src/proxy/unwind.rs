//! The tables by which exceptions and debuggers unwind the code of a proxy, on machines that have
//! them.

use super::code::Code;
use super::data::{Data, Range};
use crate::headers::PAGE;
use object::pe;
use object::pod::bytes_of_slice;

/// Appends the tables for the functions of `code`.
pub fn put_frames(data: &mut Data, code: &Code) -> Range {
    let entries: Vec<pe::ImageRuntimeFunctionEntry> = code
        .frames
        .iter()
        .map(|frame| pe::ImageRuntimeFunctionEntry {
            begin_address: (PAGE + frame.begin).into(),
            end_address: (PAGE + frame.end).into(),
            unwind_info_address_or_data: data.put(4, &unwind_information(frame.stack)).into(),
        })
        .collect();
    match bytes_of_slice(&entries) {
        [] => (0, 0),
        bytes => (data.put(4, bytes), bytes.len() as u32),
    }
}

/// `UNWIND_INFO` of a function whose first instruction takes `stack` bytes, which is all that it
/// does to the stack.
fn unwind_information(stack: u32) -> [u8; 8] {
    const VERSION: u8 = 1;
    const ALLOC_LARGE: u8 = 1;
    const ALLOC_SMALL: u8 = 2;
    // `sub rsp, n` has four bytes for an n below 128 and seven for others.
    if stack < 128 {
        let slots = (stack / 8 - 1) as u8;
        [VERSION, 4, 1, 0, 4, slots << 4 | ALLOC_SMALL, 0, 0]
    } else {
        let [low, high] = ((stack / 8) as u16).to_le_bytes();
        [VERSION, 7, 2, 0, 7, ALLOC_LARGE, low, high]
    }
}
