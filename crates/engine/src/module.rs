//! A module that the process has loaded: where it lies, what it is called, and its file version.

/// A loaded module (a DLL or the program).
#[derive(Clone, Copy, Debug)]
pub struct Module {
    base: usize,
    size: usize,
    name: &'static [u16],
    path: &'static [u16],
}

impl Module {
    /// A module at `base`, `size` bytes long. The strings are its file name and its full path.
    ///
    /// # Safety
    /// A module is loaded there, and both strings live, as long as the value is used.
    pub unsafe fn new(
        base: usize,
        size: usize,
        name: &'static [u16],
        path: &'static [u16],
    ) -> Module {
        Module { base, size, name, path }
    }

    /// The address of its first byte.
    pub fn base(&self) -> usize {
        self.base
    }

    /// Its size in memory, in bytes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Whether `address` lies in it.
    pub fn contains(&self, address: usize) -> bool {
        (self.base..self.base + self.size).contains(&address)
    }

    /// Its file name, in UTF-16.
    pub fn name(&self) -> &[u16] {
        self.name
    }

    /// Its full path, in UTF-16.
    pub fn path(&self) -> &[u16] {
        self.path
    }

    /// Whether its file name is `name` (in lower case), ASCII letters compared without case.
    pub fn name_is(&self, name: &str) -> bool {
        let lower = |unit: u16| match unit {
            0x41..=0x5A => unit + 0x20,
            other => other,
        };
        self.name.iter().map(|&unit| lower(unit)).eq(name.bytes().map(u16::from))
    }
}

/// The file version in a version resource, most significant part first: the third and fourth field
/// of the `VS_FIXEDFILEINFO` that begins with its signature somewhere in it.
#[cfg(any(windows, test))]
pub(crate) fn file_version_in(resource: &[u32]) -> Option<[u16; 4]> {
    const SIGNATURE: u32 = 0xFEEF_04BD;
    let at = resource.iter().position(|&field| field == SIGNATURE)?;
    let (high, low) = (*resource.get(at + 2)?, *resource.get(at + 3)?);
    Some([(high >> 16) as u16, high as u16, (low >> 16) as u16, low as u16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_without_case_and_as_a_whole() {
        const NAME: &[u16] = &[0x55, 0x43, 0x72, 0x74, 0x2E, 0x44, 0x6C, 0x6C];
        // SAFETY: no memory of the module is accessed.
        let module = unsafe { Module::new(0x1000, 0x100, NAME, &[]) };
        assert!(module.name_is("ucrt.dll"));
        assert!(!module.name_is("ucrt.dl") && !module.name_is("ucrt.dll2"));
        assert!(module.contains(0x1000) && module.contains(0x10FF));
        assert!(!module.contains(0xFFF) && !module.contains(0x1100));
    }

    #[test]
    fn the_file_version_follows_its_signature() {
        let resource = [7, 8, 0xFEEF_04BD, 0x1_0000, 0x000A_0001, 0x6585_1234, 9];
        assert_eq!(file_version_in(&resource), Some([10, 1, 0x6585, 0x1234]));
        assert_eq!(file_version_in(&resource[..5]), None, "it is cut off");
        assert_eq!(file_version_in(&[1, 2, 3]), None);
        assert_eq!(file_version_in(&[]), None);
    }
}
