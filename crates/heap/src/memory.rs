//! The memory functions that compilers call, for a module without a C runtime: `memcpy`, `memmove`,
//! `memset`, `memcmp`.
//!
//! Short copies are overlapping loads and stores without a loop; long ones are the processor's own
//! string instructions, which copy whole cache lines on every processor since 2013. No loop here
//! can be mistaken by the compiler for a call to the very function that it implements: the loops
//! are in assembly.

use core::arch::asm;
#[cfg(target_arch = "x86")]
use core::arch::x86::{__m128i, _mm_loadu_si128, _mm_set1_epi8, _mm_storeu_si128};
#[cfg(target_arch = "x86_64")]
use core::arch::x86_64::{__m128i, _mm_loadu_si128, _mm_set1_epi8, _mm_storeu_si128};
use core::ffi::c_int;

/// The names that compilers call. A test has a C runtime, and compares with that.
#[cfg(feature = "freestanding")]
mod symbols {
    // Overlap does no harm.
    crate::c_symbol!("memcpy", super::memmove);
    crate::c_symbol!("memmove", super::memmove);
    crate::c_symbol!("memset", super::memset);
    crate::c_symbol!("memcmp", super::memcmp);
    crate::c_symbol!("strlen", super::strlen);
}

/// From here on the string instructions are faster than a loop of 16-byte moves.
const STRING_INSTRUCTION_FROM: usize = 1024;

/// # Safety
/// The C standard's: `size` bytes can be read at both places.
unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, size: usize) -> c_int {
    for index in 0..size {
        // SAFETY: `index` is below `size`.
        let (x, y) = unsafe { (*a.add(index), *b.add(index)) };
        if x != y {
            return c_int::from(x) - c_int::from(y);
        }
    }
    0
}

/// # Safety
/// The C standard's: `text` ends with a zero.
unsafe extern "C" fn strlen(text: *const u8) -> usize {
    let mut length = 0;
    // SAFETY: the text is read up to its zero; in assembly's place, a volatile read keeps the
    // compiler from seeing `strlen` here.
    while unsafe { text.add(length).read_volatile() } != 0 {
        length += 1;
    }
    length
}

/// Copies `T`s from both ends of `size` bytes: all of them, for sizes from one `T` to two.
///
/// # Safety
/// As for `memmove`.
#[inline(always)]
unsafe fn copy_both_ends<T: Copy>(to: *mut u8, from: *const u8, size: usize) {
    let last = size - size_of::<T>();
    // SAFETY: both ends lie within the `size` bytes; both are read before either is written.
    unsafe {
        let head = from.cast::<T>().read_unaligned();
        let tail = from.add(last).cast::<T>().read_unaligned();
        to.cast::<T>().write_unaligned(head);
        to.add(last).cast::<T>().write_unaligned(tail);
    }
}

/// # Safety
/// The C standard's: `size` bytes can be read at `from` and written at `to`.
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, size: usize) -> *mut u8 {
    // SAFETY: each arm copies exactly `size` bytes.
    unsafe {
        match size {
            0 => {}
            1 => *to = *from,
            2..4 => copy_both_ends::<u16>(to, from, size),
            4..8 => copy_both_ends::<u32>(to, from, size),
            8..16 => copy_both_ends::<u64>(to, from, size),
            16..=32 => copy_both_ends::<__m128i>(to, from, size),
            33..=64 => copy_both_ends::<[__m128i; 2]>(to, from, size),
            _ if (to as usize).wrapping_sub(from as usize) >= size => copy_up(to, from, size),
            _ => copy_down(to, from, size),
        }
    }
    to
}

/// From the lowest address to the highest; right unless `to` lies within the bytes at `from`.
unsafe fn copy_up(to: *mut u8, from: *const u8, size: usize) {
    // SAFETY: the string instruction copies `size` bytes; the loop copies all but the last 1 to 16,
    // which were read before.
    unsafe {
        if size >= STRING_INSTRUCTION_FROM {
            copy_string(to, from, size);
            return;
        }
        let last = size - 16;
        let tail = _mm_loadu_si128(from.add(last).cast());
        asm!(
            "2:",
            "movups {line}, [{from} + {at}]",
            "movups [{to} + {at}], {line}",
            "add {at}, 16",
            "cmp {at}, {last}",
            "jb 2b",
            line = out(xmm_reg) _, at = inout(reg) 0usize => _,
            from = in(reg) from, to = in(reg) to, last = in(reg) last,
            options(nostack)
        );
        _mm_storeu_si128(to.add(last).cast(), tail);
    }
}

/// From the lowest address to the highest, by the processor's own string instruction.
#[inline(always)]
unsafe fn copy_string(to: *mut u8, from: *const u8, size: usize) {
    // SAFETY: the instruction copies `size` bytes. On x86 the compiler keeps ESI for itself: it
    // gets it back.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        asm!(
            "rep movsb",
            inout("rcx") size => _, inout("rdi") to => _, inout("rsi") from => _,
            options(nostack, preserves_flags)
        );
        #[cfg(target_arch = "x86")]
        asm!(
            "xchg esi, {from}",
            "rep movsb",
            "mov esi, {from}",
            from = inout(reg) from => _, inout("ecx") size => _, inout("edi") to => _,
            options(nostack, preserves_flags)
        );
    }
}

