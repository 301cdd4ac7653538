//! A Wine that runs 32-bit programs beside 64-bit ones, in one prefix.
//!
//! Debian has Wine's 32-bit half in packages of another architecture, which a system must be
//! configured for. Here the packages that console programs need are unpacked in the cache and used
//! from there, by their own dynamic loader: nothing is installed, and root is not needed. Wine
//! finds both halves because they lie in the same folders as on Debian.
//!
//! With the 32-bit DLLs alone, this Wine would run 32-bit programs too, in 64-bit processes. But
//! there it loses calls that are queued to a thread that has not started.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, anyhow};

use super::debian::Archive;
use crate::files::{copy, make_folder, publish, write_script};
use crate::layout;
use crate::step::{self, Step};
use crate::wine::{self, Wine};

const ARCHIVE: Archive = Archive { architectures: &["i386"], release: None };

/// Wine's own packages, which must be of the version of the 64-bit half.
const WINE: [&str; 2] = ["libwine", "wine32"];

/// What they need to run console programs.
const LIBRARIES: [&str; 4] = ["libc6", "libgcc-s1", "liblzma5", "libunwind8"];

/// The folder of the packages' files. The next three are paths in it.
const ROOT: &str = "root";

const DYNAMIC_LOADER: &str = "lib/i386-linux-gnu/ld-linux.so.2";
const DLLS: &str = "usr/lib/i386-linux-gnu/wine";

/// Wine looks for itself, and for the other loader, beside the file that runs; for a 32-bit program
/// that is the dynamic loader, which is copied there.
const LOADERS: &str = "usr/lib/wine";

/// The file that says which Wine the half belongs to; written last.
const BELONGS_TO: &str = "belongs-to.txt";

/// The Wine that runs both: `wine` itself, or one completed in the cache. The error is why the
/// 32-bit half cannot be had.
pub fn complete(wine: &Wine) -> Result<Wine> {
    if wine.is_whole {
        return Ok(wine.clone());
    }
    let folder = Wine::completed_folder()?;
    let version = wine.version()?;
    if !belongs_to(&folder, &version) {
        let step = Step::begin("set-up: downloading the 32-bit half of Wine");
        make(wine, &version, &folder)?;
        step.done();
    }
    // Written also where the rest was there: an older set-up may have made it.
    let (place, text) = (folder.join("wine64"), script(wine));
    if fs::read_to_string(&place).ok().as_deref() != Some(&text) {
        write_script(&place, &text)?;
    }
    Wine::completed().ok_or_else(|| anyhow!("{} holds no loader", folder.display()))
}

/// Whether the 32-bit half is to be downloaded: the installed Wine lacks it, and so does the cache.
pub fn is_missing() -> bool {
    Wine::completed().is_none() && Wine::installed().is_none_or(|wine| !wine.is_whole)
}

fn belongs_to(folder: &Path, version: &str) -> bool {
    fs::read_to_string(folder.join(BELONGS_TO)).is_ok_and(|text| text.trim() == version)
}

fn make(wine: &Wine, version: &str, folder: &Path) -> Result<()> {
    let package = debian_version(version).ok_or_else(|| {
        anyhow!("only of Debian's Wine the 32-bit half is known, and this is {version}")
    })?;
    let partial = layout::partial(folder);
    make_folder(&partial)?;
    fill(wine, package, &partial)
        .and_then(|()| Ok(fs::write(partial.join(BELONGS_TO), version)?))
        .and_then(|()| publish(&partial, folder, || belongs_to(folder, version)))
        .inspect_err(|_| {
            fs::remove_dir_all(&partial).ok();
        })
}

/// The `8.0~repack-4` of "wine-8.0 (Debian 8.0~repack-4)".
fn debian_version(version: &str) -> Option<&str> {
    version.split_once("(Debian ")?.1.split_once(')').map(|(version, _)| version)
}

fn fill(wine: &Wine, version: &str, folder: &Path) -> Result<()> {
    let root = folder.join(ROOT);
    let mut packages = WINE.map(|package| format!("{package}={version}")).to_vec();
    packages.extend(LIBRARIES.map(str::to_owned));
    ARCHIVE.unpack(&packages, &root, &folder.join("scratch"))?;
    place_loaders(wine, &root)?;
    step::capture(Command::new(root.join(LOADERS).join("wine")).arg("--version"))
        .map(drop)
        .context("32-bit programs do not run on this machine")
}

/// Puts both loaders where Wine looks for them: the 64-bit one as it is, the 32-bit one behind a
/// script that starts it by its own dynamic loader.
fn place_loaders(wine: &Wine, root: &Path) -> Result<()> {
    let loaders = root.join(LOADERS);
    copy(&wine.loader, &loaders.join("wine64"))?;
    copy(&root.join(DYNAMIC_LOADER), &loaders.join("ld-linux.so.2"))?;
    fs::rename(loaders.join("wine"), loaders.join("wine.32"))
        .context("the package wine32 has no loader where it was expected")?;
    write_script(&loaders.join("wine"), SCRIPT_32)
}

fn script(wine: &Wine) -> String {
    format!(
        "#!/bin/sh\n\
         root=${{0%/*}}/{ROOT}\n\
         export WINESERVER=\"{}\"\n\
         export WINEDLLPATH=\"{HOST_DLLS}:$root/{DLLS}\"\n\
         exec {}\"$root/{LOADERS}/wine64\" \"$@\"\n",
        wine.server.display(),
        wine::at_fixed_addresses()
    )
}

/// Where Debian has the 64-bit half's DLLs.
const HOST_DLLS: &str = "/usr/lib/x86_64-linux-gnu/wine";

const SCRIPT_32: &str = r#"#!/bin/sh
here=${0%/*}
exec "$here/ld-linux.so.2" --library-path "$here/../i386-linux-gnu:$here/../../../lib/i386-linux-gnu" \
    --argv0 "$0" "$here/wine.32" "$@"
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packages_are_of_the_version_of_the_wine_that_is_installed() {
        assert_eq!(debian_version("wine-8.0 (Debian 8.0~repack-4)"), Some("8.0~repack-4"));
        assert_eq!(debian_version("wine-9.0"), None);
    }
}
