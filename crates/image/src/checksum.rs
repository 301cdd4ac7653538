//! The checksum in an image's optional header.

/// The checksum of the image `bytes`, as the loader and `CheckSumMappedFile` compute it: the sum of
/// all 16-bit words with the carries added back in, plus the length of the file.
///
/// The checksum's own field must be zero in `bytes`.
///
/// ```
/// assert_eq!(allograft_image::checksum(&[0x01, 0x80, 0x02, 0x80]), 0x0004 + 4);
/// ```
pub fn checksum(bytes: &[u8]) -> u32 {
    checksum_of(&[bytes])
}

/// The same of an image in pieces.
pub(crate) fn checksum_of(pieces: &[&[u8]]) -> u32 {
    let (mut sum, mut len) = (0, 0usize);
    for piece in pieces {
        let of_piece = sum_of_words(piece);
        // In a piece that begins in the middle of a word each byte counts as the other half;
        // exchanging the halves of the sum does that.
        sum += u64::from(if len.is_multiple_of(2) { of_piece } else { of_piece.swap_bytes() });
        len += piece.len();
    }
    u32::from(fold(sum)).wrapping_add(len as u32)
}

/// The sum of the words of `bytes`, with the carries added back in.
fn sum_of_words(bytes: &[u8]) -> u16 {
    // 2^16 leaves the remainder 1 when divided by 2^16 - 1, so words of 32 bits give the same sum
    // once their carries are folded; and 64 bits hold the sum of every file that 32-bit offsets can
    // describe.
    let words = bytes.chunks_exact(4);
    let mut last = [0u8; 4];
    last[..words.remainder().len()].copy_from_slice(words.remainder());
    let sum = words.fold(u64::from(u32::from_le_bytes(last)), |sum, word| {
        sum + u64::from(u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
    });
    fold(sum)
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    sum as u16
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
        let bytes: Vec<u8> = (0..1031u32).map(|n| ((n * 7919) >> 3) as u8 | 0x81).collect();
        for len in 0..bytes.len() {
            assert_eq!(checksum(&bytes[..len]), by_definition(&bytes[..len]), "{len} bytes");
        }
    }

    #[test]
    fn it_does_not_matter_where_a_file_is_cut_in_pieces() {
        let bytes: Vec<u8> = (0..301u32).map(|n| ((n * 7919) >> 3) as u8).collect();
        let whole = checksum(&bytes);
        for first in 0..20 {
            for second in first..bytes.len() {
                let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                assert_eq!(checksum_of(&pieces), whole, "cut at {first} and {second}");
            }
        }
    }

    #[test]
    fn a_file_of_nothing_but_ones_keeps_its_carry() {
        assert_eq!(checksum(&[0xFF; 8]), 0xFFFF + 8);
    }
}
