//! Plans a rewrite and carries it out.

use super::layout::{FileLayout, Room};
use super::section::{self, ImportTable, PREFIX_LEN, UndoRecord};
use crate::checksum::checksum_of;
use crate::headers::{SECTION_HEADER_LEN, align};
use crate::{Directory, Error, Headers, Image, ImportKind, Result, Section};
use object::LittleEndian as LE;
use object::pe;
use object::pod::{self, Pod};
use serde::Serialize;
use std::borrow::Cow;
use std::mem::offset_of;

/// Name of the section that a patch adds.
const SECTION_NAME: [u8; 8] = *b".algraft";

/// Flags of the section: the loader writes addresses into the new table.
const DATA: u32 =
    pe::IMAGE_SCN_CNT_INITIALIZED_DATA.0 | pe::IMAGE_SCN_MEM_READ.0 | pe::IMAGE_SCN_MEM_WRITE.0;

/// Something that a rewrite had to do, or that the user should know about its result.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Note {
    /// Its name, for programs.
    pub code: &'static str,
    /// Whether the program may behave differently because of it.
    pub warning: bool,
    /// What was done and what follows from it, for people.
    pub text: Cow<'static, str>,
}

impl Note {
    pub(super) fn warning(code: &'static str, text: &'static str) -> Note {
        Note { code, warning: true, text: text.into() }
    }

    pub(super) fn hint(code: &'static str, text: impl Into<Cow<'static, str>>) -> Note {
        Note { code, warning: false, text: text.into() }
    }
}

/// A rewrite that is known to be possible.
pub struct Rewrite<'a, 'data> {
    image: &'a Image<'data>,
    layout: &'a FileLayout,
    room: Room,
    table: ImportTable,
    record: UndoRecord<'data>,
    /// The section that holds the table: a new one, or the last one, extended.
    section: Section,
    /// Where in that section the added data begin, and their length in bytes.
    start: u32,
    len: u32,
}

impl<'a, 'data> Rewrite<'a, 'data> {
    pub fn plan(
        image: &'a Image<'data>,
        layout: &'a FileLayout,
        module: &str,
    ) -> Result<Rewrite<'a, 'data>> {
        let room = Room::find(image, layout)?;
        let table = ImportTable::with_module_first(image, module)?;
        let data = image.data();
        let changed =
            (image.headers().section_table_end() + SECTION_HEADER_LEN).min(layout.kept_len);
        let mut record = UndoRecord {
            original_len: data.len() as u64,
            kept_len: layout.kept_len as u64,
            patched_len: 0,
            headers: &data[..changed],
            certificates: &data[layout.certificates.clone()],
        };
        let len = record.len_with(table.to_bytes(0).len() as u32).ok_or(Error::TooLarge)?;
        let (section, start) = place(image.headers(), layout, room, len)?;
        record.patched_len = u64::from(section.raw_offset)
            + u64::from(section.raw_size)
            + layout.trailing.len() as u64;
        Ok(Rewrite { image, layout, room, table, record, section, start, len })
    }

    /// The pieces of the patched file, in order: the headers, as far as anything in them can have
    /// changed; what follows them in the original; the section that was added, with the padding
    /// before it; what is repeated behind it.
    pub fn carry_out(&self) -> Result<[Cow<'data, [u8]>; 4]> {
        let data = self.image.data();
        let mut editor = HeaderEditor {
            bytes: self.record.headers.to_vec(),
            headers: self.image.headers().clone(),
        };
        self.change_headers(&mut editor)?;
        let padding = (self.section.raw_offset as usize)
            .checked_sub(self.layout.kept_len)
            .ok_or(Error::TooLarge)?;
        let at = padding + self.start as usize;
        let table = self.table.to_bytes(self.table_address());
        let mut section = Vec::with_capacity(padding + self.section.raw_size as usize);
        section.resize(padding, 0);
        if self.room == Room::ExtendLast {
            section.extend_from_slice(self.last_section_bytes());
        }
        section.resize(at, 0);
        section.extend_from_slice(&self.record.to_bytes(&table, self.len));
        let record = &mut section[at..at + self.len as usize];
        let changed = editor.bytes.len();
        section::seal(&editor.bytes, &editor.headers, changed, record).ok_or(Error::TooLarge)?;
        section.resize(padding + self.section.raw_size as usize, 0);
        let body = &data[changed..self.layout.kept_len];
        let trailing = &data[self.layout.trailing.clone()];
        let checksum = checksum_of(&[&editor.bytes, body, &section, trailing]);
        editor.optional().check_sum.set(LE, checksum);
        Ok([editor.bytes.into(), body.into(), section.into(), trailing.into()])
    }

    fn table_address(&self) -> u32 {
        self.section.address + self.start + PREFIX_LEN
    }

