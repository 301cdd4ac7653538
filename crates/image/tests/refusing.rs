//! Images that are not patched, and the one line that says why.

mod support;

use allograft_image::{Error, Image, Machine};
use support::build_image::{Headroom, ImageSpec};
use support::{MODULE, patch_bytes, set};

/// Where the file header, the optional header and the section table of an [`ImageSpec`] for x86-64
/// begin.
const FILE_HEADER: usize = 0x80 + 4;
const OPTIONAL_HEADER: usize = FILE_HEADER + 20;
const SECTION_TABLE: usize = OPTIONAL_HEADER + 240;

/// Why the image is refused when `value` is written at `at`.
fn refusal_with(at: usize, value: &[u8]) -> String {
    let mut data = ImageSpec::default().build();
    data[at..at + value.len()].copy_from_slice(value);
    patch_bytes(&data, MODULE, false).unwrap_err().to_string()
}

#[test]
fn packed_images_are_refused_unless_the_user_insists() {
    let section_names = ["UPX0", "UPX1", "UPX2"];
    let data = ImageSpec { section_names, ..ImageSpec::default() }.build();
    let error = patch_bytes(&data, MODULE, false).unwrap_err();
    assert!(matches!(error, Error::Packed("UPX")), "{error}");
    assert!(patch_bytes(&data, MODULE, true).is_ok());
}

#[test]
fn programs_whose_imports_are_not_looked_for_beside_them_are_refused_unless_the_user_insists() {
    const SYSTEM_FOLDER: u16 = 0x0800;
    const PROGRAMS_AND_SYSTEM_FOLDER: u16 = 0x0A00;
    const DEFAULT_FOLDERS: u16 = 0x1000;
    for machine in [Machine::X64, Machine::X86] {
        let build =
            |flags| ImageSpec { machine, load_flags: Some(flags), ..ImageSpec::default() }.build();
        for flags in [0, DEFAULT_FOLDERS, PROGRAMS_AND_SYSTEM_FOLDER] {
            assert!(patch_bytes(&build(flags), MODULE, false).is_ok(), "{flags:#x}");
        }
        let data = build(SYSTEM_FOLDER);
        let error = patch_bytes(&data, MODULE, false).unwrap_err();
        assert!(matches!(error, Error::DependentLoadFlags(SYSTEM_FOLDER)), "{error}");
        assert!(patch_bytes(&data, MODULE, true).is_ok());
    }
}

#[test]
fn load_flags_behind_the_end_of_a_load_configuration_are_not_read() {
    let spec = ImageSpec { load_flags: Some(0x0800), ..ImageSpec::default() };
    let mut data = spec.build();
    let mut begin = [0; 76];
    begin[0] = 208;
    let at = data.windows(begin.len()).position(|bytes| bytes == begin).expect("its length");
    data[at] = 0x4F;
    assert!(patch_bytes(&data, MODULE, false).is_ok());
}

#[test]
fn a_module_is_a_file_name_and_nothing_else() {
    let data = ImageSpec::default().build();
    for name in ["", "a\\b.dll", "../a.dll", "C:a.dll", "a\0.dll", "a\n.dll", "ä.dll"] {
        assert!(matches!(patch_bytes(&data, name, false), Err(Error::ModuleName(_))), "{name:?}");
    }
    assert!(patch_bytes(&data, "my module-2.dll", false).is_ok());
}

#[test]
fn an_image_cut_short_is_refused_with_what_is_missing() {
    let data = ImageSpec::default().build();
    let error = patch_bytes(&data[..data.len() - 1], MODULE, false).unwrap_err();
    let (end, len) = (data.len(), data.len() - 1);
    let expected = format!(
        "truncated: section .data would end at byte {end}, and the file ends at byte {len}"
    );
    assert_eq!(error.to_string(), expected);
}

#[test]
fn contradictory_headers_are_refused_with_the_contradiction() {
    let cases: [(usize, u32, &str); 7] = [
        (FILE_HEADER + 2, 0, "the image has no sections"),
        (OPTIONAL_HEADER + 32, 0x3000, "sections are to be aligned to 0x3000 in memory"),
        (OPTIONAL_HEADER + 36, 0x10, "0x10 in the file"),
        (OPTIONAL_HEADER + 56, 0x9_0000, "the image is to be 0x90000 bytes long in memory"),
        (SECTION_TABLE + 12, 0x5000, "section .rdata overlaps what lies before it"),
        (SECTION_TABLE + 40 + 12, 0x2010, "section .rdata is not aligned in memory"),
        (SECTION_TABLE + 40 + 20, 0x601, "section .rdata is not aligned in the file"),
    ];
    for (at, value, expected) in cases {
        let error = refusal_with(at, &value.to_le_bytes());
        let is_named = error.starts_with("contradictory headers: ") && error.contains(expected);
        assert!(is_named, "{expected}: {error}");
    }
}

#[test]
fn a_flat_image_without_room_is_refused() {
    let data =
        ImageSpec { is_flat: true, headroom: Headroom::None, ..ImageSpec::default() }.build();
    let error = patch_bytes(&data, MODULE, false).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no room for another section in its headers, and none can be extended in an image that is mapped in one piece"
    );
}

#[test]
fn an_image_cut_short_anywhere_is_called_that_and_not_contradictory() {
    let data = ImageSpec::default().build();
    for len in 0..data.len() {
        let error = patch_bytes(&data[..len], MODULE, false).unwrap_err();
        let is_named = matches!(error, Error::NotAnImage(_) | Error::Truncated { .. });
        assert!(is_named, "cut after {len} bytes: {error}");
        if let Ok(image) = Image::parse(&data[..len]) {
            // Whoever only lists the imports is told the same.
            if let Err(error) = image.imports() {
                assert!(matches!(error, Error::Truncated { .. }), "cut after {len} bytes: {error}");
            }
        }
    }
}

#[test]
fn more_sections_than_the_headers_hold_are_refused_however_many_are_stated() {
    let error = refusal_with(FILE_HEADER + 2, &96u16.to_le_bytes());
    assert!(
        error.contains("truncated: the section table") || error.contains("contradictory headers: "),
        "{error}"
    );
    let error = refusal_with(FILE_HEADER + 2, &u16::MAX.to_le_bytes());
    assert!(error.starts_with("truncated: the section table would end at byte 262"), "{error}");
}

#[test]
fn more_data_directories_than_any_loader_reads_do_no_harm() {
    let mut data = ImageSpec::default().build();
    let count = OPTIONAL_HEADER + 108;
    set(&mut data, count, u32::MAX);
    let (patched, _) = patch_bytes(&data, MODULE, false).unwrap();
    assert_eq!(patched[count..count + 4], data[count..count + 4]);
}

#[test]
fn tables_in_the_headers_or_outside_the_image_are_refused() {
    let import_table = OPTIONAL_HEADER + 112 + 8;
    for address in [0x7FFF_0000, u32::MAX, 0x10] {
        let error = refusal_with(import_table, &address.to_le_bytes());
        let expected = "contradictory headers: the import table lies outside the image";
        assert_eq!(error, expected, "{address:#x}");
    }
}
