//! Finds anti-cheat systems by the files that they leave beside the games they guard.

use crate::packers::is_marked;
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

/// The systems, with the names of their files and folders in lower case (see [`is_marked`]).
const SYSTEMS: [(&str, &[&str]); 13] = [
    ("Easy Anti-Cheat", &["easyanticheat*", "start_protected_game.exe"]),
    ("BattlEye", &["battleye", "beclient.dll", "beclient_x64.dll", "beservice*.exe", "*_be.exe"]),
    (
        "Riot Vanguard",
        &["vgc.exe", "vgk.sys", "vgtray.exe", "riot vanguard", "valorant-win64-shipping.exe"],
    ),
    ("EA Javelin Anticheat", &["eaanticheat*"]),
    ("Activision RICOCHET", &["randgrid.sys"]),
    ("nProtect GameGuard", &["gameguard", "gameguard.des", "gamemon*.des", "npggnt*"]),
    ("XIGNCODE3", &["xigncode", "x3.xem", "xhunter1.sys"]),
    ("HackShield", &["hshield", "ehsvc.dll"]),
    ("Tencent Anti-Cheat Expert", &["anticheatexpert", "ace-base*", "ace-setup*", "tersafe*"]),
    ("HoYoverse anti-cheat", &["mhyprot*", "mhypbase.dll", "hoyokprotect.sys"]),
    ("Nexon Game Security", &["blackcipher*"]),
    ("EQU8", &["equ8_conf.json"]),
    ("PunkBuster", &["pnkbstr*", "pbcl.dll", "pbsv.dll"]),
];

/// Folders inside a game's folder that hold its programs. The guard lies further up.
const INNER_FOLDERS: [&str; 9] =
    ["binaries", "win64", "win32", "wingdk", "bin", "x64", "x86", "bin64", "retail"];

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
            let evidence = folder.join(&name).display().to_string();
            let system = system_of(&name);
            if let Some(name) = system.filter(|it| found.iter().all(|known| known.name != *it)) {
                found.push(AntiCheat { name, evidence, why: WHY });
            }
        }
    }
    found
}

fn system_of(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    SYSTEMS.iter().find(|(_, marks)| is_marked(&name, marks)).map(|&(system, _)| system)
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
        let name = current.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
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

    #[test]
    fn guards_are_found_beside_a_program_and_above_its_inner_folders_alone() {
        let unreal = "Game/Binaries/Win64/Game-Win64-Shipping.exe";
        let cases: [(&str, &[&str], &[&str]); 3] = [
            (
                "game.exe",
                &["BattlEye/BEClient_x64.dll", "BEService_x64.exe", "Game_BE.exe"],
                &["BattlEye"],
            ),
            (unreal, &["start_protected_game.exe"], &["Easy Anti-Cheat"]),
            ("Other/other.exe", &["EasyAntiCheat/setup.exe"], &[]),
        ];
        for (program, files, expected) in cases {
            let root = tempfile::tempdir().unwrap();
            let program = root.path().join(program);
            for path in files.iter().map(|file| root.path().join(file)).chain([program.clone()]) {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, b"").unwrap();
            }
            let found = anti_cheats_near(&program);
            let names: Vec<_> = found.iter().map(|found| found.name).collect();
            assert_eq!(names, expected, "{}", program.display());
        }
    }
}
