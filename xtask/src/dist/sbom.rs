//! The software bill of materials, in CycloneDX's JSON: every file that contains code, with its
//! hash, and everything that is linked into these files. The same for the same commit, files and
//! compilers.

use std::path::{Path, PathBuf};

use allograft_tests::{X64, X86};
use anyhow::{Context, Result, anyhow, bail};
use cargo_metadata::{Metadata as CargoMetadata, Package};
use cyclonedx_bom::models::component::Classification;
use cyclonedx_bom::models::dependency::{Dependencies, Dependency};
use cyclonedx_bom::models::hash::{Hash, HashAlgorithm, HashValue, Hashes};
use cyclonedx_bom::models::license::{LicenseChoice, Licenses};
use cyclonedx_bom::models::property::{Properties, Property};
use cyclonedx_bom::prelude::*;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::linked::{dependencies_of, linked_into};
use crate::cargo;
use crate::commit::Commit;
use crate::files::{files_under, sha256_of};
use crate::layout;
use crate::mimalloc::{self, Sources};

/// The bill's name in the folder that it describes, as CycloneDX recommends it.
pub const FILE: &str = "allograft.cdx.json";

/// The program, of which all the rest is a part.
const PRODUCT: &str = "allograft";

/// What the compilers link besides packages.
pub struct Toolchain {
    /// What the Rust compiler calls itself: its standard library has that version.
    pub rustc: String,
    /// What MinGW's compiler calls itself; its start-up code and its library are in the launcher.
    pub mingw: String,
}

/// Describes the files in `folder` and the packages that are linked into the packages `roots`.
pub fn text(
    folder: &Path,
    roots: &[&str],
    commit: &Commit,
    toolchain: &Toolchain,
) -> Result<Vec<u8>> {
    let metadata = cargo::metadata(&[&X64, &X86])?;
    let packages = linked_into(&metadata, roots)?;
    let mut components: Vec<Component> =
        packages.iter().map(|package| package_component(package)).collect::<Result<_>>()?;
    components.push(mimalloc_component(&Sources::find()?.version()?)?);
    components.push(runtime("rust-std", &toolchain.rustc, "MIT OR Apache-2.0")?);
    components.push(runtime("mingw-w64-crt", &toolchain.mingw, "MIT AND ZPL-2.1")?);
    let libgcc = "GPL-3.0-or-later WITH GCC-exception-3.1";
    components.push(runtime("libgcc", &toolchain.mingw, libgcc)?);
    for file in code_in(folder)? {
        components.push(file_component(folder, &file)?);
    }
    let mut product =
        Component::new(Classification::Application, PRODUCT, layout::VERSION, Some(PRODUCT.into()));
    product.licenses = Some(licence("MIT")?);
    let bom = Bom {
        // It would be another in every build.
        serial_number: None,
        metadata: Some(Metadata {
            timestamp: Some(timestamp(commit.time)?),
            component: Some(product),
            properties: Some(Properties(vec![
                Property::new("allograft:commit", &commit.id),
                Property::new("allograft:rustc", &toolchain.rustc),
                Property::new("allograft:mingw", &toolchain.mingw),
            ])),
            ..Metadata::default()
        }),
        dependencies: Some(dependencies(&metadata, &packages, roots)?),
        components: Some(Components(components)),
        spec_version: SpecVersion::V1_5,
        ..Bom::default()
    };
    let validation = bom.validate_version(SpecVersion::V1_5);
    if !validation.passed() {
        bail!("the bill of materials is not valid CycloneDX: {validation:?}");
    }
    let mut json = Vec::new();
    bom.output_as_json_v1_5(&mut json).context("writing the bill of materials")?;
    json.push(b'\n');
    Ok(json)
}

fn package_component(package: &Package) -> Result<Component> {
    let (name, version) = (package.name.as_str(), package.version.to_string());
    let mut component =
        Component::new(Classification::Library, name, &version, Some(reference(package)));
    let expression = package.license.as_deref();
    let expression =
        expression.with_context(|| format!("the package {name} {version} names no licence"))?;
    component.licenses = Some(licence(expression)?);
    component.description = package.description.as_deref().map(NormalizedString::new);
    if package.source.is_some() {
        component.purl = Some(purl("cargo", name, &version)?);
    }
    Ok(component)
}

/// mimalloc's sources, which a package carries.
fn mimalloc_component(version: &str) -> Result<Component> {
    let mut component =
        Component::new(Classification::Library, "mimalloc", version, Some("mimalloc".into()));
    component.licenses = Some(licence("MIT")?);
    component.copyright = Some(NormalizedString::new("Microsoft Corporation, Daan Leijen"));
    let purl = format!("pkg:github/microsoft/mimalloc@v{version}");
    component.purl = Some(purl.parse().map_err(|()| anyhow!("{purl} is no package URL"))?);
    Ok(component)
}

fn runtime(name: &str, version: &str, expression: &str) -> Result<Component> {
    let mut component =
        Component::new(Classification::Library, name, version, Some(name.to_owned()));
    component.licenses = Some(licence(expression)?);
    Ok(component)
}

