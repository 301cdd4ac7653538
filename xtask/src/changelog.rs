//! `cargo xtask changelog`: what is new in a release, as `CHANGELOG.md` has it.

use anyhow::{Context, Result, bail};

use crate::files::read;
use crate::layout;

/// The text under the heading of the release `version`, which may be the name of its tag.
pub fn of_release(version: &str) -> Result<String> {
    let version = version.strip_prefix('v').unwrap_or(version);
    let text = read(&layout::root().join("CHANGELOG.md"))?;
    section(&text, version).with_context(|| format!("reading CHANGELOG.md for release {version}"))
}

/// The lines between `## VERSION`, behind which a date may stand, and the next such heading.
fn section(changelog: &str, version: &str) -> Result<String> {
    let is_heading = |line: &&str| line.starts_with("## ");
    let is_its = |line: &&str| {
        line.strip_prefix("## ").is_some_and(|title| title.split(' ').next() == Some(version))
    };
    let mut lines = changelog.lines().skip_while(|line| !is_its(line));
    if lines.next().is_none() {
        bail!("there is no heading `## {version}`: write what is new under one");
    }
    let lines: Vec<&str> = lines.take_while(|line| !is_heading(line)).collect();
    let text = lines.join("\n");
    if text.trim().is_empty() {
        bail!("nothing is written under the heading `## {version}`");
    }
    Ok(format!("{}\n", text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# Changelog\n\n## Unreleased\n\n## 0.2.0 - 2026-11-30\n\n### Added\n\n- a\n\n## 0.1.0\n\n- b\n";

    #[test]
    fn a_section_ends_at_the_next_release() {
        assert_eq!(section(TEXT, "0.2.0").unwrap(), "### Added\n\n- a\n");
        assert_eq!(section(TEXT, "0.1.0").unwrap(), "- b\n");
    }

    #[test]
    fn a_release_without_text_is_an_error() {
        for (version, words) in [("Unreleased", "nothing is written"), ("0.2", "no heading")] {
            let error = section(TEXT, version).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn the_projects_own_changelog_is_read() {
        assert!(of_release("Unreleased").is_ok_and(|text| text.contains("### Added")));
    }
}