    /// The bytes of the last section that are mapped.
    fn last_section_bytes(&self) -> &'data [u8] {
        // A section without bytes in the file may state any offset.
        let last = self.image.headers().sections.last().filter(|section| section.raw_size > 0);
        let range = last.map_or(0..0, |section| {
            let start = section.raw_offset as usize;
            start..start + section.raw_size.min(self.start) as usize
        });
        &self.image.data()[range]
    }

    fn change_headers(&self, editor: &mut HeaderEditor) -> Result<()> {
        let old = self.image.headers();
        let last = old.sections.len() - 1;
        match self.room {
            Room::NewSection { size_of_headers } => {
                editor.optional().size_of_headers.set(LE, size_of_headers);
                editor.put_section(last + 1, &self.section);
            }
            Room::NewSectionOverStub { nt_offset } => {
                editor.move_down(nt_offset);
                editor.put_section(last + 1, &self.section);
            }
            Room::ExtendLast => editor.put_section(last, &self.section),
        }
        let end =
            self.section.address.checked_add(self.section.virtual_size).ok_or(Error::TooLarge)?;
        let data_size = old.size_of_initialized_data.saturating_add(self.added_data());
        let optional = editor.optional();
        optional.size_of_image.set(LE, align(end, old.section_alignment)?);
        optional.size_of_initialized_data.set(LE, data_size);
        optional.check_sum.set(LE, 0);
        if self.forces_integrity() {
            let flags = old.dll_characteristics & !pe::IMAGE_DLLCHARACTERISTICS_FORCE_INTEGRITY.0;
            optional.dll_characteristics.set(LE, pe::DllFlags(flags));
        }
        let table = Directory { address: self.table_address(), size: self.table.directory_size() };
        editor.set_directory(pe::IMAGE_DIRECTORY_ENTRY_IMPORT, table);
        for dropped in [pe::IMAGE_DIRECTORY_ENTRY_BOUND_IMPORT, pe::IMAGE_DIRECTORY_ENTRY_SECURITY]
        {
            if old.directory(dropped).is_some() {
                editor.set_directory(dropped, Directory::default());
            }
        }
        if let Some(addresses) = unstated_address_table(self.image) {
            editor.set_directory(pe::IMAGE_DIRECTORY_ENTRY_IAT, addresses);
        }
        Ok(())
    }

    fn added_data(&self) -> u32 {
        match (self.room, self.image.headers().sections.last()) {
            (Room::ExtendLast, Some(last)) => self.section.raw_size.saturating_sub(last.raw_size),
            _ => self.section.raw_size,
        }
    }

    fn forces_integrity(&self) -> bool {
        self.image.headers().dll_characteristics & pe::IMAGE_DLLCHARACTERISTICS_FORCE_INTEGRITY.0
            != 0
    }

    pub fn notes(&self) -> Vec<Note> {
        let image = self.image;
        let dotnet = image.dotnet_flags();
        let is_bound = image.directory(pe::IMAGE_DIRECTORY_ENTRY_BOUND_IMPORT).is_some()
            || image.imports().is_ok_and(|modules| {
                modules.iter().any(|module| module.bound && module.kind == ImportKind::Ordinary)
            });
        let last = image.headers().sections.last().map(Section::name).unwrap_or_default();
        let trailing = self.layout.trailing.len();
        let is_signed = image.directory(pe::IMAGE_DIRECTORY_ENTRY_SECURITY).is_some();
        [
            (is_signed, Note::warning(
                "signature-dropped",
                "its Authenticode signature was taken out, because it no longer matches: Windows shows the publisher as unknown, and \
                 policies that admit signed programs only will refuse it; --undo puts the signature back",
            )),
            (self.forces_integrity(), Note::warning(
                "force-integrity-cleared",
                "the flag that lets Windows load it with a valid signature only was cleared, since it would not start otherwise",
            )),
            (dotnet.contains(pe::COMIMAGE_FLAGS_STRONGNAMESIGNED), Note::warning(
                "strong-name-broken",
                "its .NET strong name no longer matches: programs that verify strong names will refuse it",
            )),
            (dotnet.contains(pe::COMIMAGE_FLAGS_ILONLY), Note::warning(
                "dotnet-only",
                "it holds .NET code only: Windows does not read the import table of such a program, and the module will not be loaded",
            )),
            (is_bound, Note::hint(
                "bound-imports-dropped",
                "addresses that were bound in advance were dropped; the loader looks them up as usual",
            )),
            (unstated_address_table(image).is_some(), Note::hint(
                "address-table-stated",
                "the extent of its import addresses, which it left to be guessed, is stated now",
            )),
            (matches!(self.room, Room::NewSectionOverStub { .. }), Note::hint(
                "headers-moved",
                "the DOS stub was shortened to make room for another section",
            )),
            (self.room == Room::ExtendLast, Note::hint(
                "section-extended",
                format!("there was no room for another section: section {last} was extended instead"),
            )),
            (trailing > 0, Note::hint(
                "trailing-data-repeated",
                format!(
                    "the {trailing} bytes behind its sections stay where they were and follow again at the end, so that the program finds \
                     them whichever way it looks"
                ),
            )),
        ]
        .into_iter()
        .filter_map(|(applies, note)| applies.then_some(note))
        .collect()
    }
}

