//! `allograft patch` from the command line to the files on the disk.

use super::outcome::{Action, PatchOutcome};
use super::{PatchArgs, outcome_of, run};
use crate::build_image::ImageSpec;
use crate::cli::{Cli, Command};
use clap::Parser;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

struct Folder(TempDir);

impl Folder {
    /// A folder with one program, game.exe, on the Universal CRT.
    fn with_game() -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        folder.put("game.exe", &ImageSpec::default().build());
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
    }

    fn get(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn patch(&self, options: &[&str]) -> PatchOutcome {
        let game = self.path("game.exe");
        outcome_of(&game, &parse(&game, options))
    }

    fn refusal(&self, options: &[&str]) -> String {
        let outcome = self.patch(options);
        assert_eq!(outcome.action, Action::Refused);
        outcome.error.unwrap()
    }
}

fn parse(image: &Path, options: &[&str]) -> PatchArgs {
    let command_line = ["allograft", "patch"].iter().chain(options).map(Into::into);
    match Cli::try_parse_from(command_line.chain([image.as_os_str().to_owned()])).unwrap().command {
        Command::Patch(args) => args,
        other => panic!("not a patch: {other:?}"),
    }
}

#[test]
fn the_result_goes_beside_the_image_and_the_image_stays_as_it_is() {
    let folder = Folder::with_game();
    let original = folder.get("game.exe");
    let outcome = folder.patch(&[]);
    assert_eq!(outcome.action, Action::Patched);
    assert_eq!(outcome.output, Some(folder.path("game-allograft.exe")));
    assert_eq!(outcome.module.as_deref(), Some("allograft.dll"));
    assert_eq!(folder.get("game.exe"), original);
    assert_eq!(folder.names(), ["game-allograft.exe", "game.exe"]);
    // Now the output is there already and up to date.
    assert_eq!(folder.patch(&[]).action, Action::AlreadyPatched);
}

#[test]
fn patching_twice_is_patching_once_and_is_said() {
    let folder = Folder::with_game();
    folder.patch(&["--inplace"]);
    let patched = folder.get("game.exe");
    for options in [&["--inplace"][..], &[]] {
        assert_eq!(folder.patch(options).action, Action::AlreadyPatched);
    }
    assert_eq!(folder.get("game.exe"), patched);
    assert_eq!(folder.names(), ["game.exe", "game.exe.bak"]);
}

#[test]
fn an_output_with_other_contents_is_overwritten_by_force_only() {
    let folder = Folder::with_game();
    folder.put("game-allograft.exe", b"something else");
    assert!(
        folder.refusal(&[]).ends_with("game-allograft.exe exists already: --force overwrites it")
    );
    assert_eq!(folder.get("game-allograft.exe"), b"something else");
    assert_eq!(folder.patch(&["--force"]).action, Action::Patched);
}

#[test]
fn patching_in_place_keeps_a_backup_and_undoing_needs_none() {
    let folder = Folder::with_game();
    let original = folder.get("game.exe");
    let outcome = folder.patch(&["--inplace"]);
    assert_eq!(outcome.backup, Some(folder.path("game.exe.bak")));
    assert_eq!(folder.get("game.exe.bak"), original);
    assert_ne!(folder.get("game.exe"), original);
    fs::remove_file(folder.path("game.exe.bak")).unwrap();
    assert_eq!(folder.patch(&["--undo"]).action, Action::Undone);
    assert_eq!(folder.get("game.exe"), original);
    assert_eq!(folder.names(), ["game.exe"]);
}

#[test]
fn an_older_backup_of_something_else_is_never_overwritten() {
    let folder = Folder::with_game();
    folder.put("game.exe.bak", b"precious");
    let outcome = folder.patch(&["--inplace"]);
    assert_eq!(outcome.backup, Some(folder.path("game.exe.bak1")));
    assert_eq!(folder.get("game.exe.bak"), b"precious");
}

#[test]
fn a_dry_run_says_everything_and_writes_nothing() {
    let folder = Folder::with_game();
    let original = folder.get("game.exe");
    for options in [&["--dry-run"][..], &["--dry-run", "--inplace"]] {
        let outcome = folder.patch(options);
        assert!(outcome.dry_run);
        assert!(outcome.to_string().contains("would be patched"), "{outcome}");
    }
    assert_eq!(folder.get("game.exe"), original);
    assert_eq!(folder.names(), ["game.exe"]);
}

#[test]
fn an_output_folder_takes_the_image_s_own_name() {
    let folder = Folder::with_game();
    fs::create_dir(folder.path("out")).unwrap();
    let outcome = folder.patch(&["--output", folder.path("out").to_str().unwrap()]);
    assert_eq!(outcome.output, Some(folder.path("out").join("game.exe")));
}

