//! `cargo xtask dist --redirect-kit`: mimalloc itself as a DLL, for a redirection module, ours or
//! another.

use std::path::Path;

use anyhow::{Result, bail};

use super::licences::Linked;
use super::{make_anew, sums};
use crate::compile::{Output, Variant};
use crate::crt;
use crate::files::{copy, fill_in};
use crate::layout;
use crate::machine::Machine;
use crate::mimalloc::Sources;
use crate::redirect::{self, KitOptions};
use crate::setup;
use crate::step::{self, Step};

/// Builds the kit and lays it out under `output` (`dist` in the checkout if there is none), in a
/// folder named after its options.
pub fn run(output: Option<&Path>, options: KitOptions) -> Result<()> {
    let environment = setup::run(&crt::default())?;
    let machine = options.machine();
    if let (Machine::X86, Err(reason)) = (machine, &environment.x86) {
        bail!("no kit for 32-bit programs can be built here: {reason}");
    }
    let sources = Sources::find()?;
    let version = sources.version()?;
    let folder = make_anew(output, &folder_name(&version, options))?;

    let step = Step::begin("dist: building mimalloc and the redirection module");
    let module = redirect::build(environment.rust, Variant::of(machine), Output::Quiet)?;
    redirect::lay_out_kit(&environment.zig, &sources, options, &module, &folder)?;
    step.done();
    Linked::into(&[redirect::PACKAGE])?.copy_licences(&folder.join("licences"))?;
    copy(&layout::root().join("LICENSE"), &folder.join("LICENSE"))?;
    let words = [
        ("@VERSION@", layout::VERSION),
        ("@MIMALLOC@", &version),
        ("@OPTIONS@", &words_of(options)),
        ("@MODULE@", machine.redirection_module()),
        ("@SYMBOL@", &machine.symbol_of("mi_version")),
        ("@PROGRAMS@", programs_of(machine)),
    ];
    fill_in(&layout::own("redirect-kit/README.md"), &words, &folder.join("README.md"))?;
    sums::write(&folder)?;
    step::say(&format!("laid out: {}", folder.display()));
    Ok(())
}

fn folder_name(version: &str, options: KitOptions) -> String {
    let machine = match options.machine() {
        Machine::X64 => "x86_64",
        Machine::X86 => "x86",
    };
    let mut name = format!("mimalloc-{version}-redirect-kit-{machine}");
    for option in options.names() {
        name.push('-');
        name.push_str(option);
    }
    name
}

/// What the README of the kit calls the programs that it is for.
fn programs_of(machine: Machine) -> &'static str {
    match machine {
        Machine::X64 => "64-bit programs (x86-64)",
        Machine::X86 => "32-bit programs (x86)",
    }
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
