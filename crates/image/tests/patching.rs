//! What a patch changes, and what it must not.

mod support;

use allograft_image::{
    Error, Headers, IMPORTED_FUNCTION, Image, ImportedFunction, Note, PatchState, checksum,
    patch_state,
};
use support::build_image::{Headroom, ImageSpec};
use support::{MACHINES, MODULE, imports, parse, patch_bytes, set, undo_bytes};

struct Patched {
    original: Vec<u8>,
    bytes: Vec<u8>,
    notes: Vec<Note>,
}

impl Patched {
    /// Patches the image `data`, and checks that undoing that gives the image again.
    fn from_bytes(data: Vec<u8>) -> Patched {
        let (bytes, notes) = patch_bytes(&data, MODULE, false).unwrap();
        assert!(undo_bytes(&bytes, false).unwrap().equals(&data), "undoing gives another file");
        Patched { original: data, bytes, notes }
    }

    fn new(spec: &ImageSpec) -> Patched {
        Patched::from_bytes(spec.build())
    }

    fn image(&self) -> Image<'_> {
        parse(&self.bytes)
    }

    /// The headers before and after.
    fn headers(&self) -> [Headers; 2] {
        [&self.original, &self.bytes].map(|data| parse(data).headers().clone())
    }

    /// The codes of the notes.
    fn codes(&self) -> Vec<&str> {
        self.notes.iter().map(|note| note.code).collect()
    }
}

#[test]
fn the_module_comes_first_and_the_rest_stays_in_order_on_every_machine() {
    for machine in MACHINES {
        let delayed = vec![("USER32.dll", vec!["MessageBoxW"])];
        let result = Patched::new(&ImageSpec { machine, delayed, ..ImageSpec::default() });
        let (ordinary, delayed) = imports(&result.bytes);
        assert_eq!(ordinary, [MODULE, "KERNEL32.dll", "api-ms-win-crt-heap-l1-1-0.dll"]);
        assert_eq!(delayed, ["USER32.dll"]);
        assert_eq!(result.notes, []);
        let image = result.image();
        let functions = image.functions(&image.imports().unwrap()[0]).unwrap();
        assert_eq!(functions, [ImportedFunction::Name(IMPORTED_FUNCTION.as_bytes())]);
    }
}

#[test]
fn an_image_that_imports_nothing_gets_its_first_import() {
    let result = Patched::new(&ImageSpec { imports: Vec::new(), ..ImageSpec::default() });
    assert_eq!(imports(&result.bytes).0, [MODULE]);
}

#[test]
fn every_kind_of_headroom_will_do() {
    let cases: [(Headroom, &[&str]); 4] = [
        (Headroom::BehindTheTable, &[]),
        (Headroom::InThePadding, &[]),
        (Headroom::OverTheStub, &["headers-moved"]),
        (Headroom::None, &["section-extended"]),
    ];
    for (headroom, expected) in cases {
        for machine in MACHINES {
            let result = Patched::new(&ImageSpec { machine, headroom, ..ImageSpec::default() });
            assert_eq!(imports(&result.bytes).0[0], MODULE, "{machine}, {headroom:?}");
            assert_eq!(result.codes(), expected, "{machine}, {headroom:?}");
            if headroom == Headroom::None {
                assert!(result.notes[0].text.contains("section .data was"));
            }
        }
    }
}

#[test]
fn nothing_that_was_in_the_image_moves() {
    for headroom in [Headroom::BehindTheTable, Headroom::OverTheStub, Headroom::None] {
        let result = Patched::new(&ImageSpec { headroom, ..ImageSpec::default() });
        let original = &result.original;
        assert_eq!(result.bytes[0x400..original.len()], original[0x400..], "{headroom:?}");
        let [old, new] = result.headers();
        for (old, new) in old.sections.iter().zip(&new.sections) {
            assert_eq!((old.name, old.address), (new.name, new.address));
        }
        for section in &old.sections {
            let bytes_in =
                |image: Image<'_>| image.bytes_at(section.address + 8).unwrap()[..8].to_vec();
            assert_eq!(bytes_in(parse(original)), bytes_in(result.image()), "{headroom:?}");
        }
    }
}

#[test]
fn the_new_section_is_aligned_counted_and_writable() {
    let result = Patched::new(&ImageSpec::default());
    let [old, new] = result.headers();
    let section = new.sections.last().unwrap();
    assert_eq!(new.sections.len(), old.sections.len() + 1);
    assert_eq!(section.name(), ".algraft");
    assert_eq!(section.address, old.size_of_image);
    assert!(section.is_writable());
    assert_eq!(section.raw_offset % new.file_alignment, 0);
    assert_eq!(section.raw_size % new.file_alignment, 0);
    let end = section.address + section.virtual_size;
    assert_eq!(new.size_of_image, end.next_multiple_of(0x1000));
    assert_eq!(new.size_of_initialized_data, old.size_of_initialized_data + section.raw_size);
    assert_eq!(result.bytes.len() as u32, section.raw_end().unwrap());
}

#[test]
fn headers_grow_into_the_padding_by_whole_units_of_the_file() {
    let spec = ImageSpec { headroom: Headroom::InThePadding, ..ImageSpec::default() };
    let [old, new] = Patched::new(&spec).headers();
    assert!(old.size_of_headers < new.size_of_headers);
    assert_eq!(new.size_of_headers % 0x200, 0);
}

