//! Packages from PyPI, unpacked in the cache: the compiler of the test programs, real programs,
//! Microsoft's C runtimes.
//!
//! A package is a folder of the cache, `NAME-VERSION-PLATFORM`, which appears when it is complete
//! and not before. Beside what was unpacked it holds [`MARKER`], by which a later run knows that
//! nothing was changed.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zip::ZipArchive;

use super::requirement::Requirement;
use crate::layout;
use crate::step::{self, Step};

/// The file that says what was unpacked in a folder of the cache; written last.
const MARKER: &str = "allograft-unpacked.json";

/// Which of a package's files is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// For x86-64 Linux.
    Linux,
    /// For x86-64 Windows.
    Windows,
    /// For 32-bit Windows.
    Windows32,
}

impl Platform {
    /// This machine's.
    pub const HOST: Platform = if cfg!(windows) { Platform::Windows } else { Platform::Linux };

    /// pip's word for it.
    fn tag(self) -> &'static str {
        match self {
            Platform::Linux => "manylinux_2_12_x86_64",
            Platform::Windows => "win_amd64",
            Platform::Windows32 => "win32",
        }
    }

    /// The Python that pip is to look for. The packages with 32-bit DLLs in them are for old ones;
    /// that is all the same to the DLLs.
    fn python(self) -> &'static [&'static str] {
        match self {
            Platform::Linux | Platform::Windows => &[],
            Platform::Windows32 => &["--python-version", "3.10"],
        }
    }

    /// Our word for it.
    fn name(self) -> &'static str {
        match self {
            Platform::Linux => "linux",
            Platform::Windows => "windows",
            Platform::Windows32 => "windows32",
        }
    }
}

/// A package that is, or is to be, in the cache.
pub struct Download {
    requirement: Requirement,
    requirements_file: PathBuf,
    platform: Platform,
    folder: PathBuf,
}

/// What [`MARKER`] says: which file was unpacked, and what the folder then held.
#[derive(Serialize, Deserialize, PartialEq, Eq)]
struct Unpacked {
    sha256: String,
    contents: Contents,
}

/// What a folder holds, as far as can be told without reading the files.
#[derive(Serialize, Deserialize, PartialEq, Eq, Default, Debug)]
struct Contents {
    files: u64,
    bytes: u64,
    /// Nanoseconds since 1970.
    newest: u64,
}

impl Download {
    /// The package of the requirements file `NAME.txt`, for `platform`.
    pub fn of(name: &str, platform: Platform) -> Result<Download> {
        let requirements_file = layout::own("requirements").join(format!("{name}.txt"));
        let text = fs::read_to_string(&requirements_file)
            .with_context(|| format!("reading {}", requirements_file.display()))?;
        let requirement = Requirement::parse(&text)
            .with_context(|| format!("reading {}", requirements_file.display()))?;
        let folder = layout::cache()?.join(format!(
            "{}-{}-{}",
            requirement.name,
            requirement.version,
            platform.name()
        ));
        Ok(Download { requirement, requirements_file, platform, folder })
    }

    /// The package's version.
    pub fn version(&self) -> &str {
        &self.requirement.version
    }

    /// The unpacked file `name`.
    pub fn file(&self, name: &str) -> Result<PathBuf> {
        let file = self.folder.join(name);
        if !file.is_file() {
            bail!("the package {self} holds no {name}");
        }
        Ok(file)
    }

    /// Whether it is unpacked in the cache, from a file of one of its hashes, and unchanged since.
    pub fn is_there(&self) -> bool {
        let marker = fs::read(self.folder.join(MARKER)).ok();
        let unpacked = marker.and_then(|text| serde_json::from_slice::<Unpacked>(&text).ok());
        unpacked.is_some_and(|unpacked| {
            self.requirement.sha256.contains(&unpacked.sha256)
                && contents(&self.folder).is_ok_and(|contents| contents == unpacked.contents)
        })
    }

    /// Downloads and unpacks it, if it is not there.
    ///
    /// # Errors
    ///
    /// When it cannot be downloaded, or what comes has another hash than those of the requirements
    /// file.
    pub fn fetch(&self) -> Result<()> {
        if self.is_there() {
            return Ok(());
        }
        let step = Step::begin(format!("set-up: downloading {self} from PyPI"));
        let partial = layout::partial(&self.folder);
        let outcome = self.fetch_into(&partial);
        if outcome.is_err() {
            fs::remove_dir_all(&partial).ok();
        }
        outcome?;
        step.done();
        Ok(())
    }

