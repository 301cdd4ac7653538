//! Builds small PE images, of every kind that the tests need: nothing binary is kept in the
//! repository.

use allograft_image::Machine;

const IMAGE_BASE: u32 = 0x0040_0000;

const DIRECTORY_IMPORT: usize = 1;
const DIRECTORY_RESOURCE: usize = 2;
const DIRECTORY_SECURITY: usize = 4;
const DIRECTORY_LOAD_CONFIG: usize = 10;
const DIRECTORY_BOUND_IMPORT: usize = 11;
const DIRECTORY_IAT: usize = 12;
const DIRECTORY_DELAY_IMPORT: usize = 13;
const DIRECTORY_DOTNET: usize = 14;

/// How much room there is in the headers for one more section.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Headroom {
    /// Behind the section table.
    BehindTheTable,
    /// Only if the headers grow into the padding in front of the first section.
    InThePadding,
    /// Only over the DOS stub: the space behind the table is in use.
    OverTheStub,
    /// Nowhere.
    None,
}

/// What an image is to be like.
#[derive(Clone, Debug)]
pub struct ImageSpec {
    pub machine: Machine,
    pub is_dll: bool,
    pub dll_characteristics: u16,
    /// Modules with the functions that are imported from them.
    pub imports: Vec<(&'static str, Vec<&'static str>)>,
    /// The same for delayed ones.
    pub delayed: Vec<(&'static str, Vec<&'static str>)>,
    /// Whether these are given by addresses instead of offsets from the image's base, as Visual C++
    /// 6 did for x86.
    pub delays_by_address: bool,
    /// Whether the ordinary imports are bound in advance.
    pub is_bound: bool,
    /// Whether the extent of the import addresses is stated.
    pub states_addresses: bool,
    pub headroom: Headroom,
    pub section_names: [&'static str; 3],
    /// Sections aligned to 512 bytes, in memory as in the file.
    pub is_flat: bool,
    /// Whether it has a load configuration, and whether that says that the image is a hybrid
    /// (ARM64EC).
    pub is_hybrid: Option<bool>,
    /// The flags with which the loader looks for its imports, in its load configuration.
    pub load_flags: Option<u16>,
    /// Flags of the .NET header, where there is to be one.
    pub dotnet: Option<u32>,
    /// File version and manifest, where there are to be resources.
    pub resources: Option<([u16; 4], &'static str)>,
    /// Data behind the sections.
    pub overlay: Vec<u8>,
    /// Certificates behind all that.
    pub certificate: Option<Vec<u8>>,
    /// Text that stands in the image, for those who look for strings.
    pub strings: Vec<u8>,
}

impl Default for ImageSpec {
    fn default() -> ImageSpec {
        ImageSpec {
            machine: Machine::X64,
            is_dll: false,
            dll_characteristics: 0x8160,
            imports: vec![
                ("KERNEL32.dll", vec!["ExitProcess", "HeapAlloc"]),
                ("api-ms-win-crt-heap-l1-1-0.dll", vec!["malloc", "free"]),
            ],
            delayed: Vec::new(),
            delays_by_address: false,
            is_bound: false,
            states_addresses: true,
            headroom: Headroom::BehindTheTable,
            section_names: [".text", ".rdata", ".data"],
            is_flat: false,
            is_hybrid: None,
            load_flags: None,
            dotnet: None,
            resources: None,
            overlay: Vec::new(),
            certificate: None,
            strings: Vec::new(),
        }
    }
}

impl ImageSpec {
    fn is_64(&self) -> bool {
        self.machine != Machine::X86
    }

    fn alignment(&self) -> u32 {
        if self.is_flat { 0x200 } else { 0x1000 }
    }

    fn nt_offset(&self) -> usize {
        if self.headroom == Headroom::None { 0x40 } else { 0x80 }
    }

    fn table_offset(&self) -> usize {
        self.nt_offset() + 24 + if self.is_64() { 240 } else { 224 }
    }

    fn headers_len(&self) -> usize {
        match self.headroom {
            // One byte of the space that an entry would need is missing.
            Headroom::InThePadding => self.table_offset() + 3 * 40 + 39,
            _ => 0x400,
        }
    }

    /// Builds the image.
    pub fn build(&self) -> Vec<u8> {
        let mut directories = [(0u32, 0u32); 16];
        let first_offset: u32 = if self.headroom == Headroom::InThePadding { 0x800 } else { 0x400 };
        let first_address = if self.is_flat { first_offset } else { 0x1000 };
        let text = [&[0xC3; 0x40], &*self.strings].concat();
        let rdata = (first_address + text.len() as u32).next_multiple_of(self.alignment());
        let tables = self.tables(rdata, &mut directories);
        let data_extra = if self.is_flat { 0 } else { 0x1234 };
        let contents = [
            (text, 0, 0x6000_0020),
            (tables, 0, 0x4000_0040),
            (vec![0xDA; 0x30], data_extra, 0xC000_0040),
        ];
        let (mut address, mut offset) = (first_address, first_offset);
        let sections: Vec<Section> = contents
            .into_iter()
            .zip(self.section_names)
            .map(|((bytes, extra, flags), name)| {
                let section = Section { name, bytes, extra, flags, address, offset };
                address = (address + section.memory_size()).next_multiple_of(self.alignment());
                offset += section.file_size();
                section
            })
            .collect();
        if self.is_bound {
            let table_end = self.table_offset() + sections.len() * 40;
            directories[DIRECTORY_BOUND_IMPORT] = (table_end as u32, 32);
        }
        let mut file = self.headers(&sections, address, &directories);
        for section in &sections {
            file.resize(section.offset as usize, 0);
            file.extend_from_slice(&section.bytes);
            file.resize((section.offset + section.file_size()) as usize, 0);
        }
        file.extend_from_slice(&self.overlay);
        if let Some(certificate) = &self.certificate {
            file.resize(file.len().next_multiple_of(8), 0);
            let (at, len) = (file.len() as u32, certificate.len() as u32);
            let directory = (u64::from(len) << 32 | u64::from(at)).to_le_bytes();
            put(&mut file, self.directory_offset(DIRECTORY_SECURITY), &directory);
            file.extend_from_slice(certificate);
        }
        file
    }

    /// The contents of the section of tables, which lies at `base`.
    fn tables(&self, base: u32, directories: &mut [(u32, u32); 16]) -> Vec<u8> {
        let mut to = Contents { base, bytes: Vec::new() };
        let thunks: Vec<u32> =
            self.imports.iter().map(|(_, functions)| self.reserve(&mut to, functions)).collect();
        if self.states_addresses && !self.imports.is_empty() {
            directories[DIRECTORY_IAT] = (base, to.bytes.len() as u32);
        }
        let stamp = if self.is_bound { u32::MAX } else { 0 };
        let mut table = Vec::new();
        for ((module, functions), thunks) in self.imports.iter().zip(thunks) {
            let lookup = self.lookup_table(&mut to, functions);
            // Before an image is loaded, the addresses are the lookup table again, or those bound
            // in advance.
            let len = functions.len() * self.thunk_len();
            let (from, at) = ((lookup - base) as usize, (thunks - base) as usize);
            to.bytes.copy_within(from..from + len, at);
            if self.is_bound {
                to.bytes[at..at + len].fill(0x7F);
            }
            table.extend([lookup, stamp, stamp, to.string(module), thunks]);
        }
        if !self.imports.is_empty() {
            table.extend([0; 5]);
            directories[DIRECTORY_IMPORT] = to.words(&table);
        }
        if !self.delayed.is_empty() {
            directories[DIRECTORY_DELAY_IMPORT] = self.delay_table(&mut to);
        }
        if self.is_hybrid.is_some() || self.load_flags.is_some() {
            let mut fields = [0; 52];
            // 64-bit: the pointer to what makes a hybrid is 200 bytes in.
            (fields[0], fields[50]) = (208, u32::from(self.is_hybrid == Some(true)));
            // The upper half of this number.
            let flags = if self.is_64() { 19 } else { 13 };
            fields[flags] = u32::from(self.load_flags.unwrap_or_default()) << 16;
            directories[DIRECTORY_LOAD_CONFIG] = to.words(&fields);
        }
        if let Some(flags) = self.dotnet {
            directories[DIRECTORY_DOTNET] = to.words(&[72, 0x0005_0002, 0, 0, flags]);
        }
        if let Some((version, manifest)) = self.resources {
            directories[DIRECTORY_RESOURCE] = to.resources(version, manifest);
        }
        to.bytes
    }

    fn delay_table(&self, to: &mut Contents) -> (u32, u32) {
        let (relative, image_base) = if self.delays_by_address { (0, IMAGE_BASE) } else { (1, 0) };
        to.base += image_base;
        let mut table = Vec::new();
        for (module, functions) in &self.delayed {
            let thunks = self.reserve(to, functions);
            let lookup = self.lookup_table(to, functions);
            table.extend([relative, to.string(module), 0, thunks, lookup, 0, 0, 0]);
        }
        table.extend([0; 8]);
        to.base -= image_base;
        to.words(&table)
    }

    fn thunk_len(&self) -> usize {
        if self.is_64() { 8 } else { 4 }
    }

    /// Appends room for the addresses of `functions` and an end.
    fn reserve(&self, to: &mut Contents, functions: &[&str]) -> u32 {
        to.put(8, &vec![0; (functions.len() + 1) * self.thunk_len()])
    }

    fn lookup_table(&self, to: &mut Contents, functions: &[&str]) -> u32 {
        let lookup = self.reserve(to, functions);
        let len = self.thunk_len();
        for (index, function) in functions.iter().enumerate() {
            // A name that begins with # stands for a number.
            let thunk = match function.strip_prefix('#') {
                Some(number) => u64::from(number.parse::<u16>().unwrap()) | 1 << (len * 8 - 1),
                None => {
                    let hint = to.put(2, &[0, 0]);
                    to.string(function);
                    hint.into()
                }
            };
            let at = (lookup - to.base) as usize + index * len;
            put(&mut to.bytes, at, &thunk.to_le_bytes()[..len]);
        }
        lookup
    }

    fn headers(&self, sections: &[Section], size: u32, directories: &[(u32, u32); 16]) -> Vec<u8> {
        let (nt, table) = (self.nt_offset(), self.table_offset());
        let optional = nt + 24;
        let mut file = vec![0u8; self.headers_len()];
        if nt > 0x40 {
            put(&mut file, 0x40, b"This program cannot be run in DOS mode.\r\n$");
        }
        put(&mut file, 0, b"MZ");
        put(&mut file, nt, b"PE\0\0");
        let machine = match self.machine {
            Machine::X86 => 0x014C,
            Machine::X64 => 0x8664,
            Machine::Arm64 => 0xAA64,
            Machine::Other(number) => number.into(),
        };
        let characteristics = if self.is_dll { 0x2022 } else { 0x0022 };
        let (magic, image_base_at, count_at) =
            if self.is_64() { (0x20B, 24, 108) } else { (0x10B, 28, 92) };
        let mut fields = vec![
            (0x3C, nt as u32),
            (nt + 4, machine | 3 << 16),
            (nt + 20, (table - optional) as u32 | characteristics << 16),
            (optional, magic),
            (optional + 8, 0x600),
            (optional + 16, 0x1000),
            (optional + image_base_at, IMAGE_BASE),
            (optional + 32, self.alignment()),
            (optional + 36, 0x200),
            (optional + 56, size),
            (optional + 60, self.headers_len() as u32),
            (optional + 68, 3 | u32::from(self.dll_characteristics) << 16),
            (optional + count_at, 16),
        ];
        for (index, &(address, size)) in directories.iter().enumerate() {
            let at = self.directory_offset(index);
            fields.extend([(at, address), (at + 4, size)]);
        }
        for (index, section) in sections.iter().enumerate() {
            let at = table + index * 40;
            put(&mut file, at, section.name.as_bytes());
            fields.extend([
                (at + 8, section.memory_size()),
                (at + 12, section.address),
                (at + 16, section.file_size()),
                (at + 20, section.offset),
                (at + 36, section.flags),
            ]);
        }
        for (at, value) in fields {
            put(&mut file, at, &value.to_le_bytes());
        }
        let behind = &mut file[table + sections.len() * 40..];
        if self.is_bound {
            behind[..32].fill(0xB0);
        }
        if matches!(self.headroom, Headroom::OverTheStub | Headroom::None) {
            behind.fill(0x55);
        }
        file
    }

    fn directory_offset(&self, index: usize) -> usize {
        self.nt_offset() + 24 + if self.is_64() { 112 } else { 96 } + index * 8
    }
}

/// A section in its place.
struct Section {
    name: &'static str,
    bytes: Vec<u8>,
    /// Bytes that it takes in memory beyond those.
    extra: u32,
    flags: u32,
    address: u32,
    offset: u32,
}

impl Section {
    fn memory_size(&self) -> u32 {
        self.bytes.len() as u32 + self.extra
    }

    fn file_size(&self) -> u32 {
        self.bytes.len().next_multiple_of(0x200) as u32
    }
}

/// The contents of a section that lies at `base`, while they are written.
struct Contents {
    base: u32,
    bytes: Vec<u8>,
}

impl Contents {
    /// Appends `bytes` at a multiple of `alignment`; returns their address.
    fn put(&mut self, alignment: usize, bytes: &[u8]) -> u32 {
        self.bytes.resize(self.bytes.len().next_multiple_of(alignment), 0);
        let address = self.base + self.bytes.len() as u32;
        self.bytes.extend_from_slice(bytes);
        address
    }

    /// Appends `text` with a NUL; returns its address.
    fn string(&mut self, text: &str) -> u32 {
        self.put(1, &[text.as_bytes(), b"\0"].concat())
    }

    /// Appends `words`, aligned; returns their address and length.
    fn words(&mut self, words: &[u32]) -> (u32, u32) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        (self.put(4, &bytes), bytes.len() as u32)
    }

    /// Appends a resource directory with a version and a manifest; returns its address and length.
    fn resources(&mut self, version: [u16; 4], manifest: &str) -> (u32, u32) {
        let [major, minor, build, revision] = version.map(u32::from);
        let info =
            self.words(&[0, 0xFEEF_04BD, 0x0001_0000, major << 16 | minor, build << 16 | revision]);
        let text = (self.string(manifest), manifest.len() as u32);
        // Three levels for each of the two kinds: type, name, language. A level is a header of 16
        // bytes and its entries of 8.
        let level = |count: u32| [0, 0, 0, count << 16];
        let mut tree: Vec<u32> = level(2).to_vec();
        tree.extend([16, 1 << 31 | 32, 24, 1 << 31 | 80]);
        for (at, data) in [(32u32, 128u32), (80, 144)] {
            let language = [&level(1)[..], &[0x409, data]].concat();
            tree.extend([&level(1)[..], &[1, 1 << 31 | (at + 24)], &language].concat());
        }
        for (address, size) in [info, text] {
            tree.extend([address, size, 0, 0]);
        }
        self.words(&tree)
    }
}

/// Overwrites what is at `at`.
fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}
