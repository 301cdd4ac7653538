//! Requirements files in pip's format: one package of one version, and the hashes that its files
//! may have.

use anyhow::{Result, bail};

/// What a requirements file asks for.
#[derive(Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The package's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The SHA-256 hashes, in lower-case hexadecimal digits, of the files that will do.
    pub sha256: Vec<String>,
}

impl Requirement {
    /// Reads the text of a requirements file that pins one package.
    pub fn parse(text: &str) -> Result<Requirement> {
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
        Ok(Requirement { name: name.to_owned(), version: version.to_owned(), sha256 })
    }
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64
        && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_with_its_hashes_is_read() {
        let (a, b) = ("a".repeat(64), "b".repeat(64));
        let text =
            format!("# why\nsome-tool==1.2 \\\n    --hash=sha256:{a} \\\n    --hash=sha256:{b}\n");
        let requirement = Requirement::parse(&text).unwrap();
        assert_eq!((requirement.name.as_str(), requirement.version.as_str()), ("some-tool", "1.2"));
        assert_eq!(requirement.sha256, [a, b]);
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
    fn every_committed_file_is_one() {
        for entry in std::fs::read_dir(crate::layout::own("requirements")).unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            Requirement::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
    }
}