    fn fetch_into(&self, partial: &Path) -> Result<()> {
        fs::create_dir_all(partial).with_context(|| format!("making {}", partial.display()))?;
        let wheels = partial.join("wheel");
        self.pip_download(&wheels)?;
        let (wheel, sha256) = self.checked_wheel(&wheels)?;
        unpack(&wheel, partial).with_context(|| format!("unpacking {self}"))?;
        fs::remove_dir_all(&wheels)?;
        let unpacked = Unpacked { sha256, contents: contents(partial)? };
        fs::write(partial.join(MARKER), serde_json::to_vec(&unpacked)?)?;
        if self.folder.exists() && !self.is_there() {
            fs::remove_dir_all(&self.folder)
                .with_context(|| format!("removing {}", self.folder.display()))?;
        }
        match fs::rename(partial, &self.folder) {
            // Another run was faster; its folder is as good.
            Err(_) if self.is_there() => Ok(fs::remove_dir_all(partial)?),
            outcome => outcome.with_context(|| format!("making {}", self.folder.display())),
        }
    }

    fn pip_download(&self, into: &Path) -> Result<()> {
        let python =
            pip().ok_or_else(|| anyhow!("there is no Python with pip to download {self} with"))?;
        let mut command = Command::new(python);
        command
            .args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"])
            .args(["--no-deps", "--only-binary=:all:", "--platform", self.platform.tag()])
            .args(self.platform.python())
            .args(["--require-hashes", "--requirement"])
            .arg(&self.requirements_file)
            .arg("--dest")
            .arg(into);
        step::capture(&mut command).map(drop).with_context(|| {
            format!("downloading {self}, expected sha256 {}", self.requirement.sha256.join(" or "))
        })
    }

    /// Finds the one file that was downloaded, and its hash, which must be one that the
    /// requirements file gives.
    fn checked_wheel(&self, folder: &Path) -> Result<(PathBuf, String)> {
        let mut files = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
        let (Some(file), true) = (files.pop(), files.is_empty()) else {
            bail!("downloading {self} brought not exactly one file");
        };
        let sha256 = sha256_of(&file.path())?;
        if !self.requirement.sha256.contains(&sha256) {
            bail!(
                "{self}: the file {} has sha256 {sha256}, expected {}",
                file.file_name().to_string_lossy(),
                self.requirement.sha256.join(" or ")
            );
        }
        Ok((file.path(), sha256))
    }
}

impl std::fmt::Display for Download {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.requirement.name, self.requirement.version)
    }
}

/// The Python whose pip downloads, if there is one.
pub fn pip() -> Option<&'static str> {
    let candidates: &[&str] =
        if cfg!(windows) { &["python", "py"] } else { &["python3", "/usr/bin/python3"] };
    candidates
        .iter()
        .copied()
        .find(|python| step::capture(Command::new(python).args(["-m", "pip", "--version"])).is_ok())
}

/// The SHA-256 of a file, in lower-case hexadecimal digits.
pub fn sha256_of(path: &Path) -> Result<String> {
    let mut file = File::open(path).with_context(|| format!("reading {}", path.display()))?;
    let mut hash = Sha256::new();
    let mut part = vec![0; 1 << 20];
    loop {
        let read = io::Read::read(&mut file, &mut part)
            .with_context(|| format!("reading {}", path.display()))?;
        if read == 0 {
            break;
        }
        hash.update(&part[..read]);
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn unpack(wheel: &Path, into: &Path) -> Result<()> {
    let mut archive = ZipArchive::new(File::open(wheel)?)?;
    archive.extract(into)?;
    make_executable(into)
}

/// Wheels made on Windows carry no permissions; programs need one to be run by name.
#[cfg(unix)]
fn make_executable(folder: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;

    let zig = folder.join("ziglang/zig");
    if zig.is_file() {
        fs::set_permissions(&zig, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn make_executable(_folder: &Path) -> Result<()> {
    Ok(())
}

fn contents(folder: &Path) -> io::Result<Contents> {
    let mut sum = Contents::default();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
                continue;
            }
            if entry.file_name() == MARKER {
                continue;
            }
            let about = entry.metadata()?;
            let changed = about.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
            sum.files += 1;
            sum.bytes += about.len();
            sum.newest = sum.newest.max(u64::try_from(changed.as_nanos()).unwrap_or(u64::MAX));
        }
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_a_file_is_the_one_that_everyone_computes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("abc");
        fs::write(&file, "abc").unwrap();
        assert_eq!(
            sha256_of(&file).unwrap(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn a_changed_folder_has_other_contents() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("in")).unwrap();
        fs::write(folder.path().join("in/one"), "1").unwrap();
        let before = contents(folder.path()).unwrap();
        assert_eq!((before.files, before.bytes), (1, 1));
        fs::write(folder.path().join(MARKER), "{}").unwrap();
        assert_eq!(contents(folder.path()).unwrap(), before);
        fs::write(folder.path().join("in/two"), "22").unwrap();
        assert_ne!(contents(folder.path()).unwrap(), before);
    }
}
