//! What a patch changes, and what it must not.

mod support;

use allograft_image::{
    Error, IMPORTED_FUNCTION, Image, ImportedFunction, Note, PatchState, checksum, patch_state,
};
use support::build_image::{Headroom, ImageSpec};
use support::{MACHINES, MODULE, imports, patch_bytes, undo_bytes};

fn patched(spec: &ImageSpec) -> (Vec<u8>, Vec<u8>, Vec<Note>) {
    let data = spec.build();
    let (bytes, notes) = patch_bytes(&data, MODULE, false).unwrap();
    (data, bytes, notes)
}

#[test]
fn the_module_comes_first_and_the_rest_stays_in_order_on_every_machine() {
    for machine in MACHINES {
        let spec = ImageSpec {
            machine,
            delayed: vec![("USER32.dll", vec!["MessageBoxW"])],
            ..ImageSpec::default()
        };
        let (_, result, notes) = patched(&spec);
        let (ordinary, delayed) = imports(&result);
        assert_eq!(ordinary, [MODULE, "KERNEL32.dll", "api-ms-win-crt-heap-l1-1-0.dll"]);
        assert_eq!(delayed, ["USER32.dll"]);
        assert_eq!(notes, []);
        let image = Image::parse(&result).unwrap();
        let functions = image.functions(&image.imports().unwrap()[0]).unwrap();
        assert_eq!(functions, [ImportedFunction::Name(IMPORTED_FUNCTION.as_bytes())]);
    }
}

#[test]
fn an_image_that_imports_nothing_gets_its_first_import() {
    let (_, result, _) = patched(&ImageSpec { imports: Vec::new(), ..ImageSpec::default() });
    assert_eq!(imports(&result).0, [MODULE]);
}

#[test]
fn every_kind_of_headroom_will_do_and_undoing_gives_the_original() {
    for headroom in
        [Headroom::BehindTheTable, Headroom::InThePadding, Headroom::OverTheStub, Headroom::None]
    {
        for machine in MACHINES {
            let (data, result, notes) =
                patched(&ImageSpec { machine, headroom, ..ImageSpec::default() });
            assert_eq!(imports(&result).0[0], MODULE);
            assert_eq!(undo_bytes(&result, false).unwrap().to_vec(), data, "{headroom:?}");
            let expected = match headroom {
                Headroom::OverTheStub => vec![Note::HeadersMoved],
                Headroom::None => vec![Note::SectionExtended(".data".to_owned())],
                _ => vec![],
            };
            assert_eq!(notes, expected);
        }
    }
}

#[test]
fn nothing_that_was_in_the_image_moves() {
    for headroom in [Headroom::BehindTheTable, Headroom::OverTheStub, Headroom::None] {
        let (data, result, _) = patched(&ImageSpec { headroom, ..ImageSpec::default() });
        assert_eq!(result[0x400..data.len()], data[0x400..], "{headroom:?}");
        let (old, new) = (Image::parse(&data).unwrap(), Image::parse(&result).unwrap());
        for (old, new) in old.headers().sections.iter().zip(&new.headers().sections) {
            assert_eq!((old.name, old.address), (new.name, new.address));
        }
        for section in &old.headers().sections {
            let address = section.address + 8;
            assert_eq!(old.bytes_at(address).unwrap()[..8], new.bytes_at(address).unwrap()[..8]);
        }
    }
}

#[test]
fn the_new_section_is_aligned_counted_and_writable() {
    let (data, result, _) = patched(&ImageSpec::default());
    let (old, new) = (Image::parse(&data).unwrap(), Image::parse(&result).unwrap());
    let (old, new) = (old.headers(), new.headers());
    let section = new.sections.last().unwrap();
    assert_eq!(new.sections.len(), old.sections.len() + 1);
    assert_eq!(section.name(), ".algraft");
    assert_eq!(section.address, old.size_of_image);
    assert!(section.is_writable());
    assert_eq!(section.raw_offset % new.file_alignment, 0);
    assert_eq!(section.raw_size % new.file_alignment, 0);
    assert_eq!(
        new.size_of_image,
        (section.address + section.virtual_size).next_multiple_of(0x1000)
    );
    assert_eq!(new.size_of_initialized_data, old.size_of_initialized_data + section.raw_size);
    assert_eq!(result.len() as u32, section.raw_end().unwrap());
}

