//! The table by which the loader changes the addresses in an image that it moves.

use super::target::Target;
use crate::headers::PAGE;
use object::pod::{bytes_of, bytes_of_slice};
use object::{LittleEndian as LE, U16, U32};

/// The table for the addresses at `places`, which are in order.
pub fn relocations(target: Target, places: &[u32]) -> Vec<u8> {
    let kind = target.relocation() << 12;
    let mut table = Vec::new();
    for places in places.chunk_by(|a, b| a / PAGE == b / PAGE) {
        let mut entries: Vec<U16<LE>> =
            places.iter().map(|place| (kind | (place % PAGE) as u16).into()).collect();
        if entries.len() % 2 == 1 {
            // A block is a multiple of four bytes long; an entry of kind 0 does nothing.
            entries.push(0.into());
        }
        let page: U32<LE> = (places[0] / PAGE * PAGE).into();
        let len: U32<LE> = (8 + 2 * entries.len() as u32).into();
        table.extend_from_slice(bytes_of(&page));
        table.extend_from_slice(bytes_of(&len));
        table.extend_from_slice(bytes_of_slice(&entries));
    }
    table
}
