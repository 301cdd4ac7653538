//! The pieces that images are built from.

/// A section while it is being laid out.
pub struct Part {
    pub name: &'static str,
    pub bytes: Vec<u8>,
    /// Bytes that it takes in memory beyond those.
    pub extra: u32,
    pub flags: u32,
    pub address: u32,
    pub offset: u32,
}

/// A section of these bytes and `extra` more in memory, still without a place.
pub fn part(name: &'static str, bytes: Vec<u8>, extra: u32, flags: u32) -> Part {
    Part { name, bytes, extra, flags, address: 0, offset: 0 }
}

/// Gives every section its place, in memory and in the file.
pub fn lay_out(parts: &mut [Part], mut address: u32, mut offset: u32, alignment: u32) {
    for part in parts {
        (part.address, part.offset) = (address, offset);
        let len = part.bytes.len() as u32;
        address = (address + len + part.extra).next_multiple_of(alignment);
        offset = (offset + len).next_multiple_of(0x200);
    }
}

/// Writes a section's entry of the section table.
pub fn put_section(file: &mut [u8], at: usize, part: &Part) {
    let len = part.bytes.len() as u32;
    put(file, at, part.name.as_bytes());
    for (index, value) in [len + part.extra, part.address, len.next_multiple_of(0x200), part.offset]
        .iter()
        .enumerate()
    {
        put(file, at + 8 + index * 4, &value.to_le_bytes());
    }
    put(file, at + 36, &part.flags.to_le_bytes());
}

/// Appends a resource directory with a version and a manifest; returns its address and length.
pub fn resources(base: u32, bytes: &mut Vec<u8>, version: [u16; 4], manifest: &str) -> (u32, u32) {
    let [major, minor, build, revision] = version.map(u32::from);
    let info = words(
        base,
        bytes,
        &[0, 0xFEEF_04BD, 0x0001_0000, major << 16 | minor, build << 16 | revision],
    );
    let text = (string(base, bytes, manifest), manifest.len() as u32);
    let start = align_to(bytes, 4);
    // Three levels for each of the two kinds: type, name, language. A level is a header of 16 bytes
    // and its entries of 8.
    let level = |count: u32| [0, 0, 0, count << 16];
    let mut tree: Vec<u32> = Vec::new();
    tree.extend(level(2));
    tree.extend([16, 1 << 31 | 32, 24, 1 << 31 | 80]);
    for (at, data) in [(32u32, 128u32), (80, 144)] {
        tree.extend(level(1));
        tree.extend([1, 1 << 31 | (at + 24)]);
        tree.extend(level(1));
        tree.extend([0x409, data]);
    }
    for (address, size) in [info, text] {
        tree.extend([address, size, 0, 0]);
    }
    let (address, size) = words(base, bytes, &tree);
    assert_eq!(address, base + start as u32);
    (address, size)
}

/// Appends `words`, aligned; returns their address and length, `base` being the address of `bytes`.
pub fn words(base: u32, bytes: &mut Vec<u8>, words: &[u32]) -> (u32, u32) {
    let at = align_to(bytes, 4);
    bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    (base + at as u32, words.len() as u32 * 4)
}

/// Appends `text` with a NUL; returns its address, `base` being the address of `bytes`.
pub fn string(base: u32, bytes: &mut Vec<u8>, text: &str) -> u32 {
    let at = base + bytes.len() as u32;
    bytes.extend_from_slice(text.as_bytes());
    bytes.push(0);
    at
}

/// Pads `bytes` to a multiple of `alignment`; returns its length then.
pub fn align_to(bytes: &mut Vec<u8>, alignment: usize) -> usize {
    bytes.resize(bytes.len().next_multiple_of(alignment), 0);
    bytes.len()
}

/// Overwrites what is at `at`.
pub fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}
