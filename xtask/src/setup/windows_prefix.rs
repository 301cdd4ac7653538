//! Wine prefixes under the target folder: one made by Wine, and copies of it with Microsoft's C runtimes.
//!
//! A prefix is made under another name and renamed when it is complete.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::downloads::sha256_of;
use crate::crt::Crt;
use crate::layout;
use crate::step::{self, Step};
use crate::wine::{Prefix, Wine};

/// The file of a prefix that says what it was made from.
const MADE_FROM: &str = "allograft-prefix.txt";

/// How long Wine may take to make a prefix; it takes 8 s on two cores.
const LIMIT: Duration = Duration::from_secs(300);

/// The prefix with Wine's own C runtime, made if there is none or it is of another Wine.
pub fn base(wine: &Wine) -> Result<Prefix> {
    let prefix = Prefix::named(Prefix::OWN);
    let made_from = made_from(wine)?;
    if is_made_from(&prefix, &made_from) {
        return Ok(prefix);
    }
    let step = Step::begin("set-up: making the Wine prefix");
    let partial = partial(&prefix)?;
    boot(wine, &partial).context("making the Wine prefix")?;
    add_process_prng(&partial)?;
    publish(&partial, &prefix, &made_from)?;
    step.done();
    Ok(prefix)
}

/// The prefix with Microsoft's C runtime `crt`, of which `dll` is the file, and with the files `cpp` of Microsoft's C++ runtime;
/// made from the base prefix if need be.
pub fn with_crt(wine: &Wine, crt: &Crt, dll: &Path, cpp: &[PathBuf]) -> Result<Prefix> {
    let prefix = Prefix::named(crt.version);
    let mut made_from = format!(
        "{}ucrtbase.dll {} {}\n",
        made_from(wine)?,
        crt.version,
        crt.sha256
    );
    for file in cpp {
        made_from.push_str(&format!("{}\n", file.display()));
    }
    if is_made_from(&prefix, &made_from) {
        return Ok(prefix);
    }
    let sha256 = sha256_of(dll)?;
    if sha256 != crt.sha256 {
        bail!(
            "ucrtbase.dll {} in {} has sha256 {sha256}, expected {}",
            crt.version,
            crt.package,
            crt.sha256
        );
    }
    let step = Step::begin(format!(
        "set-up: making the Wine prefix with ucrtbase.dll {}",
        crt.version
    ));
    let partial = partial(&prefix)?;
    let base = Prefix::named(Prefix::OWN);
    fs::remove_dir(&partial.folder)?;
    let mut copy = Command::new("cp");
    copy.args(["--archive", "--reflink=auto"])
        .arg(&base.folder)
        .arg(&partial.folder);
    step::capture(&mut copy)?;
    for file in cpp.iter().map(PathBuf::as_path).chain([dll]) {
        let place = partial
            .system32()
            .join(file.file_name().unwrap_or_default());
        // Removed first, in case it is a link to Wine's own.
        fs::remove_file(&place).ok();
        fs::copy(file, &place).with_context(|| format!("writing {}", place.display()))?;
    }
    publish(&partial, &prefix, &made_from)?;
    step.done();
    Ok(prefix)
}

fn process_prng_source() -> PathBuf {
    layout::own("wine/process_prng.c")
}

/// What a base prefix depends on: the version of Wine and the source of the DLL that it lacks.
fn made_from(wine: &Wine) -> Result<String> {
    Ok(format!(
        "{}\nprocess_prng.c {}\n",
        wine.version()?,
        sha256_of(&process_prng_source())?
    ))
}

fn is_made_from(prefix: &Prefix, made_from: &str) -> bool {
    fs::read_to_string(prefix.folder.join(MADE_FROM)).is_ok_and(|text| text == made_from)
}

/// An empty folder in which to make `prefix`.
fn partial(prefix: &Prefix) -> Result<Prefix> {
    let folder = layout::partial(&prefix.folder);
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    Ok(Prefix {
        name: prefix.name.clone(),
        folder,
    })
}

fn boot(wine: &Wine, prefix: &Prefix) -> Result<()> {
    let mut command = wine.command(prefix, "wineboot.exe");
    // Without the two, Wine asks whether to install .NET and a browser engine; without a display, it cannot even ask.
    command
        .arg("--init")
        .env("WINEDLLOVERRIDES", "mscoree,mshtml=;winedbg.exe=d");
    command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
    step::capture_within(&mut command, LIMIT)?;
    wine.settle(prefix)?;
    if !prefix.system32().join("kernel32.dll").is_file() {
        bail!("Wine made a prefix without kernel32.dll");
    }
    Ok(())
}

/// Compiles the DLL that Rust's standard library needs and Wine 8 lacks.
fn add_process_prng(prefix: &Prefix) -> Result<()> {
    let mut gcc = Command::new("x86_64-w64-mingw32-gcc");
    gcc.args([
        "-O2",
        "-s",
        "-shared",
        "-nostdlib",
        "-nostartfiles",
        "-Wl,--entry=DllMain",
        "-o",
    ])
    .arg(prefix.system32().join("bcryptprimitives.dll"))
    .arg(process_prng_source())
    .arg("-ladvapi32");
    step::capture(&mut gcc)
        .map(drop)
        .context("compiling bcryptprimitives.dll for the Wine prefix")
}

/// Gives a complete prefix its name.
fn publish(partial: &Prefix, prefix: &Prefix, made_from: &str) -> Result<()> {
    fs::write(partial.folder.join(MADE_FROM), made_from)?;
    if prefix.folder.exists() && !is_made_from(prefix, made_from) {
        fs::remove_dir_all(&prefix.folder)
            .with_context(|| format!("removing {}", prefix.folder.display()))?;
    }
    match fs::rename(&partial.folder, &prefix.folder) {
        // Another run was faster; its prefix is as good.
        Err(_) if is_made_from(prefix, made_from) => Ok(fs::remove_dir_all(&partial.folder)?),
        outcome => outcome.with_context(|| format!("making {}", prefix.folder.display())),
    }
}
