//! `cargo xtask docs`: the documents as a site of HTML pages that works from a folder, without a
//! server and without a network. A link that leads nowhere is an error.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::files::{copy, files_under, make_empty, read};
use crate::setup::SiteGenerator;
use crate::{layout, step};

/// Besides the folder `docs`: what its documents and the front page link to.
const PAGES: [&str; 10] = [
    "README.md",
    "ARCHITECTURE.md",
    "BENCHMARKS.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "bench/README.md",
    "bench/chart.svg",
    "include/allograft.h",
    "tests/README.md",
];

/// What the generator makes and a folder has no use for: maps of scripts, indexes for search
/// engines and for a search without a server, and the page that a server shows for a wrong address.
const UNUSED: [&str; 5] =
    ["404.html", "sitemap.xml", "sitemap.xml.gz", "assets/javascripts/lunr", "search"];

/// Where `cargo xtask docs` puts the site.
pub fn folder() -> PathBuf {
    layout::target().join("site")
}

/// Builds the site in the folder `output`; what was there before is removed. Two builds of the same
/// documents have the same bytes.
pub fn build(output: &Path) -> Result<()> {
    let generator = SiteGenerator::find()?;
    generator.install()?;
    let source = layout::partial(&folder());
    let built = build_from(&generator, &source, output);
    fs::remove_dir_all(&source).ok();
    built
}

/// Builds the site in `output` from a copy of the documents that is made in `source`.
fn build_from(generator: &SiteGenerator, source: &Path, output: &Path) -> Result<()> {
    let pages = source.join("pages");
    make_empty(&pages)?;
    for name in PAGES {
        copy(&layout::root().join(name), &pages.join(name))?;
    }
    for file in files_under(&layout::root().join("docs"))? {
        copy(&file, &pages.join(file.strip_prefix(layout::root())?))?;
    }
    let config = source.join("mkdocs.yml");
    copy(&layout::own("site/mkdocs.yml"), &config)?;
    let mut mkdocs = generator.mkdocs();
    mkdocs.args(["build", "--strict", "--config-file"]).arg(&config);
    // mkdocs would take a relative path for one in the folder of its configuration.
    mkdocs.arg("--site-dir").arg(std::path::absolute(output)?);
    step::capture(&mut mkdocs).context("building the site of the documents")?;
    remove_unused(output)?;
    check_offline(output)
}

fn remove_unused(site: &Path) -> Result<()> {
    for path in UNUSED.map(|name| site.join(name)) {
        if path.is_dir() {
            fs::remove_dir_all(&path)?;
        } else if path.exists() {
            fs::remove_file(&path)?;
        }
    }
    for file in files_under(site)? {
        if file.extension().is_some_and(|extension| extension == "map") {
            fs::remove_file(file)?;
        }
    }
    Ok(())
}

/// Fails if a page loads something from a server.
fn check_offline(site: &Path) -> Result<()> {
    for file in files_under(site)? {
        if file.extension().is_some_and(|extension| extension == "html")
            && let Some(address) = loaded_from_network(&read(&file)?)
        {
            bail!("{} loads {address} from the network", file.display());
        }
    }
    Ok(())
}

/// The first address on a server that the page loads a script, a style or a picture from. A link
/// that a reader follows is none.
fn loaded_from_network(page: &str) -> Option<&str> {
    let tags = page.split('<').filter(|tag| !tag.starts_with("a "));
    tags.flat_map(|tag| tag.split([' ', '>']))
        .filter_map(|word| word.strip_prefix("src=").or_else(|| word.strip_prefix("href=")))
        .map(|address| address.trim_matches('"'))
        .find(|address| address.starts_with("http") || address.starts_with("//"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_page_loads_is_told_from_what_it_links_to() {
        let page = r#"<p><a class=x href="https://a.example">a</a> <img src="bench/chart.svg">"#;
        assert_eq!(loaded_from_network(page), None);
        for tag in
            [r#"<script src="https://a.example/x.js">"#, "<link rel=stylesheet href=//a.example>"]
        {
            assert!(loaded_from_network(tag).is_some(), "{tag}");
        }
    }

    #[test]
    fn every_document_is_a_page_of_the_site() {
        let navigation = fs::read_to_string(layout::own("site/mkdocs.yml")).unwrap();
        let documents =
            files_under(&layout::root().join("docs")).unwrap().into_iter().filter_map(|path| {
                Some(path.strip_prefix(layout::root()).ok()?.to_str()?.replace('\\', "/"))
            });
        let pages = documents.chain(PAGES.map(str::to_owned));
        for page in pages.filter(|page| page.ends_with(".md")) {
            assert!(navigation.contains(&format!(": {page}\n")), "{page} is not in the navigation");
        }
    }
}
