//! Data that is put together piece by piece, each piece at a known address.

/// A data directory: address and size.
pub type Range = (u32, u32);

/// Read-only data that is put together at its address.
pub struct Data {
    address: u32,
    bytes: Vec<u8>,
}

impl Data {
    /// No data, to begin at `address`.
    pub fn at(address: u32) -> Data {
        Data { address, bytes: Vec::new() }
    }

    /// All of it.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Where the next byte comes.
    pub fn here(&self) -> u32 {
        self.address + self.bytes.len() as u32
    }

    /// Appends `bytes` at a multiple of `align`; returns their address.
    pub fn put(&mut self, align: usize, bytes: &[u8]) -> u32 {
        let len = self.bytes.len().next_multiple_of(align);
        self.bytes.resize(len, 0);
        let address = self.here();
        self.bytes.extend_from_slice(bytes);
        address
    }

    /// Puts `bytes` in the place of those that were put at `address`.
    pub fn overwrite(&mut self, address: u32, bytes: &[u8]) {
        let start = (address - self.address) as usize;
        self.bytes[start..start + bytes.len()].copy_from_slice(bytes);
    }

    /// Appends a string with a NUL.
    pub fn string(&mut self, text: &str) -> u32 {
        let address = self.put(1, text.as_bytes());
        self.bytes.push(0);
        address
    }

    /// Appends a UTF-16 string with a NUL.
    pub fn wide(&mut self, text: &str) -> u32 {
        let units: Vec<u8> = text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
        self.put(2, &units)
    }

    /// Appends 32-bit numbers.
    pub fn numbers(&mut self, numbers: &[u32]) -> u32 {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.put(4, &bytes)
    }
}