#[test]
fn headers_grow_into_the_padding_by_whole_units_of_the_file() {
    let (data, result, _) =
        patched(&ImageSpec { headroom: Headroom::InThePadding, ..ImageSpec::default() });
    let (old, new) = (Image::parse(&data).unwrap(), Image::parse(&result).unwrap());
    assert!(old.headers().size_of_headers < new.headers().size_of_headers);
    assert_eq!(new.headers().size_of_headers % 0x200, 0);
}

#[test]
fn a_flat_image_keeps_addresses_and_offsets_the_same() {
    let (data, result, _) =
        patched(&ImageSpec { is_flat: true, overlay: b"behind".to_vec(), ..ImageSpec::default() });
    let image = Image::parse(&result).unwrap();
    assert!(image.headers().sections.iter().all(|section| section.address == section.raw_offset));
    assert_eq!(undo_bytes(&result, false).unwrap().to_vec(), data);
}

#[test]
fn the_checksum_is_right_afterwards() {
    let (_, mut result, _) = patched(&ImageSpec::default());
    let stated = Image::parse(&result).unwrap().headers().checksum;
    let field = 0x80 + 24 + 64;
    result[field..field + 4].fill(0);
    assert_eq!(stated, checksum(&result));
}

#[test]
fn bound_imports_are_dropped_so_that_the_loader_looks_them_up_again() {
    let (data, result, notes) = patched(&ImageSpec { is_bound: true, ..ImageSpec::default() });
    let image = Image::parse(&result).unwrap();
    assert!(image.imports().unwrap().iter().all(|module| !module.bound));
    assert_eq!(image.directory(11), None);
    assert_eq!(notes, [Note::BoundImportsDropped]);
    assert_eq!(undo_bytes(&result, false).unwrap().to_vec(), data);
}

#[test]
fn the_place_of_dropped_bound_imports_serves_as_room() {
    let (_, result, notes) = patched(&ImageSpec { is_bound: true, ..ImageSpec::default() });
    assert_eq!(Image::parse(&result).unwrap().headers().nt_offset, 0x80);
    assert!(!notes.contains(&Note::HeadersMoved));
}

#[test]
fn appended_data_stay_where_they_were_and_end_the_file_too() {
    let overlay: Vec<u8> = (0..5000u32).map(|n| (n * 31) as u8 | 1).collect();
    let (data, result, notes) =
        patched(&ImageSpec { overlay: overlay.clone(), ..ImageSpec::default() });
    let at = data.len() - overlay.len();
    assert_eq!(result[at..data.len()], overlay);
    assert!(result.ends_with(&overlay));
    assert_eq!(notes, [Note::TrailingDataRepeated(overlay.len() as u64)]);
    assert_eq!(undo_bytes(&result, false).unwrap().to_vec(), data);
}

#[test]
fn a_signature_is_dropped_with_a_warning_and_undoing_brings_it_back() {
    let spec = ImageSpec {
        overlay: b"installer".to_vec(),
        certificate: Some(vec![0xCE; 1237]),
        ..ImageSpec::default()
    };
    let (data, result, notes) = patched(&spec);
    assert_eq!(Image::parse(&result).unwrap().certificates(), None);
    assert!(notes.contains(&Note::SignatureDropped));
    assert!(Note::SignatureDropped.is_warning());
    assert!(result.ends_with(b"installer\0\0\0\0\0\0\0"));
    assert_eq!(undo_bytes(&result, false).unwrap().to_vec(), data);
}

