//! The project's folders: in the checkout, under its target folder, and in the cache outside.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, anyhow};

pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The checkout's root, taken at compile time: as cargo's runner, this program starts in other
/// folders.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the xtask package lies in a folder of the checkout")
}

pub fn own(part: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(part)
}

/// The target folder: cargo's own, which CARGO_TARGET_DIR can move.
pub fn target() -> PathBuf {
    let named = env::var_os("CARGO_TARGET_DIR").filter(|folder| !folder.is_empty());
    root().join(named.unwrap_or_else(|| "target".into()))
}

pub fn stage() -> PathBuf {
    target().join("allograft")
}

/// The description of the stage; or, with a name like `-debug`, of a variant of it.
pub fn stage_file(variant: &str) -> PathBuf {
    stage().join(format!("stage{variant}.json"))
}

pub fn prefixes() -> PathBuf {
    target().join("wine")
}

/// What is downloaded, outside of the checkout.
pub fn cache() -> Result<PathBuf> {
    let folder = |name: &str| env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    folder("ALLOGRAFT_CACHE")
        .or_else(|| folder("XDG_CACHE_HOME").map(|cache| cache.join("allograft")))
        .or_else(|| folder("LOCALAPPDATA").map(|data| data.join("allograft")))
        .or_else(|| folder("HOME").map(|home| home.join(".cache/allograft")))
        .ok_or_else(|| anyhow!("no folder for downloads: set ALLOGRAFT_CACHE to one"))
}

pub fn in_path(name: &str) -> Option<PathBuf> {
    let name = format!("{name}{}", env::consts::EXE_SUFFIX);
    env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join(&name))
        .find(|file| file.is_file())
}

/// The cargo that runs this program, to be run in the checkout; tests that it runs find the stage
/// by the variable.
pub fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).env("ALLOGRAFT_STAGE", stage_file(""));
    command
}

/// The name under which this process makes `path`, before it renames it. Another process that makes
/// the same uses another.
pub fn partial(path: &Path) -> PathBuf {
    beside(path, &format!("partial-{}", std::process::id()))
}

/// How old a partial folder is before it counts as left over from a run that was interrupted; no
/// step takes nearly as long.
const LEFT_OVER: Duration = Duration::from_secs(3600);

/// Removes from `folder` what interrupted runs left there.
pub fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let changed = entry.metadata().and_then(|about| about.modified());
        let is_old = changed.is_ok_and(|changed| changed.elapsed().unwrap_or_default() > LEFT_OVER);
        if is_old && entry.file_name().to_string_lossy().contains(".partial-") {
            // If it cannot be removed, it does no harm.
            fs::remove_dir_all(entry.path()).ok();
        }
    }
}

/// `path` with a further extension: `a/b-1.2` and `new` make `a/b-1.2.new`.
pub fn beside(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{extension}"));
    name.into()
}

// Not on Windows, where a folder cannot be opened to set its time.
#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::time::SystemTime;

    #[test]
    fn only_old_partial_folders_are_swept() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["done", "old.partial-1", "new.partial-2"] {
            fs::create_dir(path(name)).unwrap();
        }
        let long_ago = SystemTime::now() - 2 * LEFT_OVER;
        for name in ["done", "old.partial-1"] {
            fs::File::open(path(name)).unwrap().set_modified(long_ago).unwrap();
        }
        sweep(folder.path());
        assert!(path("done").exists() && path("new.partial-2").exists());
        assert!(!path("old.partial-1").exists());
    }
}
