//! Wine prefixes under the target folder: one made by Wine, and copies of it with Microsoft's C
//! runtimes.
//!
//! A prefix is made under another name and renamed when it is complete.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use allograft_tests::{Target, X64, X86};
use anyhow::{Context, Result, bail};

use crate::crt::KnownCrt;
use crate::files::{copy, publish, sha256_of};
use crate::layout;
use crate::step::{self, Step};
use crate::wine::{Prefix, Wine};

/// The file of a prefix that says what it was made from.
const MADE_FROM: &str = "allograft-prefix.txt";

/// How long Wine may take to make a prefix; it takes 8 s on two cores.
const LIMIT: Duration = Duration::from_secs(300);

/// The prefix with Wine's own C runtime, made if there is none or it is of another Wine.
pub fn base(wine: &Wine) -> Result<Prefix> {
    let made_from = made_from(wine)?;
    make(wine, Prefix::OWN, &made_from, |partial| {
        fs::create_dir_all(&partial.folder)?;
        boot(wine, partial).context("making the Wine prefix")?;
        add_process_prng("x86_64-w64-mingw32-gcc", "DllMain", &partial.system_folder(&X64))?;
        if runs_32_bits(partial) {
            let folder = partial.system_folder(&X86);
            add_process_prng("i686-w64-mingw32-gcc", "_DllMain@12", &folder)?;
        }
        Ok(())
    })
}

/// Files of Microsoft's runtimes for one kind of programs.
pub struct Runtimes {
    pub target: &'static Target,
    /// `ucrtbase.dll`, which must have this hash.
    pub crt: PathBuf,
    pub sha256: &'static str,
    /// The DLLs of the C++ runtime.
    pub cpp: Vec<PathBuf>,
}

impl Runtimes {
    fn files(&self) -> impl Iterator<Item = &Path> {
        self.cpp.iter().chain([&self.crt]).map(PathBuf::as_path)
    }

    fn put_into(&self, folder: &Path) -> Result<()> {
        let sha256 = sha256_of(&self.crt)?;
        if sha256 != self.sha256 {
            bail!("{} has sha256 {sha256}, expected {}", self.crt.display(), self.sha256);
        }
        for file in self.files() {
            let place = folder.join(file.file_name().unwrap_or_default());
            // Removed first, in case it is a link to Wine's own.
            fs::remove_file(&place).ok();
            copy(file, &place)?;
        }
        Ok(())
    }
}

/// The prefix with Microsoft's C runtime `crt`, made if need be from the base prefix. `runtimes`
/// are the files for 64-bit programs, and for 32-bit ones where there are any.
pub fn with_crt(wine: &Wine, crt: &KnownCrt, runtimes: &[Runtimes]) -> Result<Prefix> {
    let base = wine.prefix(Prefix::OWN);
    let has_folder = |one: &&Runtimes| *one.target == X64 || runs_32_bits(&base);
    let runtimes: Vec<_> = runtimes.iter().filter(has_folder).collect();
    let mut made_from = made_from(wine)?;
    for runtimes in &runtimes {
        made_from.push_str(&format!("ucrtbase.dll {}\n", runtimes.sha256));
        for file in runtimes.files() {
            made_from.push_str(&format!("{}\n", file.display()));
        }
    }
    make(wine, crt.version, &made_from, |partial| {
        let mut copy = Command::new("cp");
        copy.args(["--archive", "--reflink=auto"]).arg(&base.folder).arg(&partial.folder);
        step::capture(&mut copy)?;
        runtimes.iter().try_for_each(|one| one.put_into(&partial.system_folder(one.target)))
    })
}

/// Makes the prefix `name` by `fill`, which is given a prefix without a folder, unless it was
/// `made_from` the same before.
fn make(
    wine: &Wine,
    name: &str,
    made_from: &str,
    fill: impl FnOnce(&Prefix) -> Result<()>,
) -> Result<Prefix> {
    let prefix = wine.prefix(name);
    if is_made_from(&prefix, made_from) {
        return Ok(prefix);
    }
    let step = Step::begin(format!("set-up: making the prefix {name} of {}", wine.version()?));
    let partial = Prefix { folder: layout::partial(&prefix.folder), ..prefix.clone() };
    fs::create_dir_all(&wine.prefixes)?;
    fill(&partial)?;
    fs::write(partial.folder.join(MADE_FROM), made_from)?;
    publish(&partial.folder, &prefix.folder, || is_made_from(&prefix, made_from))?;
    step.done();
    Ok(prefix)
}

/// The source of a DLL that Wine 8 lacks and Rust's standard library needs.
const PROCESS_PRNG: &str = "wine/process_prng.c";

/// Whether 32-bit programs run in `prefix`: it was made by a Wine that runs them.
pub fn runs_32_bits(prefix: &Prefix) -> bool {
    prefix.system_folder(&X86).join("kernel32.dll").is_file()
}

fn made_from(wine: &Wine) -> Result<String> {
    Ok(format!(
        "{} for {} bits\nprocess_prng.c {}\n",
        wine.version()?,
        if wine.is_whole { "64 and 32" } else { "64" },
        sha256_of(&layout::own(PROCESS_PRNG))?
    ))
}

fn is_made_from(prefix: &Prefix, made_from: &str) -> bool {
    fs::read_to_string(prefix.folder.join(MADE_FROM)).is_ok_and(|text| text == made_from)
}

fn boot(wine: &Wine, prefix: &Prefix) -> Result<()> {
    let mut command = wine.command(prefix, "wineboot.exe");
    // Without the two, Wine asks whether to install .NET and a browser engine; without a display,
    // it cannot even ask.
    command.arg("--init").env("WINEDLLOVERRIDES", "mscoree,mshtml=;winedbg.exe=d");
    command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
    step::capture_within(&mut command, LIMIT)?;
    wine.settle(prefix)?;
    if !prefix.system_folder(&X64).join("kernel32.dll").is_file() {
        bail!("Wine made a prefix without kernel32.dll");
    }
    Ok(())
}

/// Compiles that DLL by `gcc`, unless Wine has one; `entry` is its entry point as the linker calls it.
fn add_process_prng(gcc: &str, entry: &str, folder: &Path) -> Result<()> {
    let dll = folder.join("bcryptprimitives.dll");
    if dll.is_file() {
        return Ok(());
    }
    let mut gcc = Command::new(gcc);
    gcc.args(["-O2", "-s", "-shared", "-nostdlib", "-nostartfiles"])
        // 32-bit names would else be exported with the size of their arguments.
        .args(["-Wl,--kill-at", &format!("-Wl,--entry={entry}"), "-o"])
        .arg(dll)
        .arg(layout::own(PROCESS_PRNG))
        .arg("-ladvapi32");
    step::capture(&mut gcc).map(drop).context("compiling bcryptprimitives.dll for the Wine prefix")
}
