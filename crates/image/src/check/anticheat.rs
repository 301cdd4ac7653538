//! Finds anti-cheat systems by the files that they leave beside the games they guard.

use serde::Serialize;
use std::path::{Path, PathBuf};

/// One anti-cheat system found near a program.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct AntiCheat {
    /// Its name.
    pub name: &'static str,
    /// The file or folder that gave it away.
    pub evidence: String,
    /// Why to keep away from it.
    pub why: &'static str,
}

const WHY: &str = "it takes foreign modules and changed files for cheats: loading allograft there can get the account banned for good";

/// Names of files and folders, in lower case, and the systems that they belong to. `*` matches any
/// text.
const MARKS: [(&str, &str); 35] = [
    ("easyanticheat*", "Easy Anti-Cheat"),
    ("start_protected_game.exe", "Easy Anti-Cheat"),
    ("battleye", "BattlEye"),
    ("beclient.dll", "BattlEye"),
    ("beclient_x64.dll", "BattlEye"),
    ("beservice*.exe", "BattlEye"),
    ("*_be.exe", "BattlEye"),
    ("vgc.exe", "Riot Vanguard"),
    ("vgk.sys", "Riot Vanguard"),
    ("vgtray.exe", "Riot Vanguard"),
    ("riot vanguard", "Riot Vanguard"),
    ("valorant-win64-shipping.exe", "Riot Vanguard"),
    ("eaanticheat*", "EA Javelin Anticheat"),
    ("randgrid.sys", "Activision RICOCHET"),
    ("gameguard", "nProtect GameGuard"),
    ("gameguard.des", "nProtect GameGuard"),
    ("gamemon*.des", "nProtect GameGuard"),
    ("npggnt*", "nProtect GameGuard"),
    ("xigncode", "XIGNCODE3"),
    ("x3.xem", "XIGNCODE3"),
    ("xhunter1.sys", "XIGNCODE3"),
    ("hshield", "HackShield"),
    ("ehsvc.dll", "HackShield"),
    ("anticheatexpert", "Tencent Anti-Cheat Expert"),
    ("ace-base*", "Tencent Anti-Cheat Expert"),
    ("ace-setup*", "Tencent Anti-Cheat Expert"),
    ("tersafe*", "Tencent Anti-Cheat Expert"),
    ("mhyprot*", "HoYoverse anti-cheat"),
    ("mhypbase.dll", "HoYoverse anti-cheat"),
    ("hoyokprotect.sys", "HoYoverse anti-cheat"),
    ("blackcipher*", "Nexon Game Security"),
    ("equ8_conf.json", "EQU8"),
    ("pnkbstr*", "PunkBuster"),
    ("pbcl.dll", "PunkBuster"),
    ("pbsv.dll", "PunkBuster"),
];

/// Folders inside a game's folder that hold its programs. The guard lies further up.
const INNER_FOLDERS: [&str; 9] =
    ["binaries", "win64", "win32", "wingdk", "bin", "x64", "x86", "bin64", "retail"];

/// Most folders to go up, and most names to look at in one folder.
const MAX_CLIMB: usize = 3;
const MAX_NAMES: usize = 20_000;

/// The anti-cheat systems whose files lie in the folder of the program at `path`, or in the game's
/// folder above it; each once.
pub fn anti_cheats_near(path: &Path) -> Vec<AntiCheat> {
    let mut found: Vec<AntiCheat> = Vec::new();
    for folder in folders_of(path) {
        let mut names: Vec<String> = std::fs::read_dir(&folder)
            .into_iter()
            .flatten()
            .take(MAX_NAMES)
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        names.sort();
        for name in names {
            match system_of(&name) {
                Some(system) if found.iter().all(|known| known.name != system) => {
                    let evidence = folder.join(&name).display().to_string();
                    found.push(AntiCheat { name: system, evidence, why: WHY });
                }
                _ => {}
            }
        }
    }
    found
}

fn system_of(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    MARKS.iter().find(|(mark, _)| matches(mark, &name)).map(|&(_, system)| system)
}

fn matches(mark: &str, name: &str) -> bool {
    match mark.split_once('*') {
        Some((prefix, suffix)) => {
            name.strip_prefix(prefix).is_some_and(|rest| rest.ends_with(suffix))
        }
        None => name == mark,
    }
}

/// The program's folder, and those above it that look like parts of the same game.
fn folders_of(path: &Path) -> Vec<PathBuf> {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut folders = Vec::new();
    let mut folder = absolute.parent();
    // Unreal's layout is Game/Binaries/Win64, and the guard lies beside Game.
    let mut may_climb_once_more = false;
    while let Some(current) = folder.filter(|_| folders.len() <= MAX_CLIMB) {
        folders.push(current.to_owned());
        let name = current
            .file_name()
            .map(|name| name.to_string_lossy().to_ascii_lowercase())
            .unwrap_or_default();
        if !INNER_FOLDERS.contains(&name.as_str()) && !std::mem::take(&mut may_climb_once_more) {
            break;
        }
        may_climb_once_more |= name == "binaries";
        folder = current.parent();
    }
    folders
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let path = root.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"").unwrap();
        }
        root
    }

    fn names_near(root: &tempfile::TempDir, program: &str) -> Vec<&'static str> {
        anti_cheats_near(&root.path().join(program)).into_iter().map(|found| found.name).collect()
    }

    #[test]
    fn a_guard_beside_the_program_is_found_and_named_once() {
        let root =
            tree(&["game.exe", "BattlEye/BEClient_x64.dll", "BEService_x64.exe", "Game_BE.exe"]);
        assert_eq!(names_near(&root, "game.exe"), ["BattlEye"]);
    }

    #[test]
    fn a_guard_at_the_root_of_an_unreal_game_is_found_from_its_inner_folder() {
        let root =
            tree(&["start_protected_game.exe", "Game/Binaries/Win64/Game-Win64-Shipping.exe"]);
        assert_eq!(
            names_near(&root, "Game/Binaries/Win64/Game-Win64-Shipping.exe"),
            ["Easy Anti-Cheat"]
        );
    }

    #[test]
    fn another_game_s_guard_in_the_folder_above_is_none_of_this_program_s() {
        let root = tree(&["EasyAntiCheat/setup.exe", "Other/other.exe"]);
        assert!(names_near(&root, "Other/other.exe").is_empty());
    }
}
