//! Wine prefixes under the target folder: one made by Wine, and copies of it with Microsoft's C
//! runtimes.
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
    add_process_prng("x86_64-w64-mingw32-gcc", "DllMain", &partial.system32())?;
    if runs_32_bits(&partial) {
        add_process_prng("i686-w64-mingw32-gcc", "_DllMain@12", &partial.syswow64())?;
    }
    publish(&partial, &prefix, &made_from)?;
    step.done();
    Ok(prefix)
}

/// Files of Microsoft's runtimes for programs of one machine.
pub struct Runtimes {
    /// `ucrtbase.dll`
    pub crt: PathBuf,
    /// The SHA-256 that it must have.
    pub sha256: &'static str,
    /// The DLLs of the C++ runtime.
    pub cpp: Vec<PathBuf>,
}

impl Runtimes {
    fn files(&self) -> impl Iterator<Item = &Path> {
        self.cpp.iter().chain([&self.crt]).map(PathBuf::as_path)
    }

    fn check(&self) -> Result<()> {
        let sha256 = sha256_of(&self.crt)?;
        if sha256 != self.sha256 {
            bail!("{} has sha256 {sha256}, expected {}", self.crt.display(), self.sha256);
        }
        Ok(())
    }

    /// Puts the files into `folder`, in the place of Wine's own.
    fn put_into(&self, folder: &Path) -> Result<()> {
        for file in self.files() {
            let place = folder.join(file.file_name().unwrap_or_default());
            // Removed first, in case it is a link to Wine's own.
            fs::remove_file(&place).ok();
            fs::copy(file, &place).with_context(|| format!("writing {}", place.display()))?;
        }
        Ok(())
    }
}

/// The prefix with Microsoft's C runtime `crt`, of which `runtimes` are the files, and `runtimes32`
/// those for 32-bit programs, where there are such; made from the base prefix if need be.
pub fn with_crt(
    wine: &Wine,
    crt: &Crt,
    runtimes: &Runtimes,
    runtimes32: Option<&Runtimes>,
) -> Result<Prefix> {
    let prefix = Prefix::named(crt.version);
    let mut made_from = made_from(wine)?;
    for runtimes in [Some(runtimes), runtimes32].into_iter().flatten() {
        made_from.push_str(&format!("ucrtbase.dll {}\n", runtimes.sha256));
        for file in runtimes.files() {
            made_from.push_str(&format!("{}\n", file.display()));
        }
    }
    if is_made_from(&prefix, &made_from) {
        return Ok(prefix);
    }
    runtimes.check()?;
    if let Some(runtimes32) = runtimes32 {
        runtimes32.check()?;
    }
    let step =
        Step::begin(format!("set-up: making the Wine prefix with ucrtbase.dll {}", crt.version));
    let partial = partial(&prefix)?;
    let base = Prefix::named(Prefix::OWN);
    fs::remove_dir(&partial.folder)?;
    let mut copy = Command::new("cp");
    copy.args(["--archive", "--reflink=auto"]).arg(&base.folder).arg(&partial.folder);
    step::capture(&mut copy)?;
    runtimes.put_into(&partial.system32())?;
    if let Some(runtimes32) = runtimes32 {
        runtimes32.put_into(&partial.syswow64())?;
    }
    publish(&partial, &prefix, &made_from)?;
    step.done();
    Ok(prefix)
}

fn process_prng_source() -> PathBuf {
    layout::own("wine/process_prng.c")
}

/// Whether 32-bit programs run in `prefix`: it was made by a Wine that runs them.
pub fn runs_32_bits(prefix: &Prefix) -> bool {
    prefix.syswow64().join("kernel32.dll").is_file()
}

/// What a base prefix depends on: Wine, and the source of the DLL that it lacks.
fn made_from(wine: &Wine) -> Result<String> {
    Ok(format!(
        "{} for {} bits\nprocess_prng.c {}\n",
        wine.version()?,
        if wine.is_whole() { "64 and 32" } else { "64" },
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
    Ok(Prefix { name: prefix.name.clone(), folder })
}

fn boot(wine: &Wine, prefix: &Prefix) -> Result<()> {
    let mut command = wine.command(prefix, "wineboot.exe");
    // Without the two, Wine asks whether to install .NET and a browser engine; without a display,
    // it cannot even ask.
    command.arg("--init").env("WINEDLLOVERRIDES", "mscoree,mshtml=;winedbg.exe=d");
    command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
    step::capture_within(&mut command, LIMIT)?;
    wine.settle(prefix)?;
    if !prefix.system32().join("kernel32.dll").is_file() {
        bail!("Wine made a prefix without kernel32.dll");
    }
    Ok(())
}

/// Compiles, by `gcc`, the DLL that Rust's standard library needs and Wine 8 lacks; `entry` is its
/// entry point as the linker calls it.
fn add_process_prng(gcc: &str, entry: &str, folder: &Path) -> Result<()> {
    let mut gcc = Command::new(gcc);
    gcc.args([
        "-O2",
        "-s",
        "-shared",
        "-nostdlib",
        "-nostartfiles",
        // 32-bit names would else be exported with the size of their arguments.
        "-Wl,--kill-at",
        &format!("-Wl,--entry={entry}"),
        "-o",
    ])
    .arg(folder.join("bcryptprimitives.dll"))
    .arg(process_prng_source())
    .arg("-ladvapi32");
    step::capture(&mut gcc).map(drop).context("compiling bcryptprimitives.dll for the Wine prefix")
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