#[test]
fn an_output_that_is_the_image_itself_or_in_no_folder_is_refused() {
    let folder = Folder::with_game();
    for (output, words) in [
        ("game.exe", "the output is the image itself: use --inplace, which keeps a backup"),
        ("missing/game.exe", "cannot write "),
    ] {
        let output = folder.path(output);
        let refusal = folder.refusal(&["--force", "--output", output.to_str().unwrap()]);
        assert!(refusal.starts_with(words), "{refusal}");
    }
    assert_eq!(folder.names(), ["game.exe"]);
}

#[test]
fn several_images_do_not_go_into_one_file() {
    let folder = Folder::with_game();
    let mut args = parse(&folder.path("game.exe"), &["--output", "one.exe"]);
    args.images.push(folder.path("other.exe"));
    assert!(run(&args).is_err());
}

#[test]
fn an_image_that_is_refused_does_not_hold_up_the_others() {
    let folder = Folder::with_game();
    folder.put("notes.txt", b"hello");
    let mut args = parse(&folder.path("notes.txt"), &[]);
    args.images.push(folder.path("game.exe"));
    assert_eq!(run(&args).unwrap(), 125);
    assert_eq!(folder.names(), ["game-allograft.exe", "game.exe", "notes.txt"]);
}

#[test]
fn spaces_and_letters_of_any_alphabet_in_a_path_do_no_harm() {
    let folder = Folder::with_game();
    let name = "my Spiel – 遊戲.exe";
    fs::rename(folder.path("game.exe"), folder.path(name)).unwrap();
    let args = parse(&folder.path(name), &[]);
    let outcome = outcome_of(&folder.path(name), &args);
    assert_eq!(outcome.action, Action::Patched);
    assert_eq!(folder.names(), ["my Spiel – 遊戲-allograft.exe", name]);
}

#[test]
fn undoing_deletes_the_patched_copy_and_nothing_else() {
    let folder = Folder::with_game();
    let original = folder.get("game.exe");
    folder.patch(&[]);
    folder.put("allograft.dll", b"the module");
    let outcome = folder.patch(&["--undo", "--dry-run"]);
    assert_eq!(outcome.action, Action::CopyDeleted);
    assert_eq!(folder.names(), ["allograft.dll", "game-allograft.exe", "game.exe"]);
    let outcome = folder.patch(&["--undo"]);
    assert!(outcome.to_string().contains("its patched copy"), "{outcome}");
    assert!(outcome.to_string().contains("allograft.dll stays beside it"), "{outcome}");
    assert_eq!(folder.names(), ["allograft.dll", "game.exe"]);
    assert_eq!(folder.get("game.exe"), original);
}

#[test]
fn a_copy_of_another_version_is_deleted_only_by_force() {
    let folder = Folder::with_game();
    folder.patch(&[]);
    let mut updated = folder.get("game.exe");
    updated.extend_from_slice(b"new data");
    folder.put("game.exe", &updated);
    assert!(folder.refusal(&["--undo"]).contains("another version"));
    assert_eq!(folder.names(), ["game-allograft.exe", "game.exe"]);
    assert_eq!(folder.patch(&["--undo", "--force"]).action, Action::CopyDeleted);
    assert_eq!(folder.names(), ["game.exe"]);
}

#[test]
fn the_module_comes_along_if_that_is_asked_for() {
    let folder = Folder::with_game();
    let own = std::env::current_exe().unwrap().with_file_name("allograft.dll");
    let is_there = own.is_file();
    let outcome = folder.patch(&["--with-module"]);
    assert_eq!(outcome.module_copied, is_there);
    assert_eq!(outcome.to_string().contains("copied allograft.dll"), is_there, "{outcome}");
    assert_eq!(outcome.to_string().contains("next: put allograft.dll"), !is_there, "{outcome}");
}

#[test]
fn undoing_what_was_not_patched_or_has_changed_since_is_refused_and_changes_nothing() {
    let folder = Folder::with_game();
    assert_eq!(folder.refusal(&["--undo"]), "not patched by allograft: there is nothing to undo");
    let original = folder.get("game.exe");
    folder.patch(&["--inplace"]);
    let mut changed = folder.get("game.exe");
    changed.push(b'x');
    folder.put("game.exe", &changed);
    assert!(
        folder
            .refusal(&["--undo"])
            .starts_with("changed since it was patched (something was appended")
    );
    assert_eq!(folder.get("game.exe"), changed);
    assert_eq!(folder.patch(&["--undo", "--force"]).action, Action::Undone);
    assert_eq!(folder.get("game.exe"), original);
}

