//! Planning a rewrite and carrying it out.

use super::SECTION_NAME;
use super::edit::HeaderEditor;
use super::patched::Pieces;
use super::record::{self, PREFIX_LEN, Record};
use super::room::Room;
use super::table::ImportTable;
use crate::checksum::checksum_of;
use crate::layout::{Layout, align};
use crate::notes::Note;
use crate::{Directory, Error, Headers, Image, ImportKind, Result, Section};
use object::pe;

/// Flags of memory that holds initialised data and can be written to: the loader writes the
/// addresses it looks up into our table.
const DATA: u32 =
    pe::IMAGE_SCN_CNT_INITIALIZED_DATA.0 | pe::IMAGE_SCN_MEM_READ.0 | pe::IMAGE_SCN_MEM_WRITE.0;

/// A rewrite that is known to be possible.
pub(super) struct Rewrite<'a, 'data> {
    image: &'a Image<'data>,
    layout: &'a Layout,
    room: Room,
    table: ImportTable,
    record: Record<'data>,
    /// The section that holds the table: a new one, or the last one, extended.
    section: Section,
    /// Where in that section our part begins.
    start: u32,
    /// Bytes of our part.
    len: u32,
}

impl<'a, 'data> Rewrite<'a, 'data> {
    /// Plans to put `module` first in the import table of `image`.
    pub fn plan(
        image: &'a Image<'data>,
        layout: &'a Layout,
        module: &str,
    ) -> Result<Rewrite<'a, 'data>> {
        let room = Room::find(image, layout)?;
        let table = ImportTable::with_module_first(image, module)?;
        let data = image.data();
        let changed = (image.headers().section_table_end() + crate::headers::SECTION_HEADER_LEN)
            .min(layout.kept_len);
        let mut record = Record {
            original_len: data.len() as u64,
            kept_len: layout.kept_len as u64,
            patched_len: 0,
            headers: &data[..changed],
            certificates: &data[layout.certificates.clone()],
        };
        let len = record.len_with(table.len()).ok_or(Error::TooLarge)?;
        let (section, start) = place(image.headers(), layout, room, len)?;
        record.patched_len = u64::from(section.raw_offset)
            + u64::from(section.raw_size)
            + layout.trailing.len() as u64;
        Ok(Rewrite { image, layout, room, table, record, section, start, len })
    }

    /// The patched file.
    pub fn carry_out(&self) -> Result<Pieces<'data>> {
        let data = self.image.data();
        let mut headers = self.record.headers.to_vec();
        self.change_headers(&mut headers)?;
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
        section.resize(padding + self.section.raw_size as usize, 0);
        let mut pieces = Pieces {
            body: &data[headers.len()..self.layout.kept_len],
            trailing: &data[self.layout.trailing.clone()],
            headers,
            section,
        };
        self.seal(&mut pieces, at)?;
        Ok(pieces)
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

    fn change_headers(&self, bytes: &mut Vec<u8>) -> Result<()> {
        let old = self.image.headers();
        let mut editor = HeaderEditor::new(bytes)?;
        match self.room {
            Room::NewSection { size_of_headers } => {
                editor.set_size_of_headers(size_of_headers);
                editor.add_section(&self.section);
            }
            Room::NewSectionOverStub { nt_offset } => {
                editor.move_down(nt_offset)?;
                editor.add_section(&self.section);
            }
            Room::ExtendLast => editor.replace_last_section(&self.section),
        }
        let end =
            self.section.address.checked_add(self.section.virtual_size).ok_or(Error::TooLarge)?;
        editor.set_size_of_image(align(end, old.section_alignment)?);
        editor.set_size_of_initialized_data(
            old.size_of_initialized_data.saturating_add(self.added_data()),
        );
        let import_table =
            Directory { address: self.table_address(), size: self.table.directory_size() };
        editor.set_directory(pe::IMAGE_DIRECTORY_ENTRY_IMPORT, import_table);
        for dropped in [pe::IMAGE_DIRECTORY_ENTRY_BOUND_IMPORT, pe::IMAGE_DIRECTORY_ENTRY_SECURITY]
        {
            if old.directory(dropped).is_some() {
                editor.set_directory(dropped, Directory::default());
            }
        }
        if let Some(addresses) = unstated_address_table(self.image) {
            editor.set_directory(pe::IMAGE_DIRECTORY_ENTRY_IAT, addresses);
        }
        if self.forces_integrity() {
            editor.set_dll_characteristics(
                old.dll_characteristics & !pe::IMAGE_DLLCHARACTERISTICS_FORCE_INTEGRITY.0,
            );
        }
        editor.set_checksum(0);
        Ok(())
    }

