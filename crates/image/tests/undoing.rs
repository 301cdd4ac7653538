//! Undoing a patch that was tampered with, or signed, since.

mod support;

use allograft_image::Error;
use support::build_image::ImageSpec;
use support::{MODULE, patch_bytes, set, undo_bytes};

fn original_and_patched() -> (Vec<u8>, Vec<u8>) {
    let (overlay, certificate) = (b"tail".to_vec(), Some(vec![7; 100]));
    let data = ImageSpec { overlay, certificate, ..ImageSpec::default() }.build();
    let (patched, _) = patch_bytes(&data, MODULE, false).unwrap();
    (data, patched)
}

#[test]
fn an_unpatched_image_has_nothing_to_undo() {
    let data = ImageSpec::default().build();
    assert!(matches!(undo_bytes(&data, false), Err(Error::NotPatched)));
}

#[test]
fn a_changed_header_and_appended_data_are_noticed_and_can_be_overridden() {
    let changes: [fn(&mut Vec<u8>); 2] =
        [|patched| patched[0x80 + 8] ^= 1, |patched| patched.extend_from_slice(b"more")];
    for (index, change) in changes.iter().enumerate() {
        let (data, mut patched) = original_and_patched();
        change(&mut patched);
        let refused = undo_bytes(&patched, false);
        assert!(matches!(refused, Err(Error::ChangedSince(_))), "change {index}: {refused:?}");
        assert_eq!(undo_bytes(&patched, true).unwrap().to_vec(), data, "change {index}");
    }
}

#[test]
fn a_signature_put_on_since_is_no_obstacle_and_is_dropped_with_a_warning() {
    let (data, mut patched) = original_and_patched();
    patched.resize(patched.len().next_multiple_of(8), 0);
    let directory = 0x80 + 24 + 112 + 4 * 8;
    let start = patched.len() as u32;
    set(&mut patched, directory, start);
    set(&mut patched, directory + 4, 48);
    patched[0x80 + 24 + 64] ^= 0xFF;
    patched.extend_from_slice(&[0x51; 48]);
    let restored = undo_bytes(&patched, false).unwrap();
    assert_eq!(restored.to_vec(), data);
    let codes: Vec<_> = restored.notes.iter().map(|note| (note.code, note.warning)).collect();
    assert_eq!(codes, [("later-signature-dropped", true)]);
}

#[test]
fn changes_outside_headers_and_table_survive_undoing() {
    let (mut data, mut patched) = original_and_patched();
    data[0x410] ^= 1;
    patched[0x410] ^= 1;
    assert_eq!(undo_bytes(&patched, false).unwrap().to_vec(), data);
}
