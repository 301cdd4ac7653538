//! The C runtimes that are installed: their files, wherever Windows keeps them.

use allograft_image::{Image, ImageFile, Machine};
use std::fs;
use std::path::{Path, PathBuf};

/// The file names, without extension, of the C runtimes that are taken over.
const NAMES: [&str; 7] =
    ["ucrtbase", "msvcrt", "msvcr80", "msvcr90", "msvcr100", "msvcr110", "msvcr120"];

/// The files of the C runtimes for programs of `machine`: those in the folder `system`, and those
/// that programs get by their manifests, which lie in folders of their own beside it.
pub fn installed(system: &Path, machine: Machine) -> Vec<PathBuf> {
    let processor = if machine == Machine::X86 { "x86_" } else { "amd64_" };
    let mut folders = vec![system.to_owned()];
    let by_manifest = system.with_file_name("WinSxS");
    folders.extend(entries(&by_manifest).into_iter().filter(|path| {
        let name = file_name(path);
        name.starts_with(processor) && name.contains("microsoft.vc")
    }));
    let mut files: Vec<PathBuf> =
        folders.iter().flat_map(|folder| entries(folder)).filter(|path| is_runtime(path)).collect();
    files.sort();
    files
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().to_lowercase()
}

fn is_runtime(path: &Path) -> bool {
    file_name(path).strip_suffix(".dll").is_some_and(|stem| NAMES.contains(&stem))
}

/// The file's name, and its version if it has one.
pub fn name_and_version(path: &Path) -> String {
    let version = || {
        let file = ImageFile::open(path).ok()?;
        Some(Image::parse(file.data()).ok()?.file_version()?.to_string())
    };
    let version = version().unwrap_or_else(|| "of no version".to_owned());
    format!("{} {version}", file_name(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runtimes_are_found_by_name_in_the_systems_folder_and_beside_it() {
        let windows = tempfile::tempdir().unwrap();
        let vc90 = "WinSxS/amd64_microsoft.vc90.crt_1fc8b3b9a1e18e3b_9.0.30729.9635_none_0";
        for file in [
            "System32/UCRTBASE.dll",
            "System32/msvcr71.dll",
            "System32/kernel32.dll",
            &format!("{vc90}/msvcr90.dll"),
            "WinSxS/x86_microsoft.vc90.crt_1fc8b3b9a1e18e3b_9.0.1.1_none_0/msvcr90.dll",
            "WinSxS/amd64_another_1/msvcr90.dll",
        ] {
            let path = windows.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let found = installed(&windows.path().join("System32"), Machine::X64);
        let expected = ["System32/UCRTBASE.dll", &format!("{vc90}/msvcr90.dll")];
        assert_eq!(found, expected.map(|file| windows.path().join(file)));
        assert_eq!(name_and_version(&found[0]), "ucrtbase.dll of no version");
    }
}