fn file_component(folder: &Path, file: &Path) -> Result<Component> {
    let name = file.strip_prefix(folder)?.to_string_lossy().replace('\\', "/");
    let mut component =
        Component::new(Classification::File, &name, layout::VERSION, Some(format!("file:{name}")));
    let content = HashValue(sha256_of(file)?);
    component.hashes = Some(Hashes(vec![Hash { alg: HashAlgorithm::SHA_256, content }]));
    Ok(component)
}

fn code_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = files_under(folder)?;
    files.retain(|file| {
        file.extension().is_some_and(|extension| extension == "exe" || extension == "dll")
    });
    if files.is_empty() {
        bail!("{} contains no program and no DLL", folder.display());
    }
    Ok(files)
}

fn dependencies(
    metadata: &CargoMetadata,
    packages: &[&Package],
    roots: &[&str],
) -> Result<Dependencies> {
    let mut all = Vec::new();
    let root_references = packages
        .iter()
        .filter(|package| roots.contains(&package.name.as_str()))
        .map(|package| reference(package));
    all.push(Dependency {
        dependency_ref: PRODUCT.to_owned(),
        dependencies: root_references.collect(),
    });
    for package in packages {
        let mut needed: Vec<String> =
            dependencies_of(metadata, &package.id)?.map(|id| reference(&metadata[id])).collect();
        if package.name.as_str() == mimalloc::PACKAGE {
            needed.push("mimalloc".to_owned());
        }
        needed.sort();
        all.push(Dependency { dependency_ref: reference(package), dependencies: needed });
    }
    Ok(Dependencies(all))
}

/// What stands for the package in the bill.
fn reference(package: &Package) -> String {
    format!("{}@{}", package.name, package.version)
}

fn licence(expression: &str) -> Result<Licenses> {
    let parsed = SpdxExpression::parse_lax(expression.to_owned());
    let parsed = parsed.map_err(|error| anyhow!("the licence `{expression}`: {error}"))?;
    Ok(Licenses(vec![LicenseChoice::Expression(parsed)]))
}

fn purl(kind: &str, name: &str, version: &str) -> Result<Purl> {
    Purl::new(kind, name, version).map_err(|error| anyhow!("a package URL of {name}: {error}"))
}

fn timestamp(time: OffsetDateTime) -> Result<DateTime> {
    let text = time.format(&Rfc3339).context("writing the commit's time")?;
    DateTime::try_from(text).map_err(|error| anyhow!("the commit's time: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cargo::{LAUNCHER, MODULE};
    use serde_json::Value;

    fn bill() -> Value {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("x86")).unwrap();
        for name in ["allograft.exe", "x86/mimalloc.dll", "README.md"] {
            std::fs::write(folder.path().join(name), "abc").unwrap();
        }
        let time = OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap();
        let commit = Commit { id: "0123456789ab".to_owned(), time };
        let toolchain = Toolchain { rustc: "rustc 1.95.0".into(), mingw: "gcc 12".into() };
        let make = || text(folder.path(), &[MODULE, LAUNCHER], &commit, &toolchain).unwrap();
        let first = make();
        assert!(first == make(), "not the same bytes twice");
        let read = Bom::parse_from_json_v1_5(&*first).unwrap();
        assert!(read.validate_version(SpecVersion::V1_5).passed());
        serde_json::from_slice(&first).unwrap()
    }

    #[test]
    fn a_bill_names_the_files_with_code_and_what_is_linked_into_them() {
        let bill = bill();
        let components = bill["components"].as_array().unwrap();
        let named = |name: &str| {
            components.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("{name}"))
        };
        let mimalloc = named("mimalloc");
        let purl = mimalloc["purl"].as_str().unwrap();
        assert!(purl.starts_with("pkg:github/microsoft/mimalloc@v3."), "{purl}");
        assert_eq!(named("libmimalloc-sys")["licenses"][0]["expression"], "MIT");
        assert!(named("clap")["purl"].as_str().unwrap().starts_with("pkg:cargo/clap@"));
        assert_eq!(named("rust-std")["version"], "rustc 1.95.0");
        let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(named("x86/mimalloc.dll")["hashes"][0]["content"], hash);
        assert!(!components.iter().any(|one| one["name"] == "README.md" || one["name"] == "syn"));
        assert_eq!(bill["metadata"]["timestamp"], "2023-11-14T22:13:20Z");
    }

    #[test]
    fn every_dependency_in_a_bill_is_one_of_its_components() {
        let bill = bill();
        let references: Vec<&Value> =
            bill["components"].as_array().unwrap().iter().map(|one| &one["bom-ref"]).collect();
        let dependencies = bill["dependencies"].as_array().unwrap();
        assert!(dependencies.len() > 20);
        for dependency in dependencies {
            for needed in dependency["dependsOn"].as_array().into_iter().flatten() {
                assert!(references.contains(&needed), "{needed} of {dependency}");
            }
        }
        let of_mimalloc = dependencies.iter().find(|one| {
            one["dependsOn"].as_array().is_some_and(|all| all.contains(&"mimalloc".into()))
        });
        let of_mimalloc = of_mimalloc.unwrap()["ref"].as_str().unwrap();
        assert!(of_mimalloc.starts_with("libmimalloc-sys@"), "{of_mimalloc}");
    }
}