#[test]
fn a_flat_image_keeps_addresses_and_offsets_the_same() {
    let overlay = b"behind".to_vec();
    let spec = ImageSpec { is_flat: true, overlay, ..ImageSpec::default() };
    let [_, new] = Patched::new(&spec).headers();
    assert!(new.sections.iter().all(|section| section.address == section.raw_offset));
}

#[test]
fn the_checksum_is_right_afterwards() {
    let mut result = Patched::new(&ImageSpec::default());
    let stated = result.image().headers().checksum;
    let field = 0x80 + 24 + 64;
    result.bytes[field..field + 4].fill(0);
    assert_eq!(stated, checksum(&result.bytes));
}

#[test]
fn bound_imports_are_dropped_and_their_place_serves_as_room() {
    let result = Patched::new(&ImageSpec { is_bound: true, ..ImageSpec::default() });
    let image = result.image();
    assert!(image.imports().unwrap().iter().all(|module| !module.bound));
    assert_eq!(image.directory(11), None);
    assert_eq!(image.headers().nt_offset, 0x80);
    assert_eq!(result.codes(), ["bound-imports-dropped"]);
}

#[test]
fn appended_data_stay_where_they_were_and_end_the_file_too() {
    let overlay: Vec<u8> = (0..5000u32).map(|n| (n * 31) as u8 | 1).collect();
    let result = Patched::new(&ImageSpec { overlay: overlay.clone(), ..ImageSpec::default() });
    let end = result.original.len();
    assert_eq!(result.bytes[end - overlay.len()..end], overlay);
    assert!(result.bytes.ends_with(&overlay));
    assert_eq!(result.codes(), ["trailing-data-repeated"]);
    assert!(result.notes[0].text.starts_with("the 5000 bytes"), "{}", result.notes[0].text);
}

#[test]
fn a_signature_is_dropped_with_a_warning() {
    let overlay = b"installer".to_vec();
    let certificate = Some(vec![0xCE; 1237]);
    let result = Patched::new(&ImageSpec { overlay, certificate, ..ImageSpec::default() });
    assert_eq!(result.image().certificates(), None);
    assert!(result.notes.iter().any(|note| note.code == "signature-dropped" && note.warning));
    assert!(result.bytes.ends_with(b"installer\0\0\0\0\0\0\0"));
}

#[test]
fn an_image_that_must_be_signed_is_freed_of_that() {
    let certificate = Some(vec![1; 64]);
    let spec = ImageSpec { dll_characteristics: 0x81E0, certificate, ..ImageSpec::default() };
    let result = Patched::new(&spec);
    assert_eq!(result.image().headers().dll_characteristics, 0x8160);
    assert!(result.codes().contains(&"force-integrity-cleared"));
}

#[test]
fn an_address_table_that_was_left_to_be_guessed_is_stated() {
    let result = Patched::new(&ImageSpec { states_addresses: false, ..ImageSpec::default() });
    let [old, _] = result.headers();
    let stated = result.image().directory(12).unwrap();
    let rdata = &old.sections[1];
    assert_eq!((stated.address, stated.size), (rdata.address, rdata.virtual_size));
    assert_eq!(result.codes(), ["address-table-stated"]);
}

#[test]
fn dotnet_images_keep_their_header_and_the_user_is_told() {
    let result = Patched::new(&ImageSpec { dotnet: Some(1 | 8), ..ImageSpec::default() });
    let [old, new] = result.headers();
    assert_eq!(old.directory(14), new.directory(14));
    assert_eq!(result.codes(), ["strong-name-broken", "dotnet-only"]);
}

#[test]
fn a_patched_image_says_so() {
    let result = Patched::new(&ImageSpec::default());
    assert_eq!(patch_state(&parse(&result.original), MODULE).unwrap(), PatchState::Unpatched);
    for module in [MODULE, "other.dll"] {
        let state = patch_state(&result.image(), module).unwrap();
        assert_eq!(state, PatchState::Patched { module: MODULE.to_owned() }, "{module}");
    }
}

#[test]
fn a_module_that_was_linked_first_is_seen_whatever_its_case() {
    let imports = vec![("ALLOGRAFT.DLL", vec!["allograft_version"])];
    let data = ImageSpec { imports, ..ImageSpec::default() }.build();
    assert_eq!(patch_state(&parse(&data), MODULE).unwrap(), PatchState::ImportsFirst);
    assert!(matches!(undo_bytes(&data, true), Err(Error::NotPatched)));
}

#[test]
fn hybrid_images_are_refused_and_an_ordinary_load_configuration_is_kept() {
    let spec = |is_hybrid| ImageSpec { is_hybrid: Some(is_hybrid), ..ImageSpec::default() };
    let error = patch_bytes(&spec(true).build(), MODULE, true).unwrap_err();
    assert!(matches!(error, Error::Hybrid), "{error}");
    let [old, new] = Patched::new(&spec(false)).headers();
    assert_eq!(old.directory(10), new.directory(10));
}

#[test]
fn a_last_section_without_bytes_in_the_file_is_extended_whatever_offset_it_states() {
    let mut data = ImageSpec { headroom: Headroom::None, ..ImageSpec::default() }.build();
    let last = 0x40 + 24 + 240 + 2 * 40;
    set(&mut data, last + 16, 0);
    set(&mut data, last + 20, 0x5555_5555);
    let result = Patched::from_bytes(data);
    let [_, new] = result.headers();
    let mapped = &result.bytes[new.sections[2].raw_offset as usize..][..0x1000];
    assert!(mapped.iter().all(|&byte| byte == 0));
}