#[test]
fn an_image_that_must_be_signed_is_freed_of_that() {
    let spec = ImageSpec {
        dll_characteristics: 0x81E0,
        certificate: Some(vec![1; 64]),
        ..ImageSpec::default()
    };
    let (_, result, notes) = patched(&spec);
    assert_eq!(Image::parse(&result).unwrap().headers().dll_characteristics, 0x8160);
    assert!(notes.contains(&Note::ForceIntegrityCleared));
}

#[test]
fn an_address_table_that_was_left_to_be_guessed_is_stated() {
    let (data, result, notes) =
        patched(&ImageSpec { states_addresses: false, ..ImageSpec::default() });
    let rdata = Image::parse(&data).unwrap().headers().sections[1].clone();
    let stated = Image::parse(&result).unwrap().directory(12).unwrap();
    assert_eq!((stated.address, stated.size), (rdata.address, rdata.virtual_size));
    assert_eq!(notes, [Note::AddressTableStated]);
}

#[test]
fn dotnet_images_keep_their_header_and_the_user_is_told() {
    let (data, result, notes) = patched(&ImageSpec { dotnet: Some(1 | 8), ..ImageSpec::default() });
    let (old, new) = (Image::parse(&data).unwrap(), Image::parse(&result).unwrap());
    assert_eq!(old.directory(14), new.directory(14));
    assert_eq!(notes, [Note::StrongNameBroken, Note::DotnetOnly]);
}

#[test]
fn a_patched_image_says_so() {
    let (data, result, _) = patched(&ImageSpec::default());
    let state =
        |data: &[u8], module: &str| patch_state(&Image::parse(data).unwrap(), module).unwrap();
    assert_eq!(state(&data, MODULE), PatchState::Unpatched);
    let patched = PatchState::Patched { module: MODULE.to_owned() };
    assert_eq!(state(&result, MODULE), patched);
    assert_eq!(state(&result, "other.dll"), patched);
}

#[test]
fn a_module_that_was_linked_first_is_seen_whatever_its_case() {
    let spec = ImageSpec {
        imports: vec![("ALLOGRAFT.DLL", vec!["allograft_version"])],
        ..ImageSpec::default()
    };
    let data = spec.build();
    let image = Image::parse(&data).unwrap();
    assert_eq!(patch_state(&image, MODULE).unwrap(), PatchState::ImportsFirst);
    assert!(matches!(undo_bytes(&data, true), Err(Error::NotPatched)));
}

#[test]
fn hybrid_images_are_refused_and_an_ordinary_load_configuration_is_kept() {
    let spec = |is_hybrid| ImageSpec { is_hybrid: Some(is_hybrid), ..ImageSpec::default() };
    let error = patch_bytes(&spec(true).build(), MODULE, true).unwrap_err();
    assert!(matches!(error, Error::Hybrid), "{error}");
    let (data, result, _) = patched(&spec(false));
    let (old, new) = (Image::parse(&data).unwrap(), Image::parse(&result).unwrap());
    assert_eq!(old.directory(10), new.directory(10));
}

#[test]
fn a_last_section_without_bytes_in_the_file_is_extended_whatever_offset_it_states() {
    let mut data = ImageSpec { headroom: Headroom::None, ..ImageSpec::default() }.build();
    let last = 0x40 + 24 + 240 + 2 * 40;
    data[last + 16..last + 20].copy_from_slice(&0u32.to_le_bytes());
    data[last + 20..last + 24].copy_from_slice(&0x5555_5555u32.to_le_bytes());
    let (result, _) = patch_bytes(&data, MODULE, false).unwrap();
    let section = Image::parse(&result).unwrap().headers().sections[2].clone();
    let mapped = &result[section.raw_offset as usize..][..0x1000];
    assert!(mapped.iter().all(|&byte| byte == 0));
    assert_eq!(undo_bytes(&result, false).unwrap().to_vec(), data);
}
