//! The program that the window is about: what `check` finds in its files, what allograft has done
//! to it already, and what may be done to it.

use crate::patch::{patched_copy_of, path_beside};
use allograft_image::check::{CheckReport, check};
use allograft_image::{Image, ImageFile, PatchState, is_proxy, known_names, patch_state};
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf, absolute};

#[derive(Clone, Debug, PartialEq)]
pub struct Subject {
    pub path: PathBuf,
    pub report: CheckReport,
    /// Whether this user may write to its folder.
    pub may_write: bool,
    /// The patched copy beside it.
    pub copy: Option<PathBuf>,
    /// The DLLs of ours beside it that it loads instead of the system's.
    pub proxies: Vec<&'static str>,
    /// The DLL that such a one could stand in for: the program imports it, and has none of its own.
    pub proxy: Option<&'static str>,
}

/// How the program stands to allograft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Works,
    /// It loads the module already, by a patch or a proxy.
    Installed,
    WillNotWork,
    /// Anti-cheat software guards it: hands off.
    Guarded,
}

impl Subject {
    /// Looks at the program at `path`. The error is one line for a person.
    pub fn read(path: &Path) -> Result<Subject, String> {
        let path = absolute(path).unwrap_or_else(|_| path.to_owned());
        let report = check(&path).map_err(|error| error.to_string())?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let proxies = known_names()
            .filter(|name| fs::read(folder.join(name)).is_ok_and(|bytes| is_proxy(&bytes)))
            .collect();
        Ok(Subject {
            may_write: may_write(folder),
            copy: patched_copy_of(&path),
            proxies,
            proxy: proxy_for(&path, folder),
            report,
            path,
        })
    }

    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }

    /// Where a patched copy of it goes.
    pub fn copy_path(&self) -> PathBuf {
        path_beside(&self.path)
    }

    pub fn verdict(&self) -> Verdict {
        if !self.report.anti_cheats.is_empty() {
            Verdict::Guarded
        } else if !self.report.verdict.works {
            Verdict::WillNotWork
        } else if self.report.patched_with.is_some() || !self.proxies.is_empty() {
            Verdict::Installed
        } else {
            Verdict::Works
        }
    }
}

/// The known DLL that the program at `path` imports and has no copy of in its `folder`.
fn proxy_for(path: &Path, folder: &Path) -> Option<&'static str> {
    let file = ImageFile::open(path).ok()?;
    let image = Image::parse(file.data()).ok()?;
    let is_program = !image.headers().is_dll();
    let imports = image.imports().ok().filter(|_| is_program)?;
    // A patched program would load the module twice over.
    if matches!(patch_state(&image, ""), Ok(PatchState::Patched { .. })) {
        return None;
    }
    known_names().find(|known| {
        imports.iter().any(|module| module.name.eq_ignore_ascii_case(known))
            && !folder.join(known).exists()
    })
}

/// Whether a file can be made in `folder`. Making one is the only sure way to know: rights come
/// from many places, and a disk may be read-only.
fn may_write(folder: &Path) -> bool {
    let mut name = OsString::from("allograft-");
    name.push(std::process::id().to_string());
    name.push(".tmp");
    let path = folder.join(name);
    let made = File::create_new(&path).is_ok();
    if made {
        // The next look at the folder finds and overwrites nothing: the name is this process's.
        let _ = fs::remove_file(&path);
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build_image::ImageSpec;
    use allograft_image::{Machine, build_proxy, known_exports};
    use tempfile::TempDir;

    fn game(spec: &ImageSpec) -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("game.exe");
        fs::write(&path, spec.build()).unwrap();
        (folder, path)
    }

    #[test]
    fn looking_at_a_program_leaves_nothing_behind() {
        let (folder, path) = game(&ImageSpec::default());
        let subject = Subject::read(&path).unwrap();
        assert_eq!(subject.verdict(), Verdict::Works);
        assert!(subject.may_write && subject.copy.is_none() && subject.proxies.is_empty());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_proxy_beside_the_program_is_seen() {
        let (folder, path) = game(&ImageSpec::default());
        let exports = known_exports("version.dll").unwrap();
        let proxy = build_proxy(Machine::X64, "version.dll", "allograft.dll", &exports).unwrap();
        fs::write(folder.path().join("version.dll"), proxy).unwrap();
        let subject = Subject::read(&path).unwrap();
        assert_eq!(subject.proxies, ["version.dll"]);
        assert_eq!(subject.verdict(), Verdict::Installed);
    }

    #[test]
    fn a_folder_that_is_not_there_cannot_be_written_to() {
        let folder = tempfile::tempdir().unwrap();
        assert!(may_write(folder.path()));
        assert!(!may_write(&folder.path().join("missing")));
    }

    #[test]
    fn what_is_no_program_is_refused_in_words() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        fs::write(&path, "text").unwrap();
        assert!(Subject::read(&path).unwrap_err().contains("not a PE image"));
    }
}
