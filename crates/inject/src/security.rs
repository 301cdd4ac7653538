//! Who may share a section with whom: the descriptor that a launcher gives to what it creates, and
//! the rule by which the module trusts what it finds.
//!
//! A status page says where the module writes its log and its report. Whoever could create the page
//! of an elevated process in advance could have files written with that process's rights.
//!
//! The documented functions for descriptors are advapi32's, which the module does not import. The
//! formats are documented too (MS-DTYP 2.4), so they are read and written here.

use core::fmt;

/// A security identifier (SID) in binary.
#[derive(Clone, Copy, Debug)]
pub struct Sid {
    bytes: [u8; Sid::MOST_BYTES],
    length: usize,
}

impl Sid {
    const MOST_BYTES: usize = 68;

    /// The identifier at `offset` in `bytes`; none if it is not there as a whole.
    pub fn read(bytes: &[u8], offset: usize) -> Option<Sid> {
        let found = identifier(bytes, offset)?;
        let mut sid = Sid { bytes: [0; Sid::MOST_BYTES], length: found.len() };
        sid.bytes.get_mut(..found.len())?.copy_from_slice(found);
        Some(sid)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// Its last number: of an integrity level, the level (0x2000 is medium, 0x3000 high).
    pub fn last_number(&self) -> u32 {
        // There is one: an identifier has at least eight bytes.
        level(self.as_bytes()).unwrap_or(u32::MAX)
    }
}

/// As the system writes it: `S-1-15-2-…`.
impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (header, numbers) = self.as_bytes().split_at(8);
        let authority = header[2..].iter().fold(0, |value, &byte| value << 8 | u64::from(byte));
        write!(f, "S-{}-{authority}", header[0])?;
        for number in numbers.chunks_exact(4) {
            write!(f, "-{}", u32::from_le_bytes([number[0], number[1], number[2], number[3]]))?;
        }
        Ok(())
    }
}

const LOCAL_SYSTEM: &[u8] = &[1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0];
const ADMINISTRATORS: &[u8] = &[1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0];

/// Whether a process may take options from a page with this security descriptor (self-relative,
/// with owner and label). `owner` is the owner that the system gives to what the process creates,
/// and `integrity` the process's level.
///
/// The page's owner must be the process's own, the system or administrators: nobody else can make
/// these groups the owner of anything, and their members may do anything to any process. And the
/// page must not carry a lower integrity level than the process: the system marks so what processes
/// of low integrity create. A descriptor without an owner comes only from systems that protect
/// nothing, and is accepted.
pub(crate) fn is_trusted(descriptor: &[u8], owner: &[u8], integrity: u32) -> bool {
    let owner_is_trusted = match part(descriptor, OWNER) {
        None => false,
        Some(None) => true,
        Some(Some(offset)) => identifier(descriptor, offset)
            .is_some_and(|found| [owner, LOCAL_SYSTEM, ADMINISTRATORS].contains(&found)),
    };
    owner_is_trusted && label(descriptor).is_none_or(|level| level >= integrity)
}

// Offsets in a self-relative descriptor. Each field is the offset of its part, 0 for none.
const OWNER: usize = 4;
const SYSTEM_LIST: usize = 12;
const DISCRETIONARY_LIST: usize = 16;
const DESCRIPTOR_HEADER: usize = 20;

/// Header of an access control list, and of an entry with the mask that follows it.
const LIST_HEADER: usize = 8;
const ENTRY_HEADER: usize = 8;

const ACCESS_ALLOWED: u8 = 0;
const MANDATORY_LABEL: u8 = 0x11;

/// The descriptor of what a launcher shares with a process.
#[derive(Debug)]
#[repr(align(8))]
pub struct Descriptor {
    bytes: [u8; Descriptor::MOST_BYTES],
    length: usize,
}

impl Descriptor {
    const MOST_BYTES: usize = DESCRIPTOR_HEADER
        + 2 * LIST_HEADER
        + 5 * ENTRY_HEADER
        + LOCAL_SYSTEM.len()
        + ADMINISTRATORS.len()
        + 3 * Sid::MOST_BYTES;

