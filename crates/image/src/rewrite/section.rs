//! What a patch adds to an image: the new import table, and around it what [`undo`](super::undo)
//! needs.
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

use crate::headers::record;
use crate::imports::DESCRIPTOR_LEN;
use crate::{Error, Headers, Image, Result};
use object::pe;
use object::pod;
use object::{LittleEndian as LE, U32, U64};
use std::ops::Range;

/// The function of the module that a patched image imports. Without one, the loader would have
/// nothing to look up and might leave the module out.
pub const IMPORTED_FUNCTION: &str = "allograft_version";

const MAGIC: [u8; 16] = *b"allograft patch\0";
const VERSION: u32 = 1;

/// Bytes before the import table.
pub const PREFIX_LEN: u32 = 40;

const FINGERPRINT: Range<usize> = 32..40;

/// Bytes of the record before the headers.
const LENGTHS_LEN: usize = 32;

/// The import table of an image with one module put first, and all that it points to.
pub struct ImportTable {
    descriptors: Vec<pe::ImageImportDescriptor>,
    module: String,
    thunk_len: u32,
}

impl ImportTable {
    /// The table of `image`, with `module` in front.
    pub fn with_module_first(image: &Image<'_>, module: &str) -> Result<ImportTable> {
        let mut descriptors = image.import_descriptors()?;
        for descriptor in &mut descriptors {
            unbind(descriptor)?;
        }
        Ok(ImportTable { descriptors, module: module.to_owned(), thunk_len: image.thunk_len() })
    }

    /// Bytes of the table alone, as the data directory states them: with the new entry and the one
    /// that ends the table.
    pub fn directory_size(&self) -> u32 {
        (self.descriptors.len() as u32 + 2) * DESCRIPTOR_LEN
    }

    /// The table and all that it points to, for the address `base`.
    pub fn to_bytes(&self, base: u32) -> Vec<u8> {
        // Behind the table: the lookup table and the addresses, each of one function and an end,
        // the function's name with its two-byte hint, and the module's name.
        let lookup = self.directory_size().next_multiple_of(8);
        let addresses = lookup + 2 * self.thunk_len;
        let function = addresses + 2 * self.thunk_len;
        let module = (function + 2 + IMPORTED_FUNCTION.len() as u32 + 1).next_multiple_of(2);
        let ours = [base + lookup, 0, 0, base + module, base + addresses];
        let mut bytes: Vec<u8> = ours.iter().flat_map(|field| field.to_le_bytes()).collect();
        bytes.extend_from_slice(pod::bytes_of_slice(&self.descriptors));
        bytes.resize(module as usize + self.module.len() + 1, 0);
        let mut put = |at: u32, value: &[u8]| {
            bytes[at as usize..][..value.len()].copy_from_slice(value);
        };
        // The high half of a 64-bit thunk is zero.
        put(lookup, &(base + function).to_le_bytes());
        put(addresses, &(base + function).to_le_bytes());
        put(function + 2, IMPORTED_FUNCTION.as_bytes());
        put(module, self.module.as_bytes());
        bytes
    }
}

/// Makes the loader look the functions up again instead of trusting the addresses that were bound
/// in advance.
fn unbind(descriptor: &mut pe::ImageImportDescriptor) -> Result<()> {
    if descriptor.time_date_stamp.get(LE) == 0 {
        return Ok(());
    }
    if descriptor.original_first_thunk.get(LE) == 0 {
        return Err(Error::contradictory(
            "bound imports have lost the names that they were bound from",
        ));
    }
    descriptor.time_date_stamp.set(LE, 0);
    descriptor.forwarder_chain.set(LE, 0);
    Ok(())
}

/// What [`undo`](super::undo) needs, besides the bytes that are still at their place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UndoRecord<'a> {
    pub original_len: u64,
    /// How much of it is still at its place (all but the certificates).
    pub kept_len: u64,
    pub patched_len: u64,
    /// The first bytes of the original file: everything in them that was changed.
    pub headers: &'a [u8],
    /// The last bytes of the original file.
    pub certificates: &'a [u8],
}

impl UndoRecord<'_> {
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

/// Finds the record of a patched image, in front of its import table. The flag is whether the
/// headers and the table are as they were written, a later signature aside.
pub fn find<'data>(image: &Image<'data>) -> Option<(UndoRecord<'data>, bool)> {
    let table = image.directory(pe::IMAGE_DIRECTORY_ENTRY_IMPORT)?.address;
    let bytes = image.bytes_at(table.checked_sub(PREFIX_LEN)?)?;
    let prefix = bytes.get(..PREFIX_LEN as usize)?;
    if prefix[..MAGIC.len()] != MAGIC || u32_at(prefix, 16)? != VERSION {
        return None;
    }
    let bytes = bytes.get(..u32_at(prefix, 20)? as usize)?;
    let record = parse(bytes.get(u32_at(prefix, 24)? as usize..)?, image.data().len())?;
    let stated = u64_at(prefix, FINGERPRINT.start)?;
    let found = fingerprint(image.data(), image.headers(), record.headers.len(), bytes);
    Some((record, found == Some(stated)))
}

fn parse(bytes: &[u8], file_len: usize) -> Option<UndoRecord<'_>> {
    let (header_len, certificate_len) = (u32_at(bytes, 24)? as usize, u32_at(bytes, 28)? as usize);
    let headers_end = LENGTHS_LEN.checked_add(header_len)?;
    let record = UndoRecord {
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
/// begins with the patched `headers`, of which the first `header_len` bytes are recorded.
pub fn seal(file: &[u8], headers: &Headers, header_len: usize, record: &mut [u8]) -> Option<()> {
    let fingerprint = fingerprint(file, headers, header_len, record)?;
    record.get_mut(FINGERPRINT)?.copy_from_slice(&fingerprint.to_le_bytes());
    Some(())
}

/// FNV-1a of the first `header_len` bytes of `file` and of `record`, without the fields that
/// signing changes and without the fingerprint itself.
fn fingerprint(file: &[u8], headers: &Headers, header_len: usize, record: &[u8]) -> Option<u64> {
    let checksum = headers.checksum_offset();
    let security = headers.directory_offset(pe::IMAGE_DIRECTORY_ENTRY_SECURITY);
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

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    record::<U32<LE>>(bytes, at).map(|value| value.get(LE))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    record::<U64<LE>>(bytes, at).map(|value| value.get(LE))
}
