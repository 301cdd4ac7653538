//! What a patched image remembers of its former self, in front of its import table.
//!
//! | offset | what |
//! |---|---|
//! | 0 | [`MAGIC`] |
//! | 16 | version of this layout, 32 bits as all that follows where nothing else is said |
//! | 20 | bytes from the magic to the end of the record |
//! | 24 | offset of the record from the magic |
//! | 28 | zero |
//! | 32 | 64-bit fingerprint: FNV-1a of the patched headers and of these bytes, without the fields that a later signature changes |
//! | 40 | the import table, and what it points to |
//! | record | original length of the file, length without certificates, length of the patched file, 64 bits each |
//! | record + 24 | length of the headers kept, length of the certificates kept |
//! | record + 32 | the headers as they were, then the certificates |

use crate::rewrite::edit::checksum_offset;
use crate::{Headers, Image};
use object::LittleEndian as LE;
use object::pe;
use object::{U32, U64};
use std::ops::Range;

/// How the record begins.
const MAGIC: [u8; 16] = *b"allograft patch\0";
const VERSION: u32 = 1;

/// Bytes before the import table.
pub(crate) const PREFIX_LEN: u32 = 40;

/// Offset of the fingerprint.
const FINGERPRINT: Range<usize> = 32..40;

/// Bytes of the record before the headers.
const LENGTHS_LEN: usize = 32;

/// What is needed to undo a patch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Record<'a> {
    /// Length of the original file.
    pub original_len: u64,
    /// How much of it is still at its place (all but the certificates).
    pub kept_len: u64,
    /// Length of the patched file.
    pub patched_len: u64,
    /// The first bytes of the original file: everything in them that was changed.
    pub headers: &'a [u8],
    /// The last bytes of the original file.
    pub certificates: &'a [u8],
}

impl Record<'_> {
    /// Bytes that the record takes with an import table of `table` bytes, from the magic on.
    pub fn len_with(&self, table: u32) -> Option<u32> {
        let tail =
            LENGTHS_LEN.checked_add(self.headers.len())?.checked_add(self.certificates.len())?;
        PREFIX_LEN
            .checked_add(table.checked_next_multiple_of(8)?)?
            .checked_add(u32::try_from(tail).ok()?)
    }

    /// The prefix, `table` and the record, with the fingerprint still to be filled in.
    pub fn to_bytes(&self, table: &[u8], len: u32) -> Vec<u8> {
        let record_at = PREFIX_LEN + (table.len() as u32).next_multiple_of(8);
        let mut bytes = Vec::with_capacity(len as usize);
        bytes.extend_from_slice(&MAGIC);
        for field in [VERSION, len, record_at, 0] {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
        bytes.resize(PREFIX_LEN as usize, 0);
        bytes.extend_from_slice(table);
        bytes.resize(record_at as usize, 0);
        for length in [self.original_len, self.kept_len, self.patched_len] {
            bytes.extend_from_slice(&length.to_le_bytes());
        }
        bytes.extend_from_slice(&(self.headers.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&(self.certificates.len() as u32).to_le_bytes());
        bytes.extend_from_slice(self.headers);
        bytes.extend_from_slice(self.certificates);
        bytes
    }
}

/// A record found in an image.
pub(crate) struct FoundRecord<'a> {
    pub record: Record<'a>,
    /// Whether the headers and the table are as we wrote them, a later signature aside.
    pub is_intact: bool,
}

/// Finds the record of a patched image, in front of its import table.
pub(crate) fn find<'data>(image: &Image<'data>) -> Option<FoundRecord<'data>> {
    let table = image.directory(pe::IMAGE_DIRECTORY_ENTRY_IMPORT)?.address;
    let bytes = image.bytes_at(table.checked_sub(PREFIX_LEN)?)?;
    let prefix = bytes.get(..PREFIX_LEN as usize)?;
    if prefix[..MAGIC.len()] != MAGIC || u32_at(prefix, 16)? != VERSION {
        return None;
    }
    let bytes = bytes.get(..u32_at(prefix, 20)? as usize)?;
    let record = parse(bytes.get(u32_at(prefix, 24)? as usize..)?, image.data().len())?;
    let stated = u64_at(prefix, FINGERPRINT.start)?;
    Some(FoundRecord {
        is_intact: fingerprint(image.data(), image.headers(), record.headers.len(), bytes)
            == Some(stated),
        record,
    })
}

fn parse(bytes: &[u8], file_len: usize) -> Option<Record<'_>> {
    let (header_len, certificate_len) = (u32_at(bytes, 24)? as usize, u32_at(bytes, 28)? as usize);
    let headers_end = LENGTHS_LEN.checked_add(header_len)?;
    let record = Record {
        original_len: u64_at(bytes, 0)?,
        kept_len: u64_at(bytes, 8)?,
        patched_len: u64_at(bytes, 16)?,
        headers: bytes.get(LENGTHS_LEN..headers_end)?,
        certificates: bytes.get(headers_end..headers_end.checked_add(certificate_len)?)?,
    };
    let adds_up = record.kept_len.checked_add(certificate_len as u64)? == record.original_len
        && record.kept_len <= file_len as u64
        && header_len as u64 <= record.kept_len;
    adds_up.then_some(record)
}

/// Fills in the fingerprint in `record`, the bytes from the magic to the end of the record. `file`
/// begins with the patched headers, of which the record keeps the first `header_len` bytes as they
/// were.
pub(crate) fn seal(
    file: &[u8],
    headers: &Headers,
    header_len: usize,
    record: &mut [u8],
) -> Option<()> {
    let fingerprint = fingerprint(file, headers, header_len, record)?;
    record.get_mut(FINGERPRINT)?.copy_from_slice(&fingerprint.to_le_bytes());
    Some(())
}

/// FNV-1a of the first `header_len` bytes of `file` and of `record`, without the fields that
/// signing changes and without the fingerprint itself.
fn fingerprint(file: &[u8], headers: &Headers, header_len: usize, record: &[u8]) -> Option<u64> {
    let checksum = checksum_offset(headers);
    let security = security_offset(headers);
    let is_signers = |at: usize| {
        (checksum..checksum + 4).contains(&at)
            || security.is_some_and(|security| (security..security + 8).contains(&at))
    };
    let of_headers = file.get(..header_len)?.iter().enumerate().filter(|&(at, _)| !is_signers(at));
    let of_record = record.iter().enumerate().filter(|(at, _)| !FINGERPRINT.contains(at));
    Some(of_headers.chain(of_record).fold(0xcbf2_9ce4_8422_2325, |hash: u64, (_, &byte)| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    }))
}

/// The file offset of the data directory that states the certificates, if the image has one.
fn security_offset(headers: &Headers) -> Option<usize> {
    let index = pe::IMAGE_DIRECTORY_ENTRY_SECURITY;
    let offset = headers.directories_offset + index * size_of::<pe::ImageDataDirectory>();
    (index < headers.directories.len()).then_some(offset)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    crate::headers::record::<U32<LE>>(bytes, at).map(|value| value.get(LE))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    crate::headers::record::<U64<LE>>(bytes, at).map(|value| value.get(LE))
}
