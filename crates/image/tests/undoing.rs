//! Undoing a patch that was tampered with, or signed, since.

mod support;

use allograft_image::{Error, Note};
use support::build_image::ImageSpec;
use support::{MODULE, patch_bytes, undo_bytes};

fn original_and_patched() -> (Vec<u8>, Vec<u8>) {
    let data = ImageSpec {
        overlay: b"tail".to_vec(),
        certificate: Some(vec![7; 100]),
        ..ImageSpec::default()
    }
    .build();
    let (patched, _) = patch_bytes(&data, MODULE, false).unwrap();
    (data, patched)
}

#[test]
fn an_unpatched_image_has_nothing_to_undo() {
    let data = ImageSpec::default().build();
    assert!(matches!(undo_bytes(&data, false), Err(Error::NotPatched)));
}

#[test]
fn a_header_changed_since_is_noticed_and_can_be_overridden() {
    let (data, mut patched) = original_and_patched();
    patched[0x80 + 8] ^= 1;
    assert!(matches!(undo_bytes(&patched, false), Err(Error::ChangedSince(_))));
    assert_eq!(undo_bytes(&patched, true).unwrap().to_vec(), data);
}

#[test]
fn data_appended_since_are_noticed_and_can_be_overridden() {
    let (data, mut patched) = original_and_patched();
    patched.extend_from_slice(b"more");
    assert!(matches!(undo_bytes(&patched, false), Err(Error::ChangedSince(_))));
    assert_eq!(undo_bytes(&patched, true).unwrap().to_vec(), data);
}

#[test]
fn a_signature_put_on_since_is_no_obstacle_and_is_dropped_with_a_warning() {
    let (data, mut patched) = original_and_patched();
    patched.resize(patched.len().next_multiple_of(8), 0);
    let directory = 0x80 + 24 + 112 + 4 * 8;
    let start = patched.len() as u32;
    patched[directory..directory + 4].copy_from_slice(&start.to_le_bytes());
    patched[directory + 4..directory + 8].copy_from_slice(&48u32.to_le_bytes());
    patched[0x80 + 24 + 64] ^= 0xFF;
    patched.extend_from_slice(&[0x51; 48]);
    let restored = undo_bytes(&patched, false).unwrap();
    assert_eq!(restored.to_vec(), data);
    assert_eq!(restored.notes, [Note::LaterSignatureDropped]);
}

#[test]
fn changes_outside_headers_and_table_survive_undoing() {
    let (mut data, mut patched) = original_and_patched();
    data[0x410] ^= 1;
    patched[0x410] ^= 1;
    assert_eq!(undo_bytes(&patched, false).unwrap().to_vec(), data);
}
