//! Debian packages that are unpacked in the cache instead of being installed: those of another
//! architecture, or of another release. They are downloaded by an apt with separate state, as if
//! for an empty system, and root is not needed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::files::{entries, read};
use crate::layout;
use crate::step;

/// How long apt may take with its lists, and with 200 MB of packages.
const APT_LIMIT: Duration = Duration::from_secs(600);

/// Where the packages come from.
pub struct Archive {
    /// The architectures; the first is that of names without one.
    pub architectures: &'static [&'static str],
    /// The name of a release; `None` for what apt's own sources name.
    pub release: Option<&'static str>,
}

impl Archive {
    /// Downloads `packages`, in the form `NAME[:ARCHITECTURE][=VERSION]`, and unpacks them below
    /// `root`. `scratch` is a folder for files in between, which is removed.
    pub fn unpack(&self, packages: &[String], root: &Path, scratch: &Path) -> Result<()> {
        for tool in ["apt-get", "dpkg-deb"] {
            if layout::in_path(tool).is_none() {
                bail!("there is no {tool}");
            }
        }
        for package in self.download(packages, scratch)? {
            let mut extract = Command::new("dpkg-deb");
            step::capture(extract.arg("--extract").arg(package).arg(root))?;
        }
        fs::remove_dir_all(scratch)?;
        Ok(())
    }

    fn download(&self, packages: &[String], folder: &Path) -> Result<Vec<PathBuf>> {
        for part in ["lists/partial", "cache/archives/partial", "state", "sources"] {
            fs::create_dir_all(folder.join(part))?;
        }
        fs::write(folder.join("status"), "")?;
        if let Some(release) = self.release {
            let source = format!(
                "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {} {release} main\n",
                mirror()?
            );
            fs::write(folder.join("sources/release.list"), source)?;
        }
        let configuration = folder.join("apt.conf");
        fs::write(&configuration, self.configuration(folder))?;
        let apt_get = |arguments: &[String]| {
            let mut command = Command::new("apt-get");
            command
                .current_dir(folder)
                .env("APT_CONFIG", &configuration)
                .arg("--quiet")
                .args(arguments);
            step::capture_within(&mut command, APT_LIMIT)
        };
        // Some source may be out of order, and the packages be in another.
        let lists = apt_get(&["update".to_owned()]);
        let download = [&["download".to_owned()], packages].concat();
        let architectures = self.architectures.join(" and ");
        apt_get(&download).map_err(|error| {
            error.context(match lists {
                Ok(()) => format!("apt's sources lack packages for {architectures}"),
                Err(lists) => {
                    format!("apt has no lists of packages for {architectures} ({lists:#})")
                }
            })
        })?;
        let mut files = entries(folder)?;
        files.retain(|path| path.extension().is_some_and(|extension| extension == "deb"));
        Ok(files)
    }

    fn configuration(&self, folder: &Path) -> String {
        let folder = folder.display();
        let quoted = |name: &&str| format!("\"{name}\";");
        let all: String = self.architectures.iter().map(quoted).collect();
        let sources = match self.release {
            Some(_) => format!(
                "Dir::Etc::sourcelist \"/dev/null\";\nDir::Etc::sourceparts \"{folder}/sources\";\n"
            ),
            None => String::new(),
        };
        format!(
            "APT::Architecture \"{}\";\n\
             APT::Architectures {{ {all} }};\n\
             APT::Sandbox::User \"root\";\n\
             Acquire::Languages \"none\";\n\
             Dir::State \"{folder}/state\";\n\
             Dir::State::lists \"{folder}/lists\";\n\
             Dir::State::status \"{folder}/status\";\n\
             Dir::Cache \"{folder}/cache\";\n\
             {sources}",
            self.architectures[0]
        )
    }
}

/// The mirror from which this machine has its own release of Debian.
fn mirror() -> Result<String> {
    let about = read(Path::new("/etc/os-release"))?;
    let release = about.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    let release = release.context("/etc/os-release names no release")?;
    let mut list = Command::new("apt-get");
    list.args(["indextargets", "--format", "$(RELEASE) $(REPO_URI)", "Created-By: Packages"]);
    let list = step::capture(&mut list)?;
    let found = list.lines().find_map(|line| line.strip_prefix(release)?.strip_prefix(' '));
    found.map(str::to_owned).with_context(|| format!("apt's sources lack the release {release}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_release_takes_the_place_of_apts_own_sources() {
        let archive = Archive { architectures: &["amd64", "i386"], release: Some("trixie") };
        let text = archive.configuration(Path::new("/scratch"));
        assert!(text.contains("Architectures { \"amd64\";\"i386\"; }"), "{text}");
        assert!(text.contains("sourceparts \"/scratch/sources\""), "{text}");
        let own = Archive { release: None, ..archive }.configuration(Path::new("/scratch"));
        assert!(!own.contains("source"), "{own}");
    }
}
