//! `allograft check` from the files on the disk to its answer.

use super::{Answer, answers_for, json, plain};
use crate::build_image::ImageSpec;
use std::fs;
use tempfile::TempDir;

fn game_folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("bin")).unwrap();
    fs::write(folder.path().join("bin/game.exe"), ImageSpec::default().build()).unwrap();
    fs::write(
        folder.path().join("setup.exe"),
        ImageSpec { imports: Vec::new(), ..ImageSpec::default() }.build(),
    )
    .unwrap();
    folder
}

#[test]
fn a_folder_gives_an_answer_for_each_program_in_it() {
    let folder = game_folder();
    let text = plain(&answers_for(folder.path()));
    assert!(
        text.contains("verdict                it will work: it imports ucrtbase.dll"),
        "{text}"
    );
    assert!(
        text.contains("verdict                no: it links its C runtime statically, or has none"),
        "{text}"
    );
    let command = format!(
        "command                allograft run -- {}",
        folder.path().join("bin").join("game.exe").display()
    );
    assert!(text.contains(&command), "{text}");
    assert!(text.ends_with("cannot be seen in its files.\n"), "{text}");
}

#[test]
fn the_answer_in_json_has_the_verdict_and_its_command() {
    let folder = game_folder();
    let answers = answers_for(&folder.path().join("bin/game.exe"));
    let value: serde_json::Value = serde_json::from_str(&json(&answers).unwrap()).unwrap();
    let report = &value[0];
    assert_eq!(report["machine"], "x86-64");
    assert_eq!(report["crts"][0]["file"], "ucrtbase.dll");
    assert_eq!(report["verdict"]["works"], true);
    assert_eq!(report["verdict"]["route"], "run");
}

#[test]
fn an_empty_folder_and_a_file_that_is_no_image_are_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("a.txt");
    fs::write(&text, b"text").unwrap();
    for (path, expected) in
        [(folder.path(), "no program in this folder"), (&text, "not a PE image")]
    {
        match &answers_for(path)[..] {
            [Answer::Refused { error, .. }] => assert!(error.starts_with(expected), "{error}"),
            _ => panic!("not refused: {}", path.display()),
        }
    }
}