/// The section for `len` bytes of added data, and where in it they begin.
fn place(headers: &Headers, layout: &FileLayout, room: Room, len: u32) -> Result<(Section, u32)> {
    let mut raw_offset = align(
        u32::try_from(layout.kept_len).map_err(|_| Error::TooLarge)?,
        headers.file_alignment,
    )?;
    let (name, address, start, characteristics) = match (room, headers.sections.last()) {
        (Room::ExtendLast, Some(last)) => {
            // The added data begin on a new page: the loader maps whole pages, even past the stated
            // end of the section.
            let start = align(last.memory_size(), headers.section_alignment)?;
            let kept = last.characteristics
                & !(pe::IMAGE_SCN_MEM_DISCARDABLE.0 | pe::IMAGE_SCN_CNT_UNINITIALIZED_DATA.0);
            (last.name, last.address, start, kept | DATA)
        }
        _ => (SECTION_NAME, layout.next_address, 0, DATA),
    };
    let address = if headers.is_flat() {
        raw_offset = raw_offset.max(address);
        raw_offset
    } else {
        address
    };
    let virtual_size = start.checked_add(len).ok_or(Error::TooLarge)?;
    let raw_size = align(virtual_size, headers.file_alignment)?;
    address.checked_add(raw_size).ok_or(Error::TooLarge)?;
    raw_offset.checked_add(raw_size).ok_or(Error::TooLarge)?;
    Ok((Section { name, virtual_size, address, raw_size, raw_offset, characteristics }, start))
}

/// The extent of the import addresses, where the image does not state it and the loader's guess is
/// about to change.
///
/// While it fills in addresses, the loader makes writable what the directory states; without a
/// directory, the section that holds the import table. That is the new section from now on, so the
/// old one must be stated, unless it is writable anyway.
fn unstated_address_table(image: &Image<'_>) -> Option<Directory> {
    let headers = image.headers();
    if headers.directories.len() <= pe::IMAGE_DIRECTORY_ENTRY_IAT
        || headers.directory(pe::IMAGE_DIRECTORY_ENTRY_IAT).is_some()
    {
        return None;
    }
    let old_table = headers.directory(pe::IMAGE_DIRECTORY_ENTRY_IMPORT)?;
    let section = headers.section_at(old_table.address).filter(|section| !section.is_writable())?;
    Some(Directory { address: section.address, size: section.memory_size() })
}

// The fields edited here lie at the same offset in both forms of the optional header, and the
// longer one is no longer than the shorter one with two data directories.
type Optional = pe::ImageOptionalHeader64;
type Optional32 = pe::ImageOptionalHeader32;
const _: () = assert!(
    offset_of!(Optional, size_of_image) == offset_of!(Optional32, size_of_image)
        && offset_of!(Optional, dll_characteristics) == offset_of!(Optional32, dll_characteristics)
        && size_of::<Optional>()
            <= size_of::<Optional32>() + 2 * size_of::<pe::ImageDataDirectory>()
);

/// A copy of the headers that is being changed. All offsets in `headers` lie within `bytes`.
struct HeaderEditor {
    bytes: Vec<u8>,
    headers: Headers,
}

impl HeaderEditor {
    fn record<T: Pod>(&mut self, offset: usize) -> &mut T {
        pod::from_bytes_mut(&mut self.bytes[offset..]).expect("headers lie within themselves").0
    }

    fn optional(&mut self) -> &mut Optional {
        self.record(self.headers.optional_offset())
    }

    /// Moves the PE header and the section table down to `offset`, and clears what they leave.
    fn move_down(&mut self, offset: usize) {
        let headers = &mut self.headers;
        let (old, end) = (headers.nt_offset, headers.section_table_end());
        self.bytes.copy_within(old..end, offset);
        self.bytes[offset + (end - old)..end].fill(0);
        headers.nt_offset = offset;
        headers.section_table_offset -= old - offset;
        self.record::<pe::ImageDosHeader>(0).e_lfanew.set(LE, offset as u32);
    }

    /// Writes the entry number `index` of the section table: one that is there, or one more behind
    /// them, for which there is room.
    fn put_section(&mut self, index: usize, section: &Section) {
        let at = self.headers.section_table_offset + index * SECTION_HEADER_LEN;
        *self.record(at) = section.to_header();
        let count = self.headers.sections.len().max(index + 1);
        let file: &mut pe::ImageFileHeader = self.record(self.headers.nt_offset + size_of::<u32>());
        file.number_of_sections.set(LE, count as u16);
    }

    /// Sets the data directory number `index`, which the image has.
    fn set_directory(&mut self, index: usize, directory: Directory) {
        let at = self.headers.directory_offset(index).expect("the image has the directory");
        let entry: &mut pe::ImageDataDirectory = self.record(at);
        entry.virtual_address.set(LE, directory.address);
        entry.size.set(LE, directory.size);
    }
}
