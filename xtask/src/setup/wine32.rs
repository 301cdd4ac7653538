//! A Wine that runs 32-bit programs beside 64-bit ones, in one prefix.
//!
//! Debian's 64-bit Wine runs 32-bit programs by itself if it finds the 32-bit DLLs, which Debian gives in a package of another architecture. A
//! system takes that one only if it was told of the architecture. Here the package is unpacked in the cache and used from there: nothing is
//! installed, and nothing takes root. A script starts the machine's Wine and tells it where these DLLs are.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use crate::files::write_script;
use crate::layout;
use crate::step::{self, Step};
use crate::wine::Wine;

/// How long apt may take with its lists, and with a package of 95 MB.
const APT_LIMIT: Duration = Duration::from_secs(600);

/// The package of Wine's DLLs.
const PACKAGE: &str = "libwine";

/// Where in it the folder of the 32-bit DLLs is.
const PLACE_IN_PACKAGE: &str = "usr/lib/i386-linux-gnu/wine";

/// The folder of the 32-bit DLLs, as Wine calls it.
const DLLS: &str = "i386-windows";

/// The file that says which Wine the DLLs belong to; written last.
const BELONGS_TO: &str = "belongs-to.txt";

/// The Wine that runs both: `wine` itself where it does, else one completed in the cache.
///
/// # Errors
///
/// Where the 32-bit DLLs cannot be had, with the reason.
pub fn complete(wine: &Wine) -> Result<Wine> {
    if wine.is_whole() {
        return Ok(wine.clone());
    }
    let folder = Wine::completed_folder()?;
    let version = wine.version()?;
    let belongs =
        fs::read_to_string(folder.join(BELONGS_TO)).is_ok_and(|text| text.trim() == version);
    if !belongs {
        let step = Step::begin("set-up: downloading the 32-bit half of Wine");
        make(wine, &version, &folder)?;
        step.done();
    }
    Wine::completed().ok_or_else(|| anyhow!("{} holds no loader", folder.display()))
}

fn make(wine: &Wine, version: &str, folder: &Path) -> Result<()> {
    let package = debian_version(version).ok_or_else(|| {
        anyhow!("only of Debian's Wine the 32-bit half is known, and this is {version}")
    })?;
    let partial = layout::partial(folder);
    fs::create_dir_all(&partial).with_context(|| format!("making {}", partial.display()))?;
    let outcome = fill(wine, package, &partial)
        .and_then(|()| Ok(fs::write(partial.join(BELONGS_TO), version)?))
        .and_then(|()| publish(&partial, folder));
    if outcome.is_err() {
        fs::remove_dir_all(&partial).ok();
    }
    outcome
}

/// The `8.0~repack-4` of "wine-8.0 (Debian 8.0~repack-4)".
fn debian_version(version: &str) -> Option<&str> {
    version
        .split_once("(Debian ")?
        .1
        .split_once(')')
        .map(|(version, _)| version)
}

fn fill(wine: &Wine, version: &str, folder: &Path) -> Result<()> {
    for tool in ["apt-get", "dpkg-deb"] {
        if layout::in_path(tool).is_none() {
            bail!("there is no {tool}");
        }
    }
    let scratch = folder.join("scratch");
    let package = download(version, &scratch)?;
    let unpacked = scratch.join("unpacked");
    let mut extract = Command::new("dpkg-deb");
    step::capture(extract.arg("--extract").arg(package).arg(&unpacked))?;
    fs::rename(
        unpacked.join(PLACE_IN_PACKAGE).join(DLLS),
        folder.join(DLLS),
    )
    .context("the package has no 32-bit DLLs where they were expected")?;
    fs::remove_dir_all(scratch)?;
    write_script(&folder.join("wine64"), &script(wine))
}

/// Downloads the package by an apt with state of its own, which thinks that it looks after an empty 32-bit system.
fn download(version: &str, folder: &Path) -> Result<PathBuf> {
    for part in ["lists/partial", "cache/archives/partial", "state"] {
        fs::create_dir_all(folder.join(part))?;
    }
    fs::write(folder.join("status"), "")?;
    let configuration = folder.join("apt.conf");
    fs::write(&configuration, configuration_of_apt(folder))?;
    let apt_get = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command
            .current_dir(folder)
            .env("APT_CONFIG", &configuration)
            .arg("--quiet")
            .args(arguments);
        step::capture_within(&mut command, APT_LIMIT)
    };
    // Some source may be out of order, and the package be in another.
    let lists = apt_get(&["update"]);
    let wanted = format!("{PACKAGE}={version}");
    apt_get(&["download", &wanted]).map_err(|error| {
        error.context(match lists {
            Ok(()) => format!("apt's sources have no {wanted} for i386"),
            Err(lists) => format!("apt has no lists of packages for i386 ({lists:#})"),
        })
    })?;
    fs::read_dir(folder)?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .with_context(|| format!("apt downloaded no {wanted}"))
}

fn configuration_of_apt(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "APT::Architecture \"i386\";\n\
         APT::Architectures {{ \"i386\"; }};\n\
         APT::Sandbox::User \"root\";\n\
         Acquire::Languages \"none\";\n\
         Dir::State \"{folder}/state\";\n\
         Dir::State::lists \"{folder}/lists\";\n\
         Dir::State::status \"{folder}/status\";\n\
         Dir::Cache \"{folder}/cache\";\n"
    )
}

/// What starts every program.
fn script(wine: &Wine) -> String {
    format!(
        "#!/bin/sh\n\
         WINEDLLPATH=\"${{0%/*}}\" exec \"{}\" \"$@\"\n",
        wine.loader.display()
    )
}

fn publish(partial: &Path, folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    fs::rename(partial, folder).with_context(|| format!("making {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_is_of_the_version_of_the_wine_that_is_installed() {
        assert_eq!(
            debian_version("wine-8.0 (Debian 8.0~repack-4)"),
            Some("8.0~repack-4")
        );
        assert_eq!(debian_version("wine-9.0"), None);
    }
}
