//! Builds small PE images, of every kind that the tests need: nothing binary is kept in the
//! repository.

// The path is stated because this file is itself included by path from elsewhere.
#[path = "image_bytes.rs"]
mod image_bytes;

use allograft_image::Machine;
use image_bytes::{Part, align_to, lay_out, part, put, put_section, resources, string, words};

const MACHINE_X86: u16 = 0x014C;
const MACHINE_X64: u16 = 0x8664;
const MACHINE_ARM64: u16 = 0xAA64;

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
        let table_end = self.table_offset() + 3 * 40;
        match self.headroom {
            // One byte of the space that an entry would need is missing.
            Headroom::InThePadding => table_end + 39,
            _ => 0x400,
        }
    }

    /// Builds the image.
    pub fn build(&self) -> Vec<u8> {
        let mut directories = [(0u32, 0u32); 16];
        let first_offset: u32 = if self.headroom == Headroom::InThePadding { 0x800 } else { 0x400 };
        let first_address = if self.is_flat { first_offset } else { 0x1000 };
        let mut parts = vec![
            part(
                self.section_names[0],
                [vec![0xC3; 0x40], self.strings.clone()].concat(),
                0,
                0x6000_0020,
            ),
            part(self.section_names[1], Vec::new(), 0, 0x4000_0040),
            part(
                self.section_names[2],
                vec![0xDA; 0x30],
                if self.is_flat { 0 } else { 0x1234 },
                0xC000_0040,
            ),
        ];
        let text_end = first_address + parts[0].bytes.len() as u32;
        let rdata = text_end.next_multiple_of(self.alignment());
        parts[1].bytes = self.tables(rdata, &mut directories);
        lay_out(&mut parts, first_address, first_offset, self.alignment());
        let mut file = self.headers(&parts, &mut directories);
        for part in &parts {
            file.resize(part.offset as usize, 0);
            file.extend_from_slice(&part.bytes);
            file.resize(file.len().next_multiple_of(0x200), 0);
        }
        file.extend_from_slice(&self.overlay);
        if let Some(certificate) = &self.certificate {
            file.resize(file.len().next_multiple_of(8), 0);
            let directory = (file.len() as u32, certificate.len() as u32);
            self.put_directory(&mut file, DIRECTORY_SECURITY, directory);
            file.extend_from_slice(certificate);
        }
        file
    }

    /// The contents of the section of tables, which lies at `base`.
    fn tables(&self, base: u32, directories: &mut [(u32, u32); 16]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let addresses_at = base;
        let addresses: Vec<u32> = self
            .imports
            .iter()
            .map(|(_, functions)| self.reserve(base, &mut bytes, functions))
            .collect();
        if self.states_addresses && !self.imports.is_empty() {
            directories[DIRECTORY_IAT] = (addresses_at, bytes.len() as u32);
        }
        let mut table = Vec::new();
        for ((module, functions), &thunks) in self.imports.iter().zip(&addresses) {
            let lookup = self.lookup_table(base, &mut bytes, functions);
            self.fill_addresses(&mut bytes, thunks - base, lookup - base, functions.len());
            let stamp = if self.is_bound { u32::MAX } else { 0 };
            let forwarder = stamp;
            table.extend([lookup, stamp, forwarder, string(base, &mut bytes, module), thunks]);
        }
        if !self.imports.is_empty() {
            table.extend([0; 5]);
            directories[DIRECTORY_IMPORT] = words(base, &mut bytes, &table);
        }
        self.delay_table(base, &mut bytes, directories);
        if let Some(is_hybrid) = self.is_hybrid {
            // 64-bit: the pointer to what makes a hybrid stands 200 bytes in.
            let mut fields = [0; 52];
            (fields[0], fields[50]) = (208, u32::from(is_hybrid));
            directories[DIRECTORY_LOAD_CONFIG] = words(base, &mut bytes, &fields);
        }
        if let Some(flags) = self.dotnet {
            directories[DIRECTORY_DOTNET] =
                words(base, &mut bytes, &[72, 0x0005_0002, 0, 0, flags]);
        }
        if let Some((version, manifest)) = self.resources {
            directories[DIRECTORY_RESOURCE] = resources(base, &mut bytes, version, manifest);
        }
        bytes
    }

    fn delay_table(&self, base: u32, bytes: &mut Vec<u8>, directories: &mut [(u32, u32); 16]) {
        if self.delayed.is_empty() {
            return;
        }
        let (relative, from) =
            if self.delays_by_address { (0, base + IMAGE_BASE) } else { (1, base) };
        let mut table = Vec::new();
        for (module, functions) in &self.delayed {
            let thunks = self.reserve(from, bytes, functions);
            let lookup = self.lookup_table(from, bytes, functions);
            table.extend([relative, string(from, bytes, module), 0, thunks, lookup, 0, 0, 0]);
        }
        table.extend([0; 8]);
        directories[DIRECTORY_DELAY_IMPORT] = words(base, bytes, &table);
    }

    fn thunk_len(&self) -> usize {
        if self.is_64() { 8 } else { 4 }
    }

    fn reserve(&self, base: u32, bytes: &mut Vec<u8>, functions: &[&str]) -> u32 {
        let at = align_to(bytes, 8);
        bytes.resize(at + (functions.len() + 1) * self.thunk_len(), 0);
        base + at as u32
    }

    fn lookup_table(&self, base: u32, bytes: &mut Vec<u8>, functions: &[&str]) -> u32 {
        let lookup = self.reserve(base, bytes, functions);
        for (index, function) in functions.iter().enumerate() {
            let at = (lookup - base) as usize + index * self.thunk_len();
            // A name that begins with # stands for a number.
            let thunk = match function.strip_prefix('#') {
                Some(number) => {
                    u64::from(number.parse::<u16>().unwrap()) | 1 << (self.thunk_len() * 8 - 1)
                }
                None => {
                    align_to(bytes, 2);
                    let hint = base + bytes.len() as u32;
                    bytes.extend([0, 0]);
                    string(base, bytes, function);
                    hint.into()
                }
            };
            bytes[at..at + self.thunk_len()]
                .copy_from_slice(&thunk.to_le_bytes()[..self.thunk_len()]);
        }
        lookup
    }

    /// What an image has in the place of the addresses before it is loaded: the lookup table again,
    /// or the addresses bound in advance.
    fn fill_addresses(&self, bytes: &mut [u8], thunks: u32, lookup: u32, count: usize) {
        let len = count * self.thunk_len();
        let (thunks, lookup) = (thunks as usize, lookup as usize);
        if self.is_bound {
            bytes[thunks..thunks + len].fill(0x7F);
        } else {
            bytes.copy_within(lookup..lookup + len, thunks);
        }
    }

    fn headers(&self, parts: &[Part], directories: &mut [(u32, u32); 16]) -> Vec<u8> {
        let mut file = vec![0u8; self.headers_len()];
        put(&mut file, 0, b"MZ");
        put(&mut file, 0x3C, &(self.nt_offset() as u32).to_le_bytes());
        if self.nt_offset() > 0x40 {
            put(&mut file, 0x40, b"This program cannot be run in DOS mode.\r\n$");
        }
        self.put_file_header(&mut file);
        self.put_optional_header(&mut file, parts);
        for (index, part) in parts.iter().enumerate() {
            put_section(&mut file, self.table_offset() + index * 40, part);
        }
        let table_end = self.table_offset() + parts.len() * 40;
        if self.is_bound {
            directories[DIRECTORY_BOUND_IMPORT] = (table_end as u32, 32);
            put(&mut file, table_end, &[0xB0; 32]);
        }
        if matches!(self.headroom, Headroom::OverTheStub | Headroom::None) {
            file[table_end..].fill(0x55);
        }
        for (index, &directory) in directories.iter().enumerate() {
            self.put_directory(&mut file, index, directory);
        }
        file
    }

    fn put_file_header(&self, file: &mut [u8]) {
        let nt = self.nt_offset();
        let machine = match self.machine {
            Machine::X86 => MACHINE_X86,
            Machine::X64 => MACHINE_X64,
            Machine::Arm64 => MACHINE_ARM64,
            Machine::Other(number) => number,
        };
        put(file, nt, b"PE\0\0");
        put(file, nt + 4, &machine.to_le_bytes());
        put(file, nt + 6, &3u16.to_le_bytes());
        put(file, nt + 20, &((self.table_offset() - nt - 24) as u16).to_le_bytes());
        let characteristics: u16 = if self.is_dll { 0x2022 } else { 0x0022 };
        put(file, nt + 22, &characteristics.to_le_bytes());
    }

    fn put_optional_header(&self, file: &mut [u8], parts: &[Part]) {
        let optional = self.nt_offset() + 24;
        let end = parts.last().unwrap();
        let size =
            (end.address + end.bytes.len() as u32 + end.extra).next_multiple_of(self.alignment());
        let mut put_u32 =
            |field: usize, value: u32| put(file, optional + field, &value.to_le_bytes());
        put_u32(0, if self.is_64() { 0x20B } else { 0x10B });
        put_u32(8, 0x600);
        put_u32(16, 0x1000);
        put_u32(if self.is_64() { 24 } else { 28 }, IMAGE_BASE);
        put_u32(32, self.alignment());
        put_u32(36, 0x200);
        put_u32(56, size);
        put_u32(60, self.headers_len() as u32);
        put_u32(68, 3 | u32::from(self.dll_characteristics) << 16);
        put_u32(if self.is_64() { 108 } else { 92 }, 16);
    }

    fn put_directory(&self, file: &mut [u8], index: usize, (address, size): (u32, u32)) {
        let at = self.nt_offset() + 24 + if self.is_64() { 112 } else { 96 } + index * 8;
        put(file, at, &address.to_le_bytes());
        put(file, at + 4, &size.to_le_bytes());
    }
}
