//! `cargo xtask dist --redirect-kit`: mimalloc itself as a DLL, for a redirection module, ours or
//! another.

use std::fs;
use std::path::Path;

use allograft_tests::X86;
use anyhow::{Result, bail};

use super::licences::copy_licences;
use super::write_sums;
use crate::cargo::{REDIRECT, WindowsBuild};
use crate::crt;
use crate::files::{copy, fill_in, make_empty};
use crate::layout;
use crate::mimalloc::Sources;
use crate::redirect::{self, KitOptions};
use crate::setup::{self, Request};
use crate::step::{self, Step};

/// Builds the kit and lays it out in a folder of `output` that is named after its options.
pub fn run(output: &Path, options: KitOptions) -> Result<()> {
    let environment = setup::run(&Request::everything(crt::default()))?;
    let target = options.target();
    if let (true, Err(reason)) = (*target == X86, &environment.x86) {
        bail!("no kit for 32-bit programs can be built here: {reason}");
    }
    let sources = Sources::find()?;
    let version = sources.version()?;
    let folder = output.join(folder_name(&version, options));
    make_empty(&folder)?;

    let step = Step::begin("dist: building mimalloc and the redirection module");
    let module = redirect::build(WindowsBuild::new(environment.rust, target))?;
    redirect::lay_out_kit(&environment.zig, &sources, options, &module, &folder)?;
    fs::remove_dir_all(folder.join(redirect::SCRATCH))?;
    step.done();
    copy_licences(&[REDIRECT], &folder.join("licences"))?;
    copy(&layout::root().join("LICENSE"), &folder.join("LICENSE"))?;
    let words = [
        ("@VERSION@", layout::VERSION),
        ("@MIMALLOC@", &version),
        ("@OPTIONS@", &words_of(options)),
        ("@MODULE@", target.redirection_module),
        ("@SYMBOL@", &format!("{}mi_version", target.symbol_prefix)),
        (
            "@PROGRAMS@",
            if options.x86 { "32-bit programs (x86)" } else { "64-bit programs (x86-64)" },
        ),
    ];
    fill_in(&layout::own("redirect-kit/README.md"), &words, &folder.join("README.md"))?;
    write_sums(&folder)?;
    step::say(&format!("laid out: {}", folder.display()));
    Ok(())
}

fn folder_name(version: &str, options: KitOptions) -> String {
    let kit = format!("mimalloc-{version}-redirect-kit-{}", options.target().zig);
    [kit.as_str()].into_iter().chain(options.names()).collect::<Vec<_>>().join("-")
}

/// The options as the README of the kit names them behind "its own unmodified sources".
fn words_of(options: KitOptions) -> String {
    match options.names().as_slice() {
        [] => String::new(),
        names => format!(", built with `--{}`", names.join("`, `--")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kit_is_named_after_its_options() {
        let options = KitOptions { avx2: true, raw_entry: true, ..KitOptions::default() };
        assert_eq!(
            folder_name("3.3.2", options),
            "mimalloc-3.3.2-redirect-kit-x86_64-avx2-raw-entry"
        );
        let x86 = KitOptions { x86: true, ..KitOptions::default() };
        assert_eq!(folder_name("3.3.2", x86), "mimalloc-3.3.2-redirect-kit-x86");
        assert_eq!(words_of(options), ", built with `--avx2`, `--raw-entry`");
        assert_eq!(words_of(KitOptions::default()), "");
    }
}