/// `size` times the byte `value`, by the processor's own string instruction.
#[inline(always)]
unsafe fn fill_string(to: *mut u8, value: u8, size: usize) {
    // SAFETY: the instruction writes `size` bytes.
    unsafe {
        asm!(
            "rep stosb",
            inout("cx") size => _, inout("di") to => _, in("al") value,
            options(nostack, preserves_flags)
        );
    }
}

/// From the highest address to the lowest, for `to` within the bytes at `from`.
unsafe fn copy_down(to: *mut u8, from: *const u8, size: usize) {
    // SAFETY: the loop copies all but the first 1 to 16 bytes, which were read before.
    unsafe {
        let head = _mm_loadu_si128(from.cast());
        asm!(
            "2:",
            "movups {line}, [{from} + {at} - 16]",
            "movups [{to} + {at} - 16], {line}",
            "sub {at}, 16",
            "cmp {at}, 16",
            "ja 2b",
            line = out(xmm_reg) _, at = inout(reg) size => _,
            from = in(reg) from, to = in(reg) to,
            options(nostack)
        );
        _mm_storeu_si128(to.cast(), head);
    }
}

/// # Safety
/// The C standard's: `size` bytes can be written at `to`.
unsafe extern "C" fn memset(to: *mut u8, value: c_int, size: usize) -> *mut u8 {
    let value = value as u8;
    // SAFETY: each arm writes within the `size` bytes, and all of them.
    unsafe {
        let word = u64::from(value) * 0x0101_0101_0101_0101;
        match size {
            0 => {}
            1..4 => {
                *to = value;
                *to.add(size / 2) = value;
                *to.add(size - 1) = value;
            }
            4..8 => {
                to.cast::<u32>().write_unaligned(word as u32);
                to.add(size - 4).cast::<u32>().write_unaligned(word as u32);
            }
            8..16 => {
                to.cast::<u64>().write_unaligned(word);
                to.add(size - 8).cast::<u64>().write_unaligned(word);
            }
            _ if size >= STRING_INSTRUCTION_FROM => fill_string(to, value, size),
            _ => {
                let line = _mm_set1_epi8(value as i8);
                asm!(
                    "2:",
                    "movups [{to} + {at}], {line}",
                    "add {at}, 16",
                    "cmp {at}, {last}",
                    "jb 2b",
                    line = in(xmm_reg) line, at = inout(reg) 0usize => _,
                    to = in(reg) to, last = in(reg) size - 16,
                    options(nostack)
                );
                _mm_storeu_si128(to.add(size - 16).cast(), line);
            }
        }
    }
    to
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn numbered(count: usize) -> Vec<u8> {
        (0..count).map(|index| (index * 7 + index / 251) as u8).collect()
    }

    /// All short sizes, and those around the borders between the methods of copying.
    fn sizes() -> impl Iterator<Item = usize> {
        (0..200).chain(1000..1050).chain([4096, 5000, 10_000])
    }

    #[test]
    fn copies_move_every_byte_and_no_other() {
        for size in sizes() {
            for shift in [0, 1, 13] {
                let from = numbered(size + 32);
                let mut to = vec![0xEE; size + 32];
                // SAFETY: both are long enough.
                unsafe { memmove(to.as_mut_ptr().add(shift), from.as_ptr().add(3), size) };
                assert_eq!(to[shift..shift + size], from[3..3 + size], "{size} bytes");
                assert!(to[..shift].iter().chain(&to[shift + size..]).all(|&byte| byte == 0xEE));
            }
        }
    }

    #[test]
    fn moves_are_right_however_the_places_overlap() {
        for size in sizes() {
            for distance in [0, 1, 7, 8, 15, 16, 17, 31, 40, 64, 1000] {
                for up in [false, true] {
                    let mut bytes = numbered(size + distance);
                    let expected = bytes.clone();
                    let (from, to) = if up { (0, distance) } else { (distance, 0) };
                    let start = bytes.as_mut_ptr();
                    // SAFETY: both ranges lie in the vector.
                    unsafe { memmove(start.add(to), start.add(from), size) };
                    assert_eq!(
                        bytes[to..to + size],
                        expected[from..from + size],
                        "{size} bytes by {distance}, up: {up}"
                    );
                }
            }
        }
    }

    #[test]
    fn fills_every_byte_and_no_other() {
        for size in sizes() {
            let mut bytes = vec![0xEEu8; size + 2];
            // SAFETY: the vector is longer.
            unsafe { memset(bytes.as_mut_ptr().add(1), 0x11A, size) };
            assert!(bytes[1..=size].iter().all(|&byte| byte == 0x1A), "{size} bytes");
            assert_eq!((bytes[0], bytes[size + 1]), (0xEE, 0xEE), "{size} bytes");
        }
    }

    #[test]
    fn comparison_and_length_are_those_of_c() {
        let (a, b) = (b"abc\x80", b"abc\x7F");
        // SAFETY: both are four bytes long; the text ends with a zero.
        unsafe {
            assert!(memcmp(a.as_ptr(), b.as_ptr(), 4) > 0);
            assert!(memcmp(b.as_ptr(), a.as_ptr(), 4) < 0);
            assert_eq!(memcmp(a.as_ptr(), b.as_ptr(), 3), 0);
            assert_eq!(strlen(c"seven!!".as_ptr().cast()), 7);
        }
    }
}