    fn added_data(&self) -> u32 {
        match (self.room, self.image.headers().sections.last()) {
            (Room::ExtendLast, Some(last)) => self.section.raw_size.saturating_sub(last.raw_size),
            _ => self.section.raw_size,
        }
    }

    /// Writes what is reckoned over all that was made: the fingerprint, and then the checksum. Our
    /// part begins at `at` in the section.
    fn seal(&self, pieces: &mut Pieces<'data>, at: usize) -> Result<()> {
        let headers = Headers::parse(&pieces.headers)?;
        let record = &mut pieces.section[at..at + self.len as usize];
        record::seal(&pieces.headers, &headers, self.record.headers.len(), record)
            .ok_or(Error::TooLarge)?;
        let checksum = checksum_of(&pieces.in_order());
        HeaderEditor::new(&mut pieces.headers)?.set_checksum(checksum);
        Ok(())
    }

    fn forces_integrity(&self) -> bool {
        self.image.headers().dll_characteristics & pe::IMAGE_DLLCHARACTERISTICS_FORCE_INTEGRITY.0
            != 0
    }

    /// What the user should know of it.
    pub fn notes(&self) -> Vec<Note> {
        let image = self.image;
        let dotnet = crate::dotnet::flags(image);
        let is_bound = image.directory(pe::IMAGE_DIRECTORY_ENTRY_BOUND_IMPORT).is_some()
            || image.imports().is_ok_and(|modules| {
                modules.iter().any(|module| module.bound && module.kind == ImportKind::Ordinary)
            });
        let last = image.headers().sections.last().map(Section::name).unwrap_or_default();
        let trailing = self.layout.trailing.len();
        [
            (image.directory(pe::IMAGE_DIRECTORY_ENTRY_SECURITY).is_some(), Note::SignatureDropped),
            (self.forces_integrity(), Note::ForceIntegrityCleared),
            (dotnet.is_strong_named, Note::StrongNameBroken),
            (dotnet.is_pure, Note::DotnetOnly),
            (is_bound, Note::BoundImportsDropped),
            (unstated_address_table(image).is_some(), Note::AddressTableStated),
            (matches!(self.room, Room::NewSectionOverStub { .. }), Note::HeadersMoved),
            (self.room == Room::ExtendLast, Note::SectionExtended(last)),
            (trailing > 0, Note::TrailingDataRepeated(trailing as u64)),
        ]
        .into_iter()
        .filter_map(|(applies, note)| applies.then_some(note))
        .collect()
    }
}

/// The section for `len` bytes of ours, and where in it they begin.
fn place(headers: &Headers, layout: &Layout, room: Room, len: u32) -> Result<(Section, u32)> {
    let mut raw_offset = align(
        u32::try_from(layout.kept_len).map_err(|_| Error::TooLarge)?,
        headers.file_alignment,
    )?;
    let (name, address, start, characteristics) = match (room, headers.sections.last()) {
        (Room::ExtendLast, Some(last)) => {
            // Our part begins on a fresh page: the loader maps whole ones, also behind the stated
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
/// A loader makes writable, while it fills addresses in, what the directory says; without one, the
/// section that holds the import table. That is ours from now on, so the old section has to be
/// named unless it can be written to anyway.
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