#[test]
fn another_module_takes_the_place_of_the_first_and_undoing_still_gives_the_original() {
    let folder = Folder::with_game();
    let original = folder.get("game.exe");
    folder.patch(&["--inplace"]);
    let outcome = folder.patch(&["--inplace", "--module", "other.dll"]);
    assert_eq!((outcome.action, outcome.module.as_deref()), (Action::Patched, Some("other.dll")));
    let listed = folder.patch(&["--list"]).imports.unwrap();
    assert_eq!(
        (listed[0].module.as_str(), listed[1].module.as_str()),
        ("other.dll", "KERNEL32.dll")
    );
    folder.patch(&["--undo"]);
    assert_eq!(folder.get("game.exe"), original);
}

#[test]
fn a_program_with_a_static_runtime_is_patched_by_force_only() {
    let folder = Folder::with_game();
    let spec =
        ImageSpec { imports: vec![("KERNEL32.dll", vec!["ExitProcess"])], ..ImageSpec::default() };
    folder.put("game.exe", &spec.build());
    let refusal = folder.refusal(&[]);
    assert!(refusal.starts_with("it links its C runtime statically"), "{refusal}");
    assert!(
        refusal.ends_with("patching would do nothing (--force patches it all the same)"),
        "{refusal}"
    );
    assert_eq!(folder.patch(&["--force"]).action, Action::Patched);
}

#[test]
fn what_is_no_image_or_not_there_is_refused_in_one_line() {
    let folder = Folder::with_game();
    folder.put("game.exe", b"#!/bin/sh\n");
    for options in [&[][..], &["--list"], &["--undo"], &["--force"]] {
        assert!(folder.refusal(options).starts_with("not a PE image: "));
    }
    fs::remove_file(folder.path("game.exe")).unwrap();
    assert!(folder.refusal(&[]).starts_with("cannot read: "));
}

#[test]
fn a_list_marks_the_c_runtimes() {
    let folder = Folder::with_game();
    let text = folder.patch(&["--list"]).to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].ends_with("game.exe (x86-64)"), "{text}");
    assert!(
        lines[1].starts_with("   1  KERNEL32.dll ") && lines[1].ends_with("2 functions"),
        "{text}"
    );
    assert!(lines[2].ends_with("2 functions  <- C runtime ucrtbase.dll, taken over"), "{text}");
}

#[test]
fn the_user_is_told_to_put_the_module_beside_the_result_until_it_is_there() {
    let folder = Folder::with_game();
    assert!(folder.patch(&["--dry-run"]).to_string().contains("next: put allograft.dll beside"));
    folder.put("allograft.dll", b"");
    assert!(!folder.patch(&["--dry-run"]).to_string().contains("next:"));
}

#[test]
fn the_answer_in_json_names_what_was_done_to_which_file() {
    let folder = Folder::with_game();
    let json = serde_json::to_value(folder.patch(&["--inplace"])).unwrap();
    assert_eq!(json["action"], "patched");
    assert_eq!(json["machine"], "x86-64");
    assert_eq!(json["module"], "allograft.dll");
    assert_eq!(json["backup"], folder.path("game.exe.bak").to_str().unwrap());
    assert_eq!(json["dry_run"], false);
    assert!(json.get("error").is_none());
}

#[cfg(unix)]
#[test]
fn the_result_has_the_permissions_of_the_image() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::with_game();
    fs::set_permissions(folder.path("game.exe"), fs::Permissions::from_mode(0o750)).unwrap();
    folder.patch(&[]);
    let mode = fs::metadata(folder.path("game-allograft.exe")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o750);
}

#[cfg(unix)]
#[test]
fn patching_a_link_in_place_patches_what_it_leads_to() {
    let folder = Folder::with_game();
    fs::rename(folder.path("game.exe"), folder.path("real.exe")).unwrap();
    std::os::unix::fs::symlink("real.exe", folder.path("game.exe")).unwrap();
    folder.patch(&["--inplace"]);
    assert!(fs::symlink_metadata(folder.path("game.exe")).unwrap().is_symlink());
    assert_eq!(folder.names(), ["game.exe", "real.exe", "real.exe.bak"]);
}

#[test]
fn anti_cheat_software_beside_the_image_is_warned_of() {
    let folder = Folder::with_game();
    fs::create_dir(folder.path("BattlEye")).unwrap();
    let text = folder.patch(&["--dry-run"]).to_string();
    assert!(text.contains("WARNING: BattlEye guards this program"), "{text}");
    assert!(text.contains("banned"), "{text}");
}