    /// Lets in `user`, administrators and the system, and nobody else. A process in an AppContainer
    /// gets in only if its package, `container`, is let in as well.
    ///
    /// It carries the level `integrity` of the process that it is shared with: a program that is
    /// not elevated could otherwise not write to what an elevated launcher creates. In the notation
    /// of the system: `D:P(A;;GA;;;SY)(A;;GA;;;BA)(A;;GA;;;user)S:(ML;;NW;;;integrity)`.
    pub fn new(user: &Sid, container: Option<&Sid>, integrity: &Sid) -> Descriptor {
        /// Self-relative, both lists present, the discretionary one protected from inheritance.
        const CONTROL: u16 = 0x8000 | 0x1000 | 0x0010 | 0x0004;
        const GENERIC_ALL: u32 = 0x1000_0000;
        const NO_WRITE_UP: u32 = 1;

        let mut descriptor =
            Descriptor { bytes: [0; Descriptor::MOST_BYTES], length: DESCRIPTOR_HEADER };
        descriptor.bytes[0] = 1;
        descriptor.bytes[2..4].copy_from_slice(&CONTROL.to_le_bytes());
        let label = (MANDATORY_LABEL, NO_WRITE_UP, integrity.as_bytes());
        descriptor.add_list(SYSTEM_LIST, &[label]);
        let allowed = |sid| (ACCESS_ALLOWED, GENERIC_ALL, sid);
        // Outside of containers the last of these is not used.
        let container_bytes = container.map_or(LOCAL_SYSTEM, Sid::as_bytes);
        let entries = [LOCAL_SYSTEM, ADMINISTRATORS, user.as_bytes(), container_bytes].map(allowed);
        let count = if container.is_some() { 4 } else { 3 };
        descriptor.add_list(DISCRETIONARY_LIST, &entries[..count]);
        descriptor
    }

    /// Appends an access control list, whose offset is to be at `field`. An entry is its kind, its
    /// mask and its identifier.
    fn add_list(&mut self, field: usize, entries: &[(u8, u32, &[u8])]) {
        const REVISION: u8 = 2;
        let start = self.length;
        self.bytes[field..field + 4].copy_from_slice(&(start as u32).to_le_bytes());
        self.length += LIST_HEADER;
        for &(kind, mask, sid) in entries {
            let size = (ENTRY_HEADER + sid.len()) as u16;
            let [low, high] = size.to_le_bytes();
            self.append(&[kind, 0, low, high]);
            self.append(&mask.to_le_bytes());
            self.append(sid);
        }
        let [size_low, size_high] = ((self.length - start) as u16).to_le_bytes();
        let header = [REVISION, 0, size_low, size_high, entries.len() as u8, 0, 0, 0];
        self.bytes[start..start + LIST_HEADER].copy_from_slice(&header);
    }

