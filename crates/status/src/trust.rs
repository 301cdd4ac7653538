//! Whether the maker of a page may be trusted, by the page's security descriptor.
//!
//! A page tells the module where to write its log and its report. Whoever could make the page of an
//! elevated process in advance could have files written with that process's rights.

/// A process that is offered a page.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    /// The security identifier (SID) of the owner that the system gives to what the process makes,
    /// in binary.
    pub owner: &'a [u8],
    /// Its integrity level, as the last number of the level's identifier says it (0x2000 is medium,
    /// 0x3000 high).
    pub integrity: u32,
}

/// Groups whose members may do anything to any process: the system, and administrators who are
/// elevated. Nobody else can make them the owner of anything.
const TRUSTED_GROUPS: [&[u8]; 2] =
    [&[1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0], &[1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0]];

impl Reader<'_> {
    /// Whether the process may take the word of whoever made the page with this security descriptor
    /// (self-relative, with owner and label).
    ///
    /// It may if the owner is the process's own, the system or administrators, and if the page does
    /// not carry an integrity level below that of the process: that is how the system marks what
    /// processes of low integrity make. A descriptor without an owner, which only systems have that
    /// guard nothing, tells of nobody to be afraid of.
    pub fn trusts(&self, descriptor: &[u8]) -> bool {
        let Some(owner) = part(descriptor, OWNER) else {
            return false;
        };
        let owner_is_fine = match owner {
            None => true,
            Some(offset) => identifier(descriptor, offset)
                .is_some_and(|owner| owner == self.owner || TRUSTED_GROUPS.contains(&owner)),
        };
        owner_is_fine && label(descriptor).is_none_or(|level| level >= self.integrity)
    }
}

/// Where a descriptor says where its owner is, and its system access control list, which has the
/// label.
const OWNER: usize = 4;
const SYSTEM_LIST: usize = 12;

/// The offset of a part of the descriptor; nothing in it if there is no such part. None for what is
/// no descriptor.
fn part(descriptor: &[u8], place: usize) -> Option<Option<usize>> {
    let offset = number(descriptor, place)? as usize;
    Some((offset != 0).then_some(offset))
}

/// The integrity level that the descriptor carries, if it does.
fn label(descriptor: &[u8]) -> Option<u32> {
    const MANDATORY_LABEL: u8 = 0x11;
    const HEADER: usize = 8;

    let list = descriptor.get(part(descriptor, SYSTEM_LIST)??..)?;
    let count = short(list, 4)?;
    let mut entry = HEADER;
    for _ in 0..count {
        if *list.get(entry)? == MANDATORY_LABEL {
            return level(identifier(list, entry + HEADER)?);
        }
        entry += usize::from(short(list, entry + 2)?);
    }
    None
}

/// The integrity level that a security identifier stands for: its last number.
pub fn level(identifier: &[u8]) -> Option<u32> {
    identifier.last_chunk().map(|last| u32::from_le_bytes(*last))
}

/// The security identifier at `offset`; none if it is not there as a whole.
pub fn identifier(bytes: &[u8], offset: usize) -> Option<&[u8]> {
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

    /// A self-relative descriptor with this owner, and a list that has an entry of another kind
    /// before the label.
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

    fn reader(owner: &[u8], integrity: u32) -> Reader<'_> {
        Reader { owner, integrity }
    }

    #[test]
    fn a_page_of_the_processs_own_kind_is_trusted() {
        let user = user();
        let reader = reader(&user, MEDIUM);
        assert!(reader.trusts(&descriptor(Some(&user), None)));
        assert!(reader.trusts(&descriptor(Some(&user), Some(MEDIUM))));
        assert!(reader.trusts(&descriptor(Some(&user), Some(HIGH))));
        assert!(reader.trusts(&descriptor(None, None)));
    }

    #[test]
    fn administrators_and_the_system_are_trusted_by_everybody() {
        let (system, administrators) = (sid(5, &[18]), sid(5, &[32, 544]));
        let user = user();
        for owner in [system, administrators] {
            assert!(reader(&user, MEDIUM).trusts(&descriptor(Some(&owner), Some(MEDIUM))));
        }
    }

    #[test]
    fn an_elevated_process_does_not_trust_its_own_user_who_is_not() {
        let administrators = sid(5, &[32, 544]);
        let elevated = reader(&administrators, HIGH);
        assert!(!elevated.trusts(&descriptor(Some(&user()), None)));
        assert!(!elevated.trusts(&descriptor(Some(&administrators), Some(MEDIUM))));
    }

    #[test]
    fn another_user_and_a_process_of_low_integrity_are_not_trusted() {
        let user = user();
        let reader = reader(&user, MEDIUM);
        let other = sid(5, &[21, 1, 2, 3, 1002]);
        assert!(!reader.trusts(&descriptor(Some(&other), None)));
        assert!(!reader.trusts(&descriptor(Some(&user), Some(0x1000))));
    }

    #[test]
    fn what_is_cut_off_or_leads_astray_is_not_trusted() {
        let user = user();
        let reader = reader(&user, MEDIUM);
        let whole = descriptor(Some(&user), None);
        for length in 0..whole.len() {
            assert!(!reader.trusts(&whole[..length]), "{length} bytes");
        }
        let mut astray = whole;
        astray[OWNER..OWNER + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(!reader.trusts(&astray));
    }
}
