//! The checksum in an image's optional header.

/// The checksum of the image `bytes`, as the loader and `CheckSumMappedFile` reckon it: the sum of all 16-bit words with the carries added
/// back in, plus the length of the file.
///
/// The checksum's own field must be zero in `bytes`.
///
/// ```
/// assert_eq!(allograft_image::checksum(&[0x01, 0x80, 0x02, 0x80]), 0x0004 + 4);
/// ```
pub fn checksum(bytes: &[u8]) -> u32 {
    // 2^16 leaves the remainder 1 when divided by 2^16 - 1, so words of 32 bits give the same sum once their carries are folded; and
    // 64 bits hold the sum of every file that 32-bit offsets can describe.
    let words = bytes.chunks_exact(4);
    let mut last = [0u8; 4];
    last[..words.remainder().len()].copy_from_slice(words.remainder());
    let sum = words.fold(u64::from(u32::from_le_bytes(last)), |sum, word| {
        sum + u64::from(u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
    });
    fold(sum).wrapping_add(bytes.len() as u32)
}

fn fold(mut sum: u64) -> u32 {
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    sum as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition: one word after the other, each carry added back at once.
    fn by_definition(bytes: &[u8]) -> u32 {
        let mut sum = 0u32;
        for word in bytes.chunks(2) {
            sum += u32::from(word[0]) | u32::from(*word.get(1).unwrap_or(&0)) << 8;
            sum = (sum & 0xFFFF) + (sum >> 16);
        }
        sum + bytes.len() as u32
    }

    #[test]
    fn it_is_the_sum_of_16_bit_words_whatever_the_length() {
        let bytes: Vec<u8> = (0..1031u32)
            .map(|n| ((n * 7919) >> 3) as u8 | 0x81)
            .collect();
        for len in 0..bytes.len() {
            assert_eq!(
                checksum(&bytes[..len]),
                by_definition(&bytes[..len]),
                "{len} bytes"
            );
        }
    }

    #[test]
    fn a_file_of_nothing_but_ones_keeps_its_carry() {
        assert_eq!(checksum(&[0xFF; 8]), 0xFFFF + 8);
    }
}