    fn append(&mut self, bytes: &[u8]) {
        self.bytes[self.length..self.length + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }

    /// The descriptor as the system takes it: self-relative.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// The offset that is in the descriptor's `field`: `Some(None)` if there is no such part, `None`
/// for bytes that are no descriptor.
fn part(descriptor: &[u8], field: usize) -> Option<Option<usize>> {
    let offset = number(descriptor, field)? as usize;
    Some((offset != 0).then_some(offset))
}

/// The integrity level in the descriptor's label, if it has one.
fn label(descriptor: &[u8]) -> Option<u32> {
    let list = descriptor.get(part(descriptor, SYSTEM_LIST)??..)?;
    let count = short(list, 4)?;
    let mut entry = LIST_HEADER;
    for _ in 0..count {
        if *list.get(entry)? == MANDATORY_LABEL {
            return level(identifier(list, entry + ENTRY_HEADER)?);
        }
        entry += usize::from(short(list, entry + 2)?);
    }
    None
}

/// The integrity level that a security identifier stands for: its last number.
fn level(identifier: &[u8]) -> Option<u32> {
    identifier.last_chunk().map(|last| u32::from_le_bytes(*last))
}

/// The security identifier at `offset`; none if it is not there as a whole.
fn identifier(bytes: &[u8], offset: usize) -> Option<&[u8]> {
    const HEADER: usize = 8;

    let numbers = usize::from(*bytes.get(offset.checked_add(1)?)?);
    let length = HEADER + numbers * size_of::<u32>();
    bytes.get(offset..offset.checked_add(length)?)
}

fn number(bytes: &[u8], offset: usize) -> Option<u32> {
    let four = bytes.get(offset..offset.checked_add(4)?)?;
    Some(u32::from_le_bytes(four.try_into().ok()?))
}

fn short(bytes: &[u8], offset: usize) -> Option<u16> {
    let two = bytes.get(offset..offset.checked_add(2)?)?;
    Some(u16::from_le_bytes(two.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    const MEDIUM: u32 = 0x2000;
    const HIGH: u32 = 0x3000;

    fn sid(authority: u8, numbers: &[u32]) -> Vec<u8> {
        let mut bytes = std::vec![1, numbers.len() as u8, 0, 0, 0, 0, 0, authority];
        bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        bytes
    }

    fn user() -> Vec<u8> {
        sid(5, &[21, 1, 2, 3, 1001])
    }

    /// A self-relative descriptor with this owner, and a list with an entry of another kind before
    /// the label.
    fn descriptor(owner: Option<&[u8]>, level: Option<u32>) -> Vec<u8> {
        let mut bytes = std::vec![1, 0, 0x10, 0x80];
        bytes.resize(20, 0);
        if let Some(owner) = owner {
            bytes[OWNER] = bytes.len() as u8;
            bytes.extend(owner);
        }
        if let Some(level) = level {
            bytes[SYSTEM_LIST] = bytes.len() as u8;
            bytes.extend([2, 0, 64, 0, 2, 0, 0, 0]);
            bytes.extend([2, 0, 12, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
            bytes.extend([0x11, 0, 20, 0, 1, 0, 0, 0]);
            bytes.extend(sid(16, &[level]));
        }
        bytes
    }

    fn assert_shared_with(container: Option<&Sid>) {
        let user = Sid::read(&user(), 0).unwrap();
        let level = Sid::read(&sid(16, &[MEDIUM]), 0).unwrap();
        let descriptor = Descriptor::new(&user, container, &level);
        let bytes = descriptor.as_bytes();
        assert_eq!(bytes[..4], [1, 0, 0x14, 0x90]);
        assert_eq!(label(bytes), Some(MEDIUM));
        let list = &bytes[part(bytes, DISCRETIONARY_LIST).unwrap().unwrap()..];
        assert_eq!(usize::from(short(list, 2).unwrap()), list.len());
        let mut entry = LIST_HEADER;
        let three = [LOCAL_SYSTEM, ADMINISTRATORS, user.as_bytes()];
        for expected in three.into_iter().chain(container.map(Sid::as_bytes)) {
            assert_eq!(list[entry], ACCESS_ALLOWED);
            assert_eq!(number(list, entry + 4), Some(0x1000_0000));
            assert_eq!(identifier(list, entry + ENTRY_HEADER), Some(expected));
            entry += usize::from(short(list, entry + 2).unwrap());
        }
        assert_eq!(entry, list.len());
    }

    #[test]
    fn what_a_launcher_shares_carries_the_label_and_lets_in_three_and_the_package() {
        assert_shared_with(None);
        assert_shared_with(Some(&Sid::read(&sid(15, &[2, 1, 2, 3, 4, 5, 6, 7]), 0).unwrap()));
    }

    #[test]
    fn an_identifier_is_written_as_the_system_writes_it() {
        let package = sid(15, &[2, 4_000_000_000, 7]);
        let text = std::string::ToString::to_string(&Sid::read(&package, 0).unwrap());
        assert_eq!(text, "S-1-15-2-4000000000-7");
    }

    #[test]
    fn the_longest_identifiers_fit_into_a_descriptor() {
        let longest = sid(5, &[7; 15]);
        let sid = Sid::read(&longest, 0).unwrap();
        assert_eq!(sid.as_bytes(), longest);
        assert_eq!(
            Descriptor::new(&sid, Some(&sid), &sid).as_bytes().len(),
            Descriptor::MOST_BYTES
        );
        assert!(Sid::read(&super::tests::sid(5, &[7; 16]), 0).is_none());
    }

    #[test]
    fn a_page_is_trusted_by_its_owner_and_integrity_level() {
        let (user, other) = (user(), sid(5, &[21, 1, 2, 3, 1002]));
        let (system, administrators) = (sid(5, &[18]), sid(5, &[32, 544]));
        /// The process's owner and level, the page's, and whether it is trusted.
        type Case<'a> = (&'a str, &'a [u8], u32, Option<&'a [u8]>, Option<u32>, bool);
        let table: [Case<'_>; 10] = [
            ("the user's own page", &user, MEDIUM, Some(&user), None, true),
            ("its own level", &user, MEDIUM, Some(&user), Some(MEDIUM), true),
            ("a higher level", &user, MEDIUM, Some(&user), Some(HIGH), true),
            ("a system without owners", &user, MEDIUM, None, None, true),
            ("made by the system", &user, MEDIUM, Some(&system), Some(MEDIUM), true),
            ("made by an administrator", &user, MEDIUM, Some(&administrators), Some(MEDIUM), true),
            ("an elevated process, its user not", &administrators, HIGH, Some(&user), None, false),
            ("a lower level", &administrators, HIGH, Some(&administrators), Some(MEDIUM), false),
            ("another user", &user, MEDIUM, Some(&other), None, false),
            ("low integrity", &user, MEDIUM, Some(&user), Some(0x1000), false),
        ];
        for (case, own, integrity, owner, level, trusted) in table {
            assert_eq!(is_trusted(&descriptor(owner, level), own, integrity), trusted, "{case}");
        }
    }

    #[test]
    fn what_is_cut_off_or_leads_astray_is_not_trusted() {
        let user = user();
        let whole = descriptor(Some(&user), None);
        for length in 0..whole.len() {
            assert!(!is_trusted(&whole[..length], &user, MEDIUM), "{length} bytes");
        }
        let mut astray = whole;
        astray[OWNER..OWNER + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(!is_trusted(&astray, &user, MEDIUM));
    }
}
