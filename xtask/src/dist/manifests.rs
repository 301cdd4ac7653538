//! What package managers are told of a release: manifests for winget and Scoop, a port for vcpkg
//! and a recipe for Conan. All are made from the templates in `packaging/`; nothing is published
//! from here.

use std::path::Path;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha512};
use time::OffsetDateTime;
use time::macros::format_description;

use crate::files::{fill_in, hex, read, sha256_of};
use crate::layout;

/// Where the project lives. The address is one of those that are reserved for examples: set it
/// before the first release.
const HOME: &str = "https://allograft.example";

/// winget's name of the package: its publisher and the package.
const IDENTIFIER: &str = "Allograft.Allograft";

const SUMMARY: &str = "mimalloc for any Windows program, without rebuilding it";

const DESCRIPTION: &str = "Puts a module into a program that redirects the heap functions of its \
    C runtime to mimalloc, before the program starts or while it runs. Blocks of the old heap \
    stay valid.";

/// The templates, and where in the folder of manifests each goes. `@…@` are words to fill in.
const TEMPLATES: [(&str, &str); 8] = [
    ("winget/version.yaml", "winget/@IDENTIFIER@.yaml"),
    ("winget/installer.yaml", "winget/@IDENTIFIER@.installer.yaml"),
    ("winget/locale.en-US.yaml", "winget/@IDENTIFIER@.locale.en-US.yaml"),
    ("scoop/allograft.json", "scoop/allograft.json"),
    ("vcpkg/vcpkg.json", "vcpkg/allograft/vcpkg.json"),
    ("vcpkg/portfile.cmake", "vcpkg/allograft/portfile.cmake"),
    ("vcpkg/usage", "vcpkg/allograft/usage"),
    ("conan/conanfile.py", "conan/conanfile.py"),
];

/// Writes the manifests for the release that is the zip, which was made at `time`, into `folder`.
pub fn write(zip: &Path, time: OffsetDateTime, folder: &Path) -> Result<()> {
    let name = zip.file_name().context("the zip has no name")?.to_string_lossy();
    let releases = format!("{HOME}/releases");
    let sha512 = std::fs::read(zip).map(Sha512::digest);
    let sha512 = sha512.with_context(|| format!("reading {}", zip.display()))?;
    let words = [
        ("@IDENTIFIER@", IDENTIFIER),
        ("@VERSION@", layout::VERSION),
        ("@HOME@", HOME),
        ("@RELEASES@", &releases),
        ("@URL@", &format!("{releases}/v{}/{name}", layout::VERSION)),
        ("@FOLDER@", name.strip_suffix(".zip").context("the zip is not called .zip")?),
        ("@SHA256@", &sha256_of(zip)?),
        ("@SHA512@", &hex(&sha512)),
        ("@DATE@", &time.format(format_description!("[year]-[month]-[day]"))?),
        ("@SUMMARY@", SUMMARY),
        ("@DESCRIPTION@", DESCRIPTION),
    ];
    for (template, to) in TEMPLATES {
        let to = folder.join(to.replace("@IDENTIFIER@", IDENTIFIER));
        fill_in(&layout::own("packaging").join(template), &words, &to)?;
        if let Some(word) = word_left_in(&read(&to)?) {
            bail!("{}: nothing is known of the word {word}", to.display());
        }
    }
    Ok(())
}

/// The first `@WORD@` in `text`.
fn word_left_in(text: &str) -> Option<&str> {
    text.split_whitespace().find_map(|part| {
        let (_, rest) = part.split_once('@')?;
        let (word, _) = rest.split_once('@')?;
        let is_word = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_uppercase());
        is_word.then_some(word)
    })
}

#[cfg(test)]
mod tests;
